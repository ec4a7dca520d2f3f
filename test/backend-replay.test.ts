/**
 * A whole decoder layer as one recorded list, replayed for every step of two sequences: the commands
 * of a list see each other's results on every thread, and a recording can be used again and again.
 * Every step's logits and the final cache must equal the reference's, bit for bit.
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Backend, Program } from '../src/backends/backend.ts'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import { keyCacheByteLength, valueCacheByteLength } from '../src/kernels/attention/layout.ts'
import { packDense } from '../src/kernels/dense-matmul/layout.ts'
import { blockColumns, type TernaryMatrix } from '../src/kernels/matrices.ts'
import type { Command } from '../src/kernels/ops.ts'
import type { DeviceBuffer } from '../src/kernels/slice.ts'
import { stepColumns } from '../src/kernels/step.ts'
import { rotationTable, Seeded, stepWords } from '../src/kernels/testing/conformance-cases.ts'
import { bytesOf } from '../src/model/buffer-owner.ts'
import { padToTile } from '../src/ternary/index.ts'
import { testBackends } from './support/backends.ts'

const dim = 160
const ffnDim = 440
const vocab = 203
const heads = { nHeads: 5, nKvHeads: 1, headDim: 32 }
const slots = 2
const positions = 288
const columns = 2
const cacheShape = { blocks: 5, nKvHeads: heads.nKvHeads, headDim: heads.headDim }
const qkvDim = (heads.nHeads + 2 * heads.nKvHeads) * heads.headDim
const eps = 1e-5
/** Beyond ATTENTION_CHUNK, so that merging chunks is part of it. */
const STEPS = 270

/** One layer on a backend, with one token of each of two sequences in a pass. */
class Layer {
  readonly #backend: Backend
  readonly #seeded = new Seeded(2026)
  readonly #program: Promise<Program>
  readonly #step: DeviceBuffer
  readonly #logits: DeviceBuffer
  readonly #caches: DeviceBuffer[]

  constructor(backend: Backend) {
    this.#backend = backend
    const rows = 2
    const { nHeads } = heads
    const floats = (count: number, label: string) => backend.allocate(count * 4, label)
    const keys = backend.allocate(keyCacheByteLength(cacheShape), 'keys')
    const values = backend.allocate(valueCacheByteLength(cacheShape), 'values')
    const cache = { ...cacheShape, keys, values }
    const blocks = backend.allocateIndices(
      slots * columns,
      blockColumns(cacheShape.blocks),
      'blocks',
    )
    backend.write(blocks, 0, bytesOf(Int32Array.of(3, 0, 4, 1)))
    const blockTable = { data: blocks, slots, columns }
    const table = packDense('f16', this.#seeded.floats(vocab * dim), vocab, dim)
    const headWeights = packDense('int8', this.#seeded.floats(vocab * dim), vocab, dim)
    const data = this.#filled('table', table.data)
    const step = backend.allocateIndices(
      rows,
      stepColumns({ tokens: vocab, slots, positions }),
      'step',
    )
    const x = floats(rows * dim, 'x')
    const qkv = floats(rows * qkvDim, 'qkv')
    const mixed = floats(rows * dim, 'mixed')
    const gateUp = floats(rows * 2 * ffnDim, 'gateUp')
    const hidden = floats(rows * ffnDim, 'hidden')
    const logits = floats(rows * vocab, 'logits')
    const quantized = {
      q: backend.allocate(rows * padToTile(ffnDim), 'q'),
      scales: floats(rows, 'scales'),
      sums: floats(rows, 'sums'),
    }
    const quantize = (input: DeviceBuffer, cols: number): Command => {
      const weight = this.#filled('norm', this.#seeded.floats(cols, 2))
      return { op: 'quantize', rows, cols, eps, x: input, weight, out: quantized }
    }
    const product = (outRows: number, cols: number, out: DeviceBuffer, accumulate = false) => {
      const weights = this.#ternary(outRows, cols)
      return { op: 'ternary-matmul', rows, weights, x: quantized, out, accumulate } as const
    }
    const embedding = { type: 'f16', rows: vocab, cols: dim, data, scales: undefined } as const
    const head = {
      type: 'int8',
      rows: vocab,
      cols: dim,
      data: this.#filled('head', headWeights.data),
      scales: this.#filled('head scales', headWeights.scales ?? new Float32Array(0)),
    } as const
    const angles = rotationTable(positions, heads.headDim, 10_000)
    const rotations = this.#filled('rotations', angles)
    const norm = this.#filled('norm', this.#seeded.floats(dim, 2))
    this.#program = backend.record([
      { op: 'embed', rows, step, table: embedding, out: x },
      quantize(x, dim),
      product(qkvDim, dim, qkv),
      { op: 'rope-cache', rows, nHeads, step, qkv, rotations, cache, table: blockTable },
      { op: 'attention', rows, nHeads, step, qkv, cache, table: blockTable, out: mixed },
      quantize(mixed, dim),
      product(dim, dim, x, true),
      quantize(x, dim),
      product(2 * ffnDim, dim, gateUp),
      { op: 'gated-activation', rows, cols: ffnDim, activation: 'silu', gateUp, out: hidden },
      quantize(hidden, ffnDim),
      product(dim, ffnDim, x, true),
      { op: 'rms-norm', rows, cols: dim, eps, x, weight: norm, out: x },
      { op: 'dense-matmul', rows, weights: head, x, out: logits, accumulate: false },
    ])
    this.#step = step
    this.#logits = logits
    this.#caches = [keys, values]
  }

  /** Logits of every step, then the bytes of the cache. */
  async run(): Promise<Uint8Array[]> {
    const tokens = new Seeded(5)
    const results: Uint8Array[] = []
    const program = await this.#program
    for (let position = 0; position < STEPS; position++) {
      // The second sequence is three tokens behind and waits at its first position.
      const places = [
        { token: tokens.below(vocab), slot: 1, position },
        { token: tokens.below(vocab), slot: 0, position: Math.max(0, position - 3) },
      ]
      this.#backend.write(this.#step, 0, new Uint8Array(stepWords(places).buffer))
      this.#backend.submit(program)
      results.push(await this.#backend.read(this.#logits))
    }
    for (const cache of this.#caches) {
      results.push(await this.#backend.read(cache))
    }
    return results
  }

  #filled(label: string, array: Float32Array | Uint8Array): DeviceBuffer {
    const buffer = this.#backend.allocate(array.byteLength, label)
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
    this.#backend.write(buffer, 0, bytes)
    return buffer
  }

  #ternary(rows: number, cols: number): TernaryMatrix {
    const weights = this.#seeded.ternary(rows, cols)
    const data = this.#filled('weights', weights.bytes)
    return { rows, cols, data, scales: this.#filled('weight scales', weights.scales) }
  }
}

const backends = await Promise.all(
  testBackends().map(async ({ title, open }) => ({ title, backend: await open?.() })),
)
let expected: Uint8Array[]

beforeAll(async () => {
  expected = await new Layer(createReferenceBackend()).run()
})

afterAll(() => {
  for (const { backend } of backends) backend?.dispose()
})

describe('a layer that is replayed step by step', () => {
  test('gives other logits at every step on the reference', () => {
    const seen = new Set(expected.map((bytes) => Buffer.from(bytes).toString('base64')))
    expect(seen.size).toBe(expected.length)
  })

  for (const { title, backend } of backends) {
    test.skipIf(backend === undefined)(`${title} gives the reference's bytes`, async () => {
      if (backend === undefined) return
      const got = await new Layer(backend).run()
      const wrong = got.findIndex((bytes, i) => Buffer.compare(bytes, expected[i]) !== 0)
      expect(wrong, 'the first step whose logits differ; after the last one, the cache').toBe(-1)
    })
  }
})
