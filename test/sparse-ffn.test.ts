/** A model gives the same bits whether its feed-forward leaves out what is 0 or multiplies it. */

import { describe, expect, test } from 'vitest'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import { UsageError } from '../src/errors.ts'
import { readConfig } from '../src/model/config/read-config.ts'
import { leavesZerosOut, ternaryForm } from '../src/model/weights/ffn-order.ts'
import { testBackends } from './support/backends.ts'
import { openEngine, promptBatch } from './support/engine.ts'
import { tinyModel } from './support/fixtures.ts'
import { sequencesOf } from './support/sequences.ts'
import { smallModel } from './support/small-model.ts'

const folder = tinyModel('bitnet-packed')
const idsOf = (count: number) => Array.from({ length: count }, (_, i) => (i * 97 + 7) % 512)

const backends = [{ title: 'reference', open: createReferenceBackend }, ...testBackends()]

for (const { title, open } of backends) {
  const isGpu = title.includes('webgpu')
  test.skipIf(open === undefined || isGpu)(
    `${title}: leaving zeros out gives the logits of multiplying them, for few tokens and many`,
    async () => {
      if (open === undefined) return
      const results = []
      for (const sparse of ['off', 'on'] as const) {
        await using engine = await openEngine(folder, await open(), { sparse })
        const { gateUp } = engine.weights.layers[0]
        const order = gateUp.kind === 'ternary' ? gateUp.matrix.order : undefined
        expect(order).toBe(sparse === 'on' ? 'gated' : undefined)
        const logits = []
        for (const count of [1, 3, 8, 9, 33]) {
          const cache = sequencesOf(engine.decoder, { slots: 1, capacity: 64 })
          const batch = cache.place(promptBatch(idsOf(count), 'all'))
          logits.push((await engine.decoder.forward(batch)).slice())
        }
        results.push(logits)
      }
      expect(results[1]).toEqual(results[0])
    },
  )
}

describe('whether zeros are left out', () => {
  const config = readConfig(smallModel())
  const ternary = {
    ...config,
    linear: 'ternary',
    activation: 'relu2',
    dim: 512,
    ffnDim: 1536,
  } as const

  test('on processors that gain by it, where relu² makes zeros', () => {
    expect(leavesZerosOut({ isa: 'x86-avx2' }, ternary, 'auto')).toBe(true)
    expect(leavesZerosOut({ isa: 'x86-avx2' }, ternary, 'off')).toBe(false)
    expect(leavesZerosOut({ isa: 'wasm-simd' }, ternary, 'auto')).toBe(false)
    expect(leavesZerosOut({ isa: 'wasm-simd' }, ternary, 'on')).toBe(true)
  })

  test.each([
    [{ linear: 'dense' }, 'its weights are not ternary'],
    [{ activation: 'silu' }, 'its activation is silu'],
    [{ inputNorms: true }, 'a norm of its own'],
    [{ ffnDim: 1000 }, 'no multiple of 16'],
    [{ dim: 32_768 }, 'wider than 16384'],
  ] as const)('not with %o: asked for, it is refused and said why', (change, reason) => {
    const other = { ...ternary, ...change }
    expect(leavesZerosOut({ isa: 'x86-avx2' }, other, 'auto')).toBe(false)
    expect(() => leavesZerosOut({ isa: 'x86-avx2' }, other, 'on')).toThrow(UsageError)
    expect(() => leavesZerosOut({ isa: 'x86-avx2' }, other, 'on')).toThrow(reason)
  })

  test('not by shaders, which have no such products', () => {
    expect(() => leavesZerosOut({ isa: 'webgpu-base' }, ternary, 'on')).toThrow('shaders')
  })

  test('down is held at 2 bits then, whatever the others have', () => {
    expect(ternaryForm('down', 'base3', true)).toEqual({ packing: '2bit', order: 'columns' })
    expect(ternaryForm('gateUp', 'base3', true)).toEqual({ packing: 'base3', order: 'gated' })
    expect(ternaryForm('qkv', 'base3', true)).toEqual({ packing: 'base3' })
    expect(ternaryForm('down', 'base3', false)).toEqual({ packing: 'base3' })
  })
})
