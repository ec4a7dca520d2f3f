/** Several models in the memory of one: who makes room, who waits, and what becomes of one that does not load. */
import { describe, expect, test } from 'vitest'
import { answers, MockEngine } from '../../test/support/mock-engine.ts'
import { mockModel } from '../../test/support/mock-model.ts'
import { ANSWER, hello, serve } from '../../test/support/mock-server.ts'

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
