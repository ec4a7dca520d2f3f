/** What a pass writes to on its way, on a backend. */
import type { Backend, BufferUse } from '../backends/backend.ts'
import { pairColumns, rowColumns } from '../kernels/step-inputs.ts'
import { SCORE_FLOATS } from '../kernels/token-scores/reference.ts'
import { padToTile } from '../ternary/index.ts'
import type { BufferOwner } from './buffer-owner.ts'
import type { Experts, ModelConfig } from './config/config.ts'
import type { Activations, RoutingBuffers } from './forward.ts'

/** Room for tokens to be scored, by as many rows of logits. */
export function targetBuffers(
  owner: BufferOwner,
  logitRows: number,
  vocabSize: number,
  count: number,
): Pick<Activations, 'pairs' | 'scores'> {
  return {
    pairs: owner.allocateIndices(count, pairColumns(logitRows, vocabSize), 'pairs to score'),
    scores: owner.allocate(count * SCORE_FLOATS * 4, 'scores'),
  }
}

/** Rows from which a pass over a prompt gains nothing more on CPUs, with activations still small. */
const DEFAULT_MAX_ROWS = 128
/** Tiles multiply so quickly that reading weights and waiting for each other still show then. */
const TILED_MAX_ROWS = 256

/** Rows of a pass: of more of them a backend gains nothing, or could not bind the widest activations. */
export function passRows(config: ModelConfig, backend: Backend): number {
  const { isa, largestOperand = Infinity } = backend
  const { promptRows = isa === 'x86-amx' ? TILED_MAX_ROWS : DEFAULT_MAX_ROWS } = backend
  const { dim, headDim, nHeads, nKvHeads, ffnDim, experts, contextLength } = config
  const top = experts?.top ?? 1
  const widest = Math.max(top * Math.max(dim, 2 * ffnDim), (nHeads + 2 * nKvHeads) * headDim)
  const bindable = Math.floor(largestOperand / (4 * widest))
  return Math.max(1, Math.min(promptRows, bindable, padToTile(contextLength)))
}

/**
 * Rows of logits that there is to be room for: twice as many as before, if a device can bind them.
 *
 * @param maxRows of a pass
 */
export function grownLogitRows(
  wanted: number,
  before: number,
  { vocabSize, maxRows }: { readonly vocabSize: number; readonly maxRows: number },
  { largestOperand = Infinity }: Backend,
): number {
  const bindable = Math.floor(largestOperand / (4 * vocabSize))
  return Math.max(wanted, Math.min(maxRows, 2 * before, bindable))
}

/** Room for `rows` tokens; shapes are with the fields of {@link Activations}. */
export function allocateActivations(
  owner: BufferOwner,
  config: ModelConfig,
  rows: number,
  logitRows: number,
): Activations {
  const { dim, headDim, nHeads, nKvHeads, ffnDim, vocabSize, experts } = config
  const mixedDim = nHeads * headDim
  const widest = Math.max(dim, mixedDim, ffnDim)
  const floats = (cols: number, label: string, use?: BufferUse) =>
    owner.allocate(rows * cols * 4, label, use)
  // Of the feed-forward, each row once for each of its experts.
  const top = experts?.top ?? 1
  return {
    logitRows: owner.allocateIndices(rows, rowColumns(rows), 'logit rows'),
    x: floats(dim, 'x'),
    normed: floats(widest, 'normed'),
    quantized: {
      q: owner.allocate(rows * top * padToTile(widest), 'quantized', 'scratch'),
      scales: floats(top, 'quantized scales', 'scratch'),
      sums: floats(top, 'quantized sums', 'scratch'),
    },
    qkv: floats((nHeads + 2 * nKvHeads) * headDim, 'qkv', 'scratch'),
    mixed: floats(mixedDim, 'mixed', 'scratch'),
    gateUp: floats(top * 2 * ffnDim, 'gate and up', 'scratch'),
    hidden: floats(top * ffnDim, 'hidden', 'scratch'),
    routing: experts && allocateRouting(owner, rows, dim, experts),
    last: floats(dim, 'last'),
    logits: owner.allocate(logitRows * vocabSize * 4, 'logits'),
    ...targetBuffers(owner, logitRows, vocabSize, 1),
  }
}

/** What `rows` tokens need on their way through experts. */
function allocateRouting(
  owner: BufferOwner,
  rows: number,
  dim: number,
  { count, top }: Experts,
): RoutingBuffers {
  const floats = (cols: number, label: string) => owner.allocate(rows * cols * 4, label, 'scratch')
  const indices = (limit: number, label: string) =>
    owner.allocateIndices(rows * top, [{ name: label, limit }], label)
  return {
    logits: floats(count, 'logits of experts'),
    weights: floats(top, 'weights of experts'),
    places: indices(rows * top, 'place'),
    sources: indices(rows, 'row index'),
    chosen: indices(count, 'expert'),
    rows: floats(top * dim, 'rows of experts'),
  }
}
