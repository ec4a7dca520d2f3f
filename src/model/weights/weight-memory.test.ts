/**
 * The predicted bytes against those that loading really allocates.
 */
import { describe, expect, test } from 'vitest'
import { tinyModel } from '../../../test/support/fixtures.ts'
import { smallModel } from '../../../test/support/small-model.ts'
import { createReferenceBackend } from '../../backends/reference/index.ts'
import { openModelFile } from '../../node/open-model.ts'
import { configToRun } from '../config/read-config.ts'
import { loadWeights } from './load-weights.ts'
import { weightMemory } from './weight-memory.ts'

describe.each(['bitnet-packed', 'bitnet-bf16', 'llama-bitlinear-packed', 'llama-dense-bf16'])(
  'the bytes of %s',
  (name) => {
    const choices = [
      {},
      { head: 'int8', weights: '2bit' },
      { head: 'int4', weights: 'base3' },
      ...(name.startsWith('bitnet') ? ([{ weights: 'base3', sparse: 'on' }] as const) : []),
    ] as const
    test.each(choices)('are known beforehand with %j', async (options) => {
      const { file } = await openModelFile(tinyModel(name))
      const config = await configToRun(file)
      const backend = createReferenceBackend()
      const loaded = await loadWeights(backend, file, config, options)
      const { ternaryBytes, denseBytes } = weightMemory(file, config, options)
      expect({ ternaryBytes, denseBytes }).toEqual({
        ternaryBytes: loaded.ternaryBytes,
        denseBytes: loaded.denseBytes,
      })
      loaded.dispose()
      backend.dispose()
      await file.close()
    })
  },
)

test('names the tensor that a file lacks', async () => {
  const file = smallModel({ without: ['model.norm.weight'] })
  const config = await configToRun(smallModel())
  expect(() => weightMemory(file, config)).toThrow('model.norm.weight')
})
