/**
 * Several steps in one list: each draws a token, which the next one feeds, and no JavaScript runs between. Every
 * backend gives what the reference gives step by step, with penalties that look back at what was drawn.
 */
import { afterAll, describe, expect, test } from 'vitest'
import type { Backend } from '../src/backends/backend.ts'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import { packDense } from '../src/kernels/dense-matmul/layout.ts'
import type { Command } from '../src/kernels/ops.ts'
import type { DeviceBuffer } from '../src/kernels/slice.ts'
import { stepColumns } from '../src/kernels/step.ts'
import { rowColumns } from '../src/kernels/step-inputs.ts'
import { Seeded, stepWords } from '../src/kernels/testing/conformance-cases.ts'
import { BufferOwner, bytesOf } from '../src/model/buffer-owner.ts'
import type { TokenDraw } from '../src/model/token-draw.ts'
import { TokenSampler } from '../src/model/token-sampler.ts'
import { everyBackend } from './support/backends.ts'

const VOCAB = 80
const DIM = 24
const CAPACITY = 32
const ROWS = 3
const STEPS = 6

const settings = {
  temperature: 0.7,
  topK: 20,
  topP: 0.95,
  minP: 0,
  repetitionPenalty: 1.5,
  frequencyPenalty: 0.5,
  presencePenalty: 0.25,
}
const draws: readonly TokenDraw[] = [
  { settings, seed: 1, answerStart: 1 },
  { settings: { ...settings, temperature: 0 }, seed: 1, answerStart: 1 },
  { settings: { ...settings, topK: 0 }, seed: 2 ** 35, sequence: 1, answerStart: 1 },
]

/** A model of an embedding and a head, and a pass of it that draws. */
class SmallModel {
  readonly #backend: Backend
  readonly #owner: BufferOwner
  readonly #sampler: TokenSampler
  readonly #step: DeviceBuffer
  readonly #commands: readonly Command[]
  readonly #tokens: DeviceBuffer

  constructor(backend: Backend) {
    const owner = new BufferOwner(backend)
    this.#backend = backend
    this.#owner = owner
    const matrix = (label: string, seed: number) => {
      const { data } = packDense('f32', new Seeded(seed).floats(VOCAB * DIM), VOCAB, DIM)
      const buffer = owner.allocate(data.byteLength, label)
      backend.write(buffer, 0, bytesOf(data))
      const scales = owner.allocate(VOCAB * 4, `${label}'s scales`)
      return { type: 'f32', rows: VOCAB, cols: DIM, data: buffer, scales } as const
    }
    const limits = { tokens: VOCAB, slots: ROWS, positions: CAPACITY }
    const step = owner.allocateIndices(ROWS, stepColumns(limits), 'step')
    const index = owner.allocateIndices(ROWS, rowColumns(ROWS), 'index')
    backend.write(index, 0, bytesOf(Int32Array.of(0, 1, 2)))
    const token = [{ name: 'token', limit: VOCAB }]
    const history = owner.allocateIndices(ROWS * CAPACITY, token, 'history')
    const x = owner.allocate(ROWS * DIM * 4, 'x')
    const logits = owner.allocate(ROWS * VOCAB * 4, 'logits')
    this.#sampler = new TokenSampler(owner, VOCAB)
    const shape = this.#sampler.shapeOf(draws, undefined)
    this.#sampler.makeRoom(shape)
    this.#sampler.write(draws, shape)
    const inputs = { logits, step, index, history, capacity: CAPACITY }
    const drawing = this.#sampler.commands(shape, inputs)
    const sampled = drawing.find((command) => command.op === 'sample')
    if (sampled === undefined) throw new Error('Nothing is drawn.')
    this.#tokens = sampled.tokens.buffer
    this.#step = step
    const [tokenLimit, positionLimit, rows] = [VOCAB, CAPACITY, ROWS]
    const [table, head] = [matrix('table', 1), matrix('head', 2)]
    this.#commands = [
      { op: 'token-history', rows, tokenLimit, capacity: CAPACITY, step, history },
      { op: 'embed', rows, step, table, out: x },
      { op: 'dense-matmul', rows, weights: head, x, out: logits, accumulate: false },
      ...drawing,
      { op: 'next-step', rows, tokenLimit, positionLimit, step, index, tokens: this.#tokens },
    ]
  }

  /** The tokens behind so many steps, in lists of `together` steps. */
  async run(together: number): Promise<number[][]> {
    const backend = this.#backend
    const first = [5, 6, 7].map((token, slot) => ({ token, slot, position: 0 }))
    backend.write(this.#step, 0, bytesOf(stepWords(first)))
    const list = Array.from({ length: together }, () => this.#commands).flat()
    const program = await backend.record(list)
    const drawn: number[][] = []
    for (let step = 0; step < STEPS; step += together) {
      backend.submit(program)
      const bytes = await backend.read(this.#tokens)
      drawn.push([...new Int32Array(bytes.slice().buffer).subarray(0, ROWS)])
    }
    program.dispose()
    return drawn
  }

  dispose(): void {
    this.#owner.dispose()
  }
}

const reference = createReferenceBackend()
afterAll(() => reference.dispose())

describe.each(everyBackend())('$title', ({ open }) => {
  test.skipIf(open === undefined)('draws the same tokens in one list as in many', async () => {
    const plain = new SmallModel(reference)
    const expected = await plain.run(1)
    plain.dispose()
    expect(new Set(expected.flat()).size).toBeGreaterThan(6)
    const backend = await open?.()
    if (backend === undefined) return
    const model = new SmallModel(backend)
    expect(await model.run(1)).toEqual(expected)
    for (const together of [2, 3, 6]) {
      const every = expected.filter((_, i) => (i + 1) % together === 0)
      expect(await model.run(together)).toEqual(every)
    }
    model.dispose()
    await backend.dispose()
  })
})
