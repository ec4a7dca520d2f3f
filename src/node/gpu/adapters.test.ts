/** Adapters as Dawn lists them: each once with its count, and what it offers or why it does not open. */
/// <reference types="@webgpu/types" />
import { describe, expect, test, vi } from 'vitest'
import { missingForGpu, SWIFTSHADER } from '../../../test/support/backends.ts'
import type { GpuFacts } from '../../backends/webgpu/device.ts'
import { listAdapters } from './adapters.ts'

const FACTS = { title: 'A GPU', isSoftware: false, features: [], limits: {} } as unknown as GpuFacts

describe('adapters', () => {
  const answering = (answer: Promise<unknown>) => {
    return vi.fn(async () => ({ requestAdapter: () => answer }) as unknown as GPU)
  }
  const list =
    'no suitable backends found\nAvailable adapters:\n' +
    " * backend: 'vulkan', name: 'NVIDIA H200'\n * backend: 'vulkan', name: 'NVIDIA H200'\n" +
    " * backend: 'vulkan', name: 'Bob\u0027s card'\n"

  test('are all that Dawn names, cards of one name together', async () => {
    const facts = vi.fn(async (choice: readonly string[] = []) => {
      if (choice[1].includes('Bob')) throw new Error('it is broken')
      return FACTS
    })
    expect(await listAdapters(answering(Promise.reject(new Error(list))), facts)).toEqual([
      { api: 'vulkan', name: 'NVIDIA H200', count: 2, ...FACTS },
      { api: 'vulkan', name: "Bob's card", count: 1, reason: 'it is broken' },
    ])
    expect(facts.mock.calls).toEqual([
      [['backend=vulkan', 'adapter=NVIDIA H200']],
      [['backend=vulkan', "adapter=Bob's card"]],
    ])
  })

  test('are none where Dawn names none, or says something else', async () => {
    const never = () => Promise.reject(new Error('it was opened'))
    expect(await listAdapters(answering(Promise.resolve(null)), never)).toEqual([])
    const other = Promise.reject(new Error('another text'))
    expect(await listAdapters(answering(other), never)).toEqual([])
  })

  test.skipIf(missingForGpu() !== undefined)(
    'have the one in software, named as such',
    async () => {
      vi.stubEnv('VK_ICD_FILENAMES', SWIFTSHADER)
      const [found, ...others] = await listAdapters()
      expect(found).toMatchObject({
        api: 'vulkan',
        count: 1,
        isSoftware: true,
        int8Matrices: false,
      })
      expect(found.name).toContain('SwiftShader')
      expect(others).toEqual([])
      vi.unstubAllEnvs()
    },
  )
})
