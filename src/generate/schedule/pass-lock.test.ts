// The lock: one at a time, in turn, and leaving the queue on abort.
import { describe, expect, test } from 'vitest'
import { PassLock } from './pass-lock.ts'

const never = new AbortController().signal

describe('PassLock', () => {
  test('runs one at a time and lets generations take turns', async () => {
    const lock = new PassLock()
    const order: string[] = []
    let inside = 0
    const generation = async (name: string) => {
      for (let pass = 0; pass < 3; pass++) {
        await lock.run(never, async () => {
          expect(++inside).toBe(1)
          await Promise.resolve()
          order.push(name)
          inside--
        })
      }
    }
    await Promise.all([generation('a'), generation('b')])
    expect(order.join('')).toBe('ababab')
  })

  test('lets a waiter leave when its signal aborts, without running it', async () => {
    const lock = new PassLock()
    const controller = new AbortController()
    let open = () => {}
    const first = lock.run(never, () => new Promise<void>((resolve) => (open = resolve)))
    let ran = false
    const second = lock.run(controller.signal, async () => {
      ran = true
    })
    controller.abort()
    expect(await second).toBe(false)
    open()
    expect(await first).toBe(true)
    expect(await lock.run(never, async () => {})).toBe(true)
    expect(ran).toBe(false)
  })

  test('is free again after work that throws', async () => {
    const lock = new PassLock()
    const failing = lock.run(never, () => Promise.reject(new Error('broken')))
    await expect(failing).rejects.toThrow('broken')
    expect(await lock.run(never, async () => {})).toBe(true)
  })

  test('lets timers fire although the work never waits for anything', async () => {
    const lock = new PassLock()
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 5)
    let passes = 0
    while (passes < 1e7 && (await lock.run(controller.signal, async () => {}))) passes++
    expect(controller.signal.aborted).toBe(true)
  })
})
