/** Who gets a turn, who waits, who is turned away. */
import { describe, expect, test } from 'vitest'
import { Refusal } from '../refusal.ts'
import { Admission, type Entrant } from './admission.ts'

const BOUNDS = { active: 2, waiting: 2, keyActive: 4, keyPerMinute: Number.POSITIVE_INFINITY }
const never = new AbortController().signal

const enter = (door: Admission, key: string, signal: AbortSignal, more: Partial<Entrant> = {}) =>
  door.enter({ key, priority: 0, ...more }, signal)

async function refusalOf(entering: Promise<unknown>): Promise<Refusal> {
  const error = await entering.then(
    () => undefined,
    (reason) => reason,
  )
  expect(error).toBeInstanceOf(Refusal)
  return error as Refusal
}

describe('Admission', () => {
  test('lets so many in, so many wait, and turns the others away with a time', async () => {
    const door = new Admission(BOUNDS)
    const leave = await enter(door, 'a', never)
    await enter(door, 'a', never)
    const order: string[] = []
    const third = enter(door, 'a', never).then(() => order.push('third'))
    const fourth = enter(door, 'a', never).then(() => order.push('fourth'))
    const refusal = await refusalOf(enter(door, 'b', never))
    expect(refusal).toMatchObject({ status: 429, code: 'rate_limit_exceeded', retryAfter: 1 })
    expect([door.active, door.waiting]).toEqual([2, 2])
    leave()
    leave() // a second time does nothing
    await third
    expect(order).toEqual(['third'])
    expect([door.active, door.waiting]).toEqual([2, 1])
    void fourth
  })

  test('gives the next turn to the key with the fewest at work', async () => {
    const door = new Admission({ ...BOUNDS, waiting: 9, keyActive: 9 })
    const leave = await enter(door, 'many', never)
    await enter(door, 'many', never)
    const order: string[] = []
    for (const key of ['many', 'many', 'few']) {
      void enter(door, key, never).then(() => order.push(key))
    }
    leave()
    await Promise.resolve()
    await new Promise((resolve) => setImmediate(resolve))
    expect(order).toEqual(['few'])
  })

  test('priority goes before that, and of equal priority what has to be done sooner', async () => {
    const door = new Admission({ ...BOUNDS, active: 1, waiting: 9, keyActive: 9 })
    const leave = await enter(door, 'many', never)
    const order: string[] = []
    const begin = (name: string, key: string, more: Partial<Entrant>) =>
      void enter(door, key, never, more).then((next) => {
        order.push(name)
        next()
      })
    begin('batch', 'few', { priority: -1 })
    begin('usual', 'few', {})
    begin('late', 'few', { deadline: 60 })
    begin('soon', 'many', { deadline: 30 })
    begin('first', 'many', { priority: 1 })
    leave()
    await expect.poll(() => order).toEqual(['first', 'soon', 'late', 'usual', 'batch'])
  })

  test('one that leaves while it waits frees its place', async () => {
    const door = new Admission({ ...BOUNDS, active: 1, waiting: 1 })
    await enter(door, 'a', never)
    const controller = new AbortController()
    const waiting = enter(door, 'b', controller.signal)
    controller.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    expect(door.waiting).toBe(0)
    void enter(door, 'b', never)
    expect(door.waiting).toBe(1)
    await refusalOf(enter(door, 'c', never))
  })

  test('counts requests a minute, and says when the next one may come', async () => {
    let now = 0
    const door = new Admission({ ...BOUNDS, active: 99, keyActive: 99, keyPerMinute: 6 }, () => now)
    for (let i = 0; i < 6; i++) (await enter(door, 'a', never))()
    expect((await refusalOf(enter(door, 'a', never))).retryAfter).toBe(10)
    ;(await enter(door, 'b', never))()
    now += 10_000
    ;(await enter(door, 'a', never))()
    expect((await refusalOf(enter(door, 'a', never))).retryAfter).toBe(10)
  })

  test('holds a key to its requests at a time', async () => {
    const door = new Admission({ ...BOUNDS, keyActive: 1 })
    const leave = await enter(door, 'a', never)
    await refusalOf(enter(door, 'a', never))
    await enter(door, 'b', never)
    leave()
    await enter(door, 'a', never)
  })
})
