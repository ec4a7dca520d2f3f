/** Several models in the memory of one: who makes room, who waits, and what becomes of one that does not load. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { answers, MockEngine } from '../../test/support/mock-engine.ts'
import { mockModel } from '../../test/support/mock-model.ts'
import { ANSWER, hello, serve } from '../../test/support/mock-server.ts'
import { ModelShelf } from './model-shelf.ts'

describe('several models', () => {
  test('the one used longest ago makes room', async () => {
    const events: string[] = []
    const modelOf = (id: string) => ({
      id,
      load: async () => {
        events.push(`load ${id}`)
        const engine = new MockEngine({ script: answers(id) })
        return mockModel(engine, { dispose: () => void events.push(`free ${id}`) })
      },
    })
    const { ask } = serve({ models: ['a', 'b', 'c'].map(modelOf), limits: { loadedModels: 2 } })
    for (const model of ['a', 'b', 'a', 'c', 'a']) {
      const answer = await (await ask('/v1/chat/completions', { ...hello, model })).json()
      expect(answer.choices[0].message.content).toBe(model)
    }
    expect(events).toEqual(['load a', 'load b', 'free b', 'load c'])
  })

  test('all are answered by the model they name, however little room there is', async () => {
    let loaded = 0
    let most = 0
    const modelOf = (id: string) => ({
      id,
      load: async () => {
        most = Math.max(most, ++loaded)
        const engine = new MockEngine({ script: answers(id) })
        return mockModel(engine, { dispose: () => void loaded-- })
      },
    })
    const { ask } = serve({ models: ['a', 'b', 'c'].map(modelOf) })
    const names = Array.from({ length: 60 }, (_, i) => 'abc'[(i * 7) % 3])
    const said = await Promise.all(
      names.map(async (model) => {
        const response = await ask('/v1/chat/completions', { ...hello, model })
        return (await response.json()).choices?.[0].message.content
      }),
    )
    expect(said).toEqual(names)
    expect(most).toBe(1)
  })

  test('one that is always busy does not keep another out', async () => {
    const model = (id: string) => ({ id, load: async () => mockModel(new MockEngine()) })
    const shelf = new ModelShelf([model('a'), model('b')], 1, false, 50)
    const { signal } = new AbortController()
    let isOver = false
    /** Somebody uses "a" at any time, each for 20 ms. */
    const busy = async () => {
      while (!isOver) await shelf.use('a', signal, () => sleep(20))
    }
    const users = [busy(), sleep(10).then(busy)]
    await sleep(30)
    const began = performance.now()
    await shelf.use('b', signal, async () => {
      expect(performance.now() - began).toBeGreaterThan(40)
      expect(shelf.loaded).toEqual(['b'])
    })
    // And the first one comes back.
    await shelf.use('a', signal, async () => undefined)
    isOver = true
    await Promise.all(users)
    await shelf.close()
  })

  test('a model that does not load is tried again', async () => {
    let tries = 0
    const load = async () => {
      if (tries++ === 0) throw new Error('/secret/path is broken')
      return mockModel(new MockEngine({ script: answers(ANSWER) }))
    }
    const { ask } = serve({ models: [{ id: 'a', load }] })
    const failed = await ask('/v1/chat/completions', { messages: hello.messages })
    expect(failed.status).toBe(500)
    expect(await failed.text()).not.toContain('secret')
    expect((await ask('/v1/chat/completions', { messages: hello.messages })).status).toBe(200)
  })
})
