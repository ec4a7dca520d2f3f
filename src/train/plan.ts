/**
 * Where everything of a run lies, planned before the first step. Parameters, their gradients and both moments
 * are arenas of one layout: first what weight decay is for (matrices of the layers, which are quantised, then routers
 * and a separate head), then the rest (embedding, norms). Activations are buffers of their own: WebGPU lets no
 * command read and write parts of one.
 *
 * With adapters (LoRA) it is these alone that lie there. Of the model's own matrices there are only codes, and its
 * other parts are an arena of their own, without gradients and moments.
 */
import { ternaryByteLength } from '../kernels/matrices.ts'
import { WORD } from '../kernels/operand-kinds.ts'
import type { BufferSlice } from '../kernels/slice.ts'
import { expertsIn, type Part, partsOf, type Role, type Stack } from '../model/layers.ts'
import { adapterParts, type Factor, linearParts } from './low-rank-plan.ts'
import { rowsOf, type TrainingShape } from './shape.ts'

/** Optimiser commands go through an arena in rows of so many floats; groups are padded to them. */
export const ARENA_COLS = 1024

/** Logits that are there at the same time, at most about so many floats (32 MB). */
const LOGITS_FLOATS = 8 << 20
/** Rows of a chunk come in such pieces, so that slices of them are aligned. */
const CHUNK_ROWS = 16

/** A parameter's place in the arenas that a pass works on. */
export interface Parameter {
  readonly weights: BufferSlice
  readonly gradient: BufferSlice
}

/** A tensor of the model in the arenas. */
export interface PlannedPart extends Part {
  /** Floats before it. */
  readonly first: number
  readonly count: number
  /** Of adapters. */
  readonly factor?: Factor | undefined
}

/** What AdamW goes through at once: [first, first + rows * ARENA_COLS) floats of the arenas. */
export interface PlannedGroup {
  readonly decays: boolean
  readonly first: number
  readonly rows: number
}

export interface TrainingPlan {
  readonly shape: TrainingShape
  readonly parts: readonly PlannedPart[]
  readonly groups: readonly PlannedGroup[]
  /** Floats of each arena. */
  readonly arenaFloats: number
  /** Beside adapters: what is not learnt and not quantised, in an arena of so many floats. */
  readonly frozen: readonly PlannedPart[]
  readonly frozenFloats: number
  /** Rows of logits at a time. */
  readonly chunkRows: number
  readonly bytes: PlannedBytes
}

/** Bytes by what they are for. */
export interface PlannedBytes {
  readonly weights: number
  readonly gradients: number
  readonly moments: number
  /** Ternary codes and scales. */
  readonly quantized: number
  /** What the forward pass keeps for the backward. */
  readonly saved: number
  readonly scratch: number
}

/** Floats of each thing that a layer keeps, for each token. */
export function savedPerToken({ model }: TrainingShape) {
  const { dim, ffnDim, nHeads, nKvHeads, headDim, experts } = model
  return {
    input: dim,
    qkv: (nHeads + 2 * nKvHeads) * headDim,
    attended: nHeads * headDim,
    softmax: 2 * nHeads,
    middle: dim,
    // Once for each expert that a token goes to.
    gateUp: 2 * ffnDim * (experts?.top ?? 1),
  }
}

/** The widest of what the backward pass has at the same time, for each token. */
export function scratchPerToken({ model }: TrainingShape) {
  const { dim, ffnDim, nHeads, headDim, experts } = model
  const saved = savedPerToken({ model } as TrainingShape)
  const narrow = Math.max(Math.max(dim, ffnDim) * (experts?.top ?? 1), nHeads * headDim)
  return { inputs: narrow, gradients: narrow, wide: Math.max(saved.gateUp, saved.qkv), dim }
}

export function planTraining(shape: TrainingShape): TrainingPlan {
  const { model, quant, recompute, lora } = shape
  const learnt: readonly (Part & Pick<PlannedPart, 'factor'>)[] =
    lora === undefined ? partsOf(model) : adapterParts(model, lora)
  const parts: PlannedPart[] = []
  const groups: PlannedGroup[] = []
  let at = 0
  for (const group of GROUPS) {
    const first = at
    for (const part of learnt.filter((own) => groupOf(own) === group)) {
      const count = part.rows * part.cols
      parts.push({ ...part, first: at, count })
      at += padded(count)
    }
    const rows = Math.ceil((at - first) / ARENA_COLS)
    const isMuons = group === 'matrices' && shape.optimizer === 'muon'
    if (!isMuons) groups.push({ decays: group !== 'others', first, rows })
    at = first + rows * ARENA_COLS
  }
  const frozen: PlannedPart[] = []
  let frozenFloats = 0
  for (const part of lora === undefined ? [] : partsOf(model)) {
    if (part.kind === 'linear') continue
    const count = part.rows * part.cols
    frozen.push({ ...part, first: frozenFloats, count })
    frozenFloats += padded(count)
  }
  const rows = rowsOf(shape)
  const chunk = Math.ceil(LOGITS_FLOATS / model.vocabSize / CHUNK_ROWS) * CHUNK_ROWS
  const chunkRows = Math.min(chunk, rows)
  const arena = at * WORD
  const linears = linearParts(model).map((part) => ({ ...part, count: part.rows * part.cols }))
  const quantized =
    quant === 'none'
      ? 0
      : linears.reduce((sum, part) => sum + ternaryByteLength(part) + part.rows * WORD, 0)
  const { input, ...others } = savedPerToken(shape)
  const layer = Object.values(others).reduce((sum, floats) => sum + floats, 0)
  const kept = (model.nLayers + 1) * input + layer * (recompute === 'layer' ? 1 : model.nLayers)
  const scratch = Object.values(scratchPerToken(shape)).reduce((sum, floats) => sum + floats, 0)
  const largest = Math.max(...linears.map(({ count, stack }) => count * expertsIn(model, stack)))
  const { matrix, square } = muonFloats(shape.optimizer === 'muon' ? linears : [])
  const adapters = adapterFloats(shape)
  const muons = 4 * matrix + 3 * square
  return {
    shape,
    parts,
    groups,
    arenaFloats: at,
    frozen,
    frozenFloats,
    chunkRows,
    bytes: {
      weights: arena + frozenFloats * WORD,
      gradients: arena,
      moments: 2 * arena,
      quantized,
      saved: rows * kept * WORD,
      scratch:
        (rows * (scratch + 2 * model.dim + routingPerToken(model) + adapters) +
          chunkRows * model.vocabSize +
          largest * 2 +
          muons) *
        WORD,
    },
  }
}

/** Words of what a mixture needs on its way; see TrainedRouting. */
function routingPerToken({ dim, experts }: TrainingShape['model']): number {
  return experts === undefined ? 0 : 2 * (dim + experts.count + experts.top * (3 + dim))
}

/** Parts begin where 16 floats may be read at once. */
function padded(count: number): number {
  return Math.ceil(count / 16) * 16
}

/** Floats that adapters need on their way, for each token: u, its gradient, and columns of a stack. */
function adapterFloats({ model, lora }: TrainingShape): number {
  return lora === undefined ? 0 : 2 * lora.rank + widestLinear(model)
}

/** Rows of the largest matrix of the layers. */
export function widestLinear(model: TrainingShape['model']): number {
  return Math.max(...linearParts(model).map(({ rows }) => rows))
}

const GROUPS = ['matrices', 'decaying', 'others'] as const

function groupOf({ kind, role }: Part): (typeof GROUPS)[number] {
  if (kind === 'linear') return 'matrices'
  return kind === 'router' || role === 'head' ? 'decaying' : 'others'
}

/** The matrices whose steps are Muon's. */
export function muonParts({ shape, parts }: TrainingPlan): PlannedPart[] {
  return shape.optimizer === 'muon' ? parts.filter((part) => groupOf(part) === 'matrices') : []
}

/** Floats of the largest of some matrices, and of the largest product of one with itself. */
export function muonFloats(parts: readonly Pick<PlannedPart, 'rows' | 'cols' | 'count'>[]) {
  return {
    matrix: Math.max(0, ...parts.map(({ count }) => count)),
    square: Math.max(0, ...parts.map(({ rows, cols }) => Math.min(rows, cols) ** 2)),
  }
}

/** The parts of a model and of its layers that are learnt, or frozen, by their roles. */
export function partAt(
  parts: readonly PlannedPart[],
  role: Role,
  layer?: number,
): PlannedPart | undefined {
  return parts.find((part) => part.role === role && part.layer === layer)
}

/** The matrices of a layer's stack, which follow each other. */
export function stackAt<P extends Part>(parts: readonly P[], stack: Stack, layer: number): P[] {
  return parts.filter((part) => part.stack === stack && part.layer === layer)
}
