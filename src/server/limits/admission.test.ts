/** Who gets a turn, who waits, who is turned away. */
import { describe, expect, test } from 'vitest'
import { Refusal } from '../refusal.ts'
import { Admission } from './admission.ts'

const BOUNDS = { active: 2, waiting: 2, keyActive: 4, keyPerMinute: Number.POSITIVE_INFINITY }
const never = new AbortController().signal

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
    const leave = await door.enter('a', never)
    await door.enter('a', never)
    const order: string[] = []
    const third = door.enter('a', never).then(() => order.push('third'))
    const fourth = door.enter('a', never).then(() => order.push('fourth'))
    const refusal = await refusalOf(door.enter('b', never))
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
    const leave = await door.enter('many', never)
    await door.enter('many', never)
    const order: string[] = []
    for (const key of ['many', 'many', 'few']) {
      void door.enter(key, never).then(() => order.push(key))
    }
    leave()
    await Promise.resolve()
    await new Promise((resolve) => setImmediate(resolve))
    expect(order).toEqual(['few'])
  })

  test('one that leaves while it waits frees its place', async () => {
    const door = new Admission({ ...BOUNDS, active: 1, waiting: 1 })
    await door.enter('a', never)
    const controller = new AbortController()
    const waiting = door.enter('b', controller.signal)
    controller.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    expect(door.waiting).toBe(0)
    void door.enter('b', never)
    expect(door.waiting).toBe(1)
    await refusalOf(door.enter('c', never))
  })

  test('counts requests a minute, and says when the next one may come', async () => {
    let now = 0
    const door = new Admission({ ...BOUNDS, active: 99, keyActive: 99, keyPerMinute: 6 }, () => now)
    for (let i = 0; i < 6; i++) (await door.enter('a', never))()
    expect((await refusalOf(door.enter('a', never))).retryAfter).toBe(10)
    ;(await door.enter('b', never))()
    now += 10_000
    ;(await door.enter('a', never))()
    expect((await refusalOf(door.enter('a', never))).retryAfter).toBe(10)
  })

  test('holds a key to its requests at a time', async () => {
    const door = new Admission({ ...BOUNDS, keyActive: 1 })
    const leave = await door.enter('a', never)
    await refusalOf(door.enter('a', never))
    await door.enter('b', never)
    leave()
    await door.enter('a', never)
  })
})
