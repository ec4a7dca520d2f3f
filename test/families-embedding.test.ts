/**
 * The BitNet embedding models: Qwen 3 and Gemma 3 bodies with a norm on the input of each projection.
 * Tiny ones against a decoder in plain loops, in both formats, and on every backend.
 */

import { describe, expect, test } from 'vitest'
import type { Backend } from '../src/backends/backend.ts'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import type { JsonObject } from '../src/checks.ts'
import type { GgufFile, SafetensorsFile } from '../src/formats/model-file.ts'
import { readConfig } from '../src/model/config/read-config.ts'
import { Decoder } from '../src/model/decoder.ts'
import { loadWeights } from '../src/model/weights/load-weights.ts'
import { testBackends } from './support/backends.ts'
import { largestDifference, promptBatch } from './support/engine.ts'
import { ggufFile, mastersFile, seededValues, type Values } from './support/family-model.ts'
import {
  configJson,
  type Extras,
  ggufMetadata,
  ggufName,
  huggingFaceShapes,
  type Sizes,
} from './support/family-shapes.ts'
import { plainVectors } from './support/plain-decoder.ts'
import { sequencesOf } from './support/sequences.ts'

interface Model {
  readonly name: string
  readonly json: JsonObject
  readonly metadata: Readonly<Record<string, string | number>>
  readonly values: Values
  readonly extras: Extras
  /** What GGUF adds to the norms of the body. */
  readonly normShift: number
}

const IDS = [3, 17, 0, 39, 8, 8, 21, 5, 30, 11, 2, 26, 14]

function model(
  name: string,
  sizes: Sizes,
  extras: Extras,
  arch: { hf: string; gguf: string; json: JsonObject; metadata: Record<string, number> },
): Model {
  return {
    name,
    values: seededValues(huggingFaceShapes(sizes, extras)),
    extras,
    normShift: arch.gguf === 'gemma3' ? 1 : 0,
    json: configJson(sizes, { model_type: arch.hf, rms_norm_eps: 1e-6, ...arch.json }),
    metadata: ggufMetadata(arch.gguf, sizes, {
      'attention.value_length': sizes.headDim,
      'attention.layer_norm_rms_epsilon': 1e-6,
      ...arch.metadata,
    }),
  }
}

const base = { dim: 128, ffn: 256, heads: 4, vocab: 40 }
const models: readonly Model[] = [
  model(
    'a Qwen 3 body',
    { ...base, layers: 2, kvHeads: 2, headDim: 32 },
    { embedding: true, headNorms: true, bare: true },
    {
      hf: 'qwen3',
      gguf: 'qwen3',
      json: { architectures: ['Qwen3Model'], rope_theta: 1e6, hidden_act: 'silu' },
      metadata: { 'rope.freq_base': 1e6 },
    },
  ),
  model(
    // Heads wider than dim / heads, and a window that most of the text is longer than.
    'a Gemma 3 body',
    { ...base, layers: 6, kvHeads: 1, headDim: 64 },
    { embedding: true, headNorms: true, postNorms: true, bare: true },
    {
      hf: 'gemma3_text',
      gguf: 'gemma3',
      json: {
        architectures: ['Gemma3TextModel'],
        rope_theta: 1e6,
        rope_local_base_freq: 1e4,
        sliding_window: 5,
        hidden_activation: 'gelu_pytorch_tanh',
        query_pre_attn_scalar: 64,
      },
      metadata: { 'rope.freq_base': 1e6, 'attention.sliding_window': 5 },
    },
  ),
]

function toGguf({ values, extras, metadata, normShift }: Model): Promise<GgufFile> {
  const named = [...values].map(([name, { shape, data }]) => {
    // Norms of the body are written as 1 + w, those of the projections as they are.
    const isBodyNorm = shape.length === 1 && !name.endsWith('_proj.norm.weight')
    const shifted = isBodyNorm ? data.map((v) => v + normShift) : data
    return [ggufName(name, extras), { shape, data: shifted }] as const
  })
  return ggufFile(metadata, new Map(named), { projections: 'I2_S' })
}

async function engineVectors(
  file: GgufFile | SafetensorsFile,
  backend: Backend,
  batches: number[] = [IDS.length],
): Promise<Float32Array> {
  try {
    const config = readConfig(file)
    const weights = await loadWeights(backend, file, config)
    const exact = { cacheType: 'f32', matmulPrecision: 'highest' } as const
    const decoder = new Decoder(backend, config, weights, exact)
    const cache = sequencesOf(decoder, { slots: 1, capacity: IDS.length })
    const vectors: number[] = []
    let from = 0
    for (const count of batches) {
      const batch = promptBatch(IDS.slice(from, from + count), 'all')
      const positions =
        batch.tokens.length > 0 ? Array.from({ length: count }, (_, i) => from + i) : []
      vectors.push(...(await decoder.vectors(cache.place({ ...batch, positions }))))
      from += count
    }
    return Float32Array.from(vectors)
  } finally {
    backend.dispose()
  }
}

describe.each(models)('$name', (described) => {
  const file = mastersFile(described.json, described.values)
  const reference = engineVectors(file, createReferenceBackend())

  test('gives the vectors of a decoder in plain loops', async () => {
    const config = readConfig(file)
    const got = await reference
    const plain = await plainVectors(file, config, IDS, 'f32')
    const { dim } = config
    const differences = plain.map((row, i) =>
      largestDifference(got.subarray(i * dim, (i + 1) * dim), row),
    )
    // Int8 turns the smallest difference of two sums into a step, and rows after it see that step.
    expect(differences.filter((d) => d < 1e-5).length).toBeGreaterThan(IDS.length / 2)
    expect(Math.max(...differences)).toBeLessThan(0.3)
  })

  test('gives the same from GGUF, bit for bit', async () => {
    const gguf = await toGguf(described)
    expect(await engineVectors(gguf, createReferenceBackend())).toEqual(await reference)
  })

  test('gives the same however a text is cut into passes', async () => {
    const pieces = [1, 6, 1, 5]
    expect(await engineVectors(file, createReferenceBackend(), pieces)).toEqual(await reference)
  })

  for (const { title, open } of testBackends()) {
    test.skipIf(open === undefined)(`${title} gives the bits of the reference`, async () => {
      if (open === undefined) return
      expect(await engineVectors(file, await open())).toEqual(await reference)
    })
  }
})
