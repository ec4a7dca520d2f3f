/**
 * How much of each layer's feed-forward is exactly zero for a text: what products that leave zeros out need not
 * read (weights/ffn-order.ts). The layers' gates and what enters `down` are kept beside each pass, on whatever
 * backend, and counted here.
 */
import type { Backend } from '../backends/backend.ts'
import { UsageError } from '../errors.ts'
import type { Command } from '../kernels/ops.ts'
import { quantize } from '../kernels/quantize/reference.ts'
import { type DeviceBuffer, sliceOf } from '../kernels/slice.ts'
import { rowColumns } from '../kernels/step-inputs.ts'
import { padToTile } from '../ternary/index.ts'
import { BufferOwner, bytesOf } from './buffer-owner.ts'
import type { ModelConfig } from './config/config.ts'
import { Decoder } from './decoder.ts'
import type { DecoderWeights, FfnRows } from './forward.ts'
import { passesOf } from './pass-rows.ts'

/** Shares of one layer, over all tokens. */
export interface FfnZeros {
  readonly layer: number
  /** Of the gates, those that are not positive: rows of `up` that ReLU makes 0. */
  readonly gates: number
  /** Of the int8 values that enter `down`, those that are 0: its columns. */
  readonly inputs: number
}

/** The mean of all layers, which are of one size. */
export function meanFfnZeros(layers: readonly FfnZeros[]): Omit<FfnZeros, 'layer'> {
  const mean = (of: (layer: FfnZeros) => number) =>
    layers.reduce((sum, layer) => sum + of(layer), 0) / layers.length
  return { gates: mean(({ gates }) => gates), inputs: mean(({ inputs }) => inputs) }
}

/** Tokens of a pass: what is kept of them takes 12 bytes for each layer and column. */
const ROWS = 16

/** What a pass keeps of a layer. */
interface Kept {
  readonly gateUp: DeviceBuffer
  readonly hidden: DeviceBuffer
}

/**
 * @param tokens one or more, at most as many as the context holds
 * @throws UsageError if the model's feed-forward is not ternary, or its activation is never exactly 0; the signal's
 *   reason
 */
export async function measureFfnZeros(
  backend: Backend,
  config: ModelConfig,
  weights: DecoderWeights,
  tokens: readonly number[],
  signal?: AbortSignal,
): Promise<FfnZeros[]> {
  const { activation, linear, ffnDim, normEps } = config
  if (linear !== 'ternary' || activation !== 'relu2') {
    throw new UsageError(
      'Expected a ternary model with the activation relu2, whose feed-forward has exact zeros, got ' +
        `${linear} weights and ${activation}.`,
    )
  }
  if (config.experts) {
    throw new UsageError(
      'Expected a model with one feed-forward a layer, got a mixture of experts.',
    )
  }
  const owner = new BufferOwner(backend)
  let decoder: Decoder | undefined
  try {
    const index = owner.allocateIndices(ROWS, rowColumns(ROWS), 'rows to keep')
    backend.write(index, 0, bytesOf(Int32Array.from({ length: ROWS }, (_, i) => i)))
    const kept = weights.layers.map((_, i): Kept => {
      const floats = (cols: number, what: string) =>
        owner.allocate(ROWS * cols * 4, `${what} of layer ${i}`)
      return { gateUp: floats(2 * ffnDim, 'gates'), hidden: floats(ffnDim, 'activations') }
    })
    const watch = (layer: number, { rows, gateUp, hidden }: FfnRows): Command[] => {
      const keep = (x: DeviceBuffer, cols: number, out: DeviceBuffer) =>
        ({ op: 'gather-rows', rows, cols, x, index, out }) as const
      return [
        keep(gateUp, 2 * ffnDim, kept[layer].gateUp),
        keep(hidden, ffnDim, kept[layer].hidden),
      ]
    }
    const norms = await Promise.all(
      weights.layers.map(({ ffnSubNorm }) => ffnSubNorm && readFloats(backend, ffnSubNorm, ffnDim)),
    )
    const short = { ...config, contextLength: Math.min(config.contextLength, tokens.length) }
    decoder = new Decoder(backend, short, weights, { maxRows: ROWS, watch })
    const counts = weights.layers.map(() => ({ gates: 0, inputs: 0 }))
    const opened = decoder.cache.open([], tokens.length)
    if (opened === undefined) throw new Error('There is no room for one sequence.')
    for (const pass of passesOf(ROWS, opened.slot, tokens, 0, false)) {
      signal?.throwIfAborted()
      await decoder.forward(pass)
      const rows = pass.tokens.length
      for (const [layer, { gateUp, hidden }] of kept.entries()) {
        const gates = await readFloats(backend, gateUp, rows * 2 * ffnDim)
        const inputs = await readFloats(backend, hidden, rows * ffnDim)
        counts[layer].gates += closedGates(gates, rows, ffnDim)
        counts[layer].inputs += zerosOf(inputs, norms[layer], rows, ffnDim, normEps)
      }
    }
    const all = tokens.length * ffnDim
    return counts.map(({ gates, inputs }, layer) => {
      return { layer, gates: gates / all, inputs: inputs / all }
    })
  } finally {
    decoder?.dispose()
    owner.dispose()
  }
}

async function readFloats(
  backend: Backend,
  buffer: DeviceBuffer,
  count: number,
): Promise<Float32Array> {
  const bytes = await backend.read(sliceOf(buffer, 0, count * 4))
  return new Float32Array(bytes.buffer, bytes.byteOffset, count)
}

/** @param gateUp (rows, 2 cols), gates first */
function closedGates(gateUp: Float32Array, rows: number, cols: number): number {
  let closed = 0
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < cols; i++) if (!(gateUp[row * 2 * cols + i] > 0)) closed++
  }
  return closed
}

/** Of what `down` multiplies. */
function zerosOf(
  x: Float32Array,
  norm: Float32Array | undefined,
  rows: number,
  cols: number,
  eps: number,
): number {
  const stride = padToTile(cols)
  const out = {
    q: new Int8Array(rows * stride),
    scales: new Float32Array(rows),
    sums: new Int32Array(rows),
  }
  quantize(out, x, norm, rows, cols, eps)
  let zeros = 0
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < cols; i++) if (out.q[row * stride + i] === 0) zeros++
  }
  return zeros
}
