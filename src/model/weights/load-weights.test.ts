/** Loading: what a damaged file is refused for, what is freed then, and what precision is kept. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ggufFile, seededValues } from '../../../test/support/family-model.ts'
import { ggufMetadata, ggufName, huggingFaceShapes } from '../../../test/support/family-shapes.ts'
import { type SmallModelChanges, smallModel } from '../../../test/support/small-model.ts'
import type { Backend } from '../../backends/backend.ts'
import { createReferenceBackend } from '../../backends/reference/index.ts'
import { FormatError } from '../../errors.ts'
import { memorySource } from '../../formats/memory-source.ts'
import type { GgufFile, SafetensorsFile } from '../../formats/model-file.ts'
import { unpackDense } from '../../kernels/dense-matmul/layout.ts'
import type { DenseMatrix, TernaryMatrix } from '../../kernels/matrices.ts'
import { padToTile, unpackTernary } from '../../ternary/index.ts'
import { readConfig } from '../config/read-config.ts'
import type { LinearWeights } from '../forward.ts'
import { type LoadedWeights, loadWeights, type WeightOptions } from './load-weights.ts'
import type { WeightProgress } from './weight-loading.ts'

let backend: Backend

beforeEach(() => {
  backend = createReferenceBackend()
})

afterEach(() => backend.dispose())

function load(file: GgufFile | SafetensorsFile, options?: WeightOptions): Promise<LoadedWeights> {
  return loadWeights(backend, file, readConfig(file), options)
}

async function failure(changes: SmallModelChanges, options?: WeightOptions): Promise<unknown> {
  return load(smallModel(changes), options).catch((error: unknown) => error)
}

async function bytesOf(buffer: TernaryMatrix['data']): Promise<Uint8Array> {
  return (await backend.read(buffer)).slice()
}

async function denseValues(matrix: DenseMatrix): Promise<Float32Array> {
  const { type, rows, cols } = matrix
  const scales = matrix.scales && new Float32Array((await bytesOf(matrix.scales)).buffer)
  return unpackDense({ type, rows, cols, data: await bytesOf(matrix.data), scales })
}

/** The values of two tensors of the small model, one after the other. */
async function valuesOf(file: SafetensorsFile, names: readonly string[]): Promise<Float32Array> {
  const values: number[] = []
  for (const name of names) {
    const tensor = file.tensors.get(`model.${name}.weight`)
    if (tensor === undefined) throw new Error(`the small model has no ${name}`)
    const bytes = await tensor.source.read(tensor.offset, tensor.byteLength)
    values.push(...new Float32Array(bytes.buffer))
  }
  return Float32Array.from(values)
}

function ternary(weights: LinearWeights): TernaryMatrix {
  if (weights.kind !== 'ternary') throw new Error('expected ternary weights')
  return weights.matrix
}

function dense(weights: LinearWeights): DenseMatrix {
  if (weights.kind !== 'dense') throw new Error('expected dense weights')
  return weights.matrix
}

describe('a file is refused', () => {
  const up = 'model.layers.1.mlp.up_proj.weight'

  test('for a missing tensor, by its name, before anything is allocated', async () => {
    const error = await failure({ without: [up] })
    expect(error).toBeInstanceOf(FormatError)
    expect(error).toMatchObject({ field: up })
    expect(backend.allocatedBytes).toBe(0)
  })

  test('for a tensor of another shape, with both shapes', async () => {
    const error = await failure({ config: { intermediate_size: 38 } })
    expect(error).toMatchObject({ field: 'model.layers.0.mlp.gate_proj.weight' })
    expect(String(error)).toContain('(38, 24), got (37, 24)')
  })

  test.each([Number.NaN, Infinity, -Infinity, 3e38, -3e38])('for a weight of %d', async (bad) => {
    const error = await failure({
      edit: (name, values) => {
        if (name === up) values[5] = bad
      },
    })
    expect(error).toBeInstanceOf(FormatError)
    expect(error).toMatchObject({ field: up })
    expect(backend.allocatedBytes).toBe(0)
  })

  test('for a norm that nothing else survives', async () => {
    const name = 'model.layers.1.input_layernorm.weight'
    const edit = (tensor: string, values: Float32Array): void => {
      if (tensor === name) values[3] = 3e38
    }
    expect(await failure({ edit })).toMatchObject({ code: 'FORMAT', field: name })
  })

  // Rows of queries are reordered on the way in this family, those of the others are not.
  test.each(['blk.0.attn_q', 'blk.1.attn_output', 'blk.1.ffn_down'])(
    'for the code that I2_S has no use for, the last of %s',
    async (matrix) => {
      const name = `${matrix}.weight`
      const sizes = { dim: 128, ffn: 256, layers: 2, heads: 2, kvHeads: 1, headDim: 64, vocab: 20 }
      const named = [...seededValues(huggingFaceShapes(sizes, { head: true }))].map(
        ([key, values]) => [ggufName(key), values] as const,
      )
      const metadata = ggufMetadata('llama', sizes, { 'attention.layer_norm_rms_epsilon': 1e-5 })
      const file = await ggufFile(metadata, new Map(named), { projections: 'I2_S' })
      const tensor = file.tensors.get(name)
      if (tensor === undefined) throw new Error(`the model has no ${name}`)
      const bytes = await tensor.source.read(tensor.offset, tensor.byteLength)
      // The scale and 28 bytes without a meaning follow the codes.
      bytes[bytes.length - 33] |= 3
      const damaged = { ...tensor, source: memorySource(bytes), offset: 0 }
      const tensors = new Map(file.tensors).set(name, damaged)
      await expect(load({ ...file, tensors })).rejects.toMatchObject({
        code: 'FORMAT',
        field: name,
      })
      expect(backend.allocatedBytes).toBe(0)
      expect((await load(file)).ternaryBytes).toBeGreaterThan(0)
    },
  )

  test('for sub-norms that its family does not have', async () => {
    const file = smallModel()
    const norm = 'model.layers.0.self_attn.attn_sub_norm.weight'
    const tensors = new Map(file.tensors)
    const weight = file.tensors.get('model.norm.weight')
    if (weight === undefined) throw new Error('the small model has no final norm')
    tensors.set(norm, { ...weight, name: norm })
    await expect(load({ ...file, tensors })).rejects.toMatchObject({ field: norm })
  })
})

describe('loading', () => {
  test('that is cancelled gives all memory back', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const onProgress = ({ tensor }: WeightProgress) => {
      if (tensor.includes('layers.1')) controller.abort(reason)
    }
    const options = { signal: controller.signal, onProgress }
    await expect(load(smallModel(), options)).rejects.toBe(reason)
    expect(backend.allocatedBytes).toBe(0)
  })

  test('reports every tensor and ends at the total', async () => {
    const file = smallModel()
    const reports: WeightProgress[] = []
    await load(file, { onProgress: (progress) => reports.push(progress) })
    expect(new Set(reports.map(({ tensor }) => tensor))).toEqual(new Set(file.tensors.keys()))
    const sum = [...file.tensors.values()].reduce((total, t) => total + t.byteLength, 0)
    expect(reports.at(-1)).toMatchObject({ loadedBytes: sum, totalBytes: sum })
    expect(reports.map(({ loadedBytes }) => loadedBytes)).toEqual(
      reports.map(({ loadedBytes }) => loadedBytes).sort((a, b) => a - b),
    )
  })
})

describe('stacked projections', () => {
  test('of a dense model follow on row by row, though parts end off a stripe', async () => {
    const file = smallModel()
    const { layers } = await load(file)
    const parts = await valuesOf(file, ['layers.0.mlp.gate_proj', 'layers.0.mlp.up_proj'])
    expect(await denseValues(dense(layers[0].gateUp))).toEqual(parts)
  })

  test('of a ternary model keep their own scales', async () => {
    const file = smallModel({
      config: { quantization_config: { quant_method: 'bitnet' } },
      edit(name, values) {
        // Ternary already, with one scale a tensor.
        const scale = name.includes('gate') ? 0.5 : name.includes('up') ? 0.25 : 0
        if (scale > 0) for (const i of values.keys()) values[i] = ((i % 3) - 1) * scale
      },
    })
    const { layers, ternaryBytes } = await load(file)
    const { rows, cols, data, scales } = ternary(layers[1].gateUp)
    const codes = unpackTernary({ rows, cols, bytes: await bytesOf(data) })
    const part = Int8Array.from({ length: (rows / 2) * cols }, (_, i) => (i % 3) - 1)
    expect(codes).toEqual(Int8Array.from([...part, ...part]))
    const perRow = new Float32Array((await bytesOf(scales)).buffer)
    expect(perRow).toHaveLength(padToTile(rows))
    expect(perRow.subarray(0, rows)).toEqual(
      Float32Array.from({ length: rows }, (_, row) => (row < rows / 2 ? 0.5 : 0.25)),
    )
    expect(ternaryBytes).toBeGreaterThan(0)
  })
})

describe('precision', () => {
  test('of F32 tensors stays f32 unless f16 or int8 is asked for', async () => {
    const file = smallModel()
    expect((await load(file)).head.type).toBe('f32')
    expect((await load(file, { head: 'f16' })).head.type).toBe('f16')
    expect((await load(file, { head: 'int8' })).embedding.type).toBe('int8')
  })

  test('of a tensor with values beyond f16 becomes f32', async () => {
    const edit = (name: string, values: Float32Array) => {
      if (name === 'lm_head.weight') values[values.length - 1] = 65520
    }
    const weights = await load(smallModel({ edit }), { head: 'f16' })
    expect(weights.head.type).toBe('f32')
    expect(weights.embedding.type).toBe('f16')
    expect((await denseValues(weights.head)).at(-1)).toBe(65520)
  })

  test('of a tied head is the embedding itself', async () => {
    const file = smallModel({ config: { tie_word_embeddings: true }, without: ['lm_head.weight'] })
    const weights = await load(file)
    expect(weights.head).toBe(weights.embedding)
  })
})
