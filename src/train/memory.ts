/** The buffers of a run on a backend, as its plan says. */
import type { Backend } from '../backends/backend.ts'
import { ADAMW_NUMBERS } from '../kernels/adamw/reference.ts'
import { type QuantizedBuffer, type TernaryMatrix, ternaryByteLength } from '../kernels/matrices.ts'
import { WORD } from '../kernels/operand-kinds.ts'
import { type BufferSlice, type DeviceBuffer, sliceOf } from '../kernels/slice.ts'
import { rowColumns } from '../kernels/step-inputs.ts'
import { BufferOwner, bytesOf } from '../model/buffer-owner.ts'
import type { Experts } from '../model/config/config.ts'
import { STACK_TITLES, STACKS, type Stack, stackShape } from '../model/layers.ts'
import { rotationTable } from '../model/rotations.ts'
import { padToTile } from '../ternary/index.ts'
import {
  type AdapterScratch,
  allocateAdapterScratch,
  allocatePlaces,
  type TrainedAdapter,
} from './low-rank.ts'
import { linearParts } from './low-rank-plan.ts'
import { allocateMuon, type MuonMemory } from './muon-memory.ts'
import {
  type Parameter,
  type PlannedPart,
  partAt,
  savedPerToken,
  scratchPerToken,
  stackAt,
  type TrainingPlan,
} from './plan.ts'
import { rowsOf } from './shape.ts'

/** A part of the model, which beside adapters is not learnt. */
export type Given = Pick<Parameter, 'weights'> & Partial<Parameter>

/** The matrices of a stack as one, (rows, cols), with the codes of each if they are quantised. */
export interface TrainedLinear {
  readonly rows: number
  readonly cols: number
  /** Undefined: codes are all there is, and adapters are learnt. */
  readonly latents: Parameter | undefined
  readonly adapters: readonly TrainedAdapter[]
  readonly codes: TernaryMatrix | undefined
  /** What is quantised with a scale of its own. */
  readonly matrices: readonly { readonly latents?: BufferSlice; readonly codes: TernaryMatrix }[]
}

/** @throws TypeError beside adapters */
export function latentsOf({ latents }: TrainedLinear): Parameter {
  if (latents === undefined) throw new TypeError('The matrix is frozen.')
  return latents
}

export interface TrainedLayer {
  readonly linears: Readonly<Record<Stack, TrainedLinear>>
  readonly attentionNorm: Parameter
  readonly attentionSubNorm: Parameter | undefined
  readonly ffnNorm: Parameter
  readonly ffnSubNorm: Parameter | undefined
  /** Of a mixture of experts. */
  readonly router: Parameter | undefined
}

/** Where rows go in a mixture, and the gradients of it: of the layer at hand. */
export interface TrainedRouting {
  /** The normed stream, (rows, dim). */
  readonly normed: BufferSlice
  readonly dNormed: BufferSlice
  /** (rows, experts) */
  readonly logits: BufferSlice
  readonly dLogits: BufferSlice
  /** (rows, top) each; ones are 1, the last three indices. */
  readonly weights: BufferSlice
  readonly dWeights: BufferSlice
  readonly ones: BufferSlice
  readonly places: BufferSlice
  readonly sources: BufferSlice
  readonly chosen: BufferSlice
  /** What enters the experts or leaves them, (rows * top, dim). */
  readonly rows: BufferSlice
  readonly dRows: BufferSlice
}

/** What a layer keeps for its backward; with `recompute` layers share all but `input`. */
export type SavedLayer = Readonly<Record<keyof ReturnType<typeof savedPerToken>, BufferSlice>>

/** Memory whose content lasts a few commands. */
export interface Scratch {
  /** Inputs of a product; gradients of them; the widest gradients. */
  readonly inputs: BufferSlice
  readonly gradients: BufferSlice
  readonly wide: BufferSlice
  readonly quantized: QuantizedBuffer
  /** The values of one matrix. */
  readonly values: BufferSlice
  readonly logits: BufferSlice
  /** Of the quantisers' effect, while it grows; undefined: the whole. */
  readonly share: BufferSlice | undefined
  /** Undefined in a run without adapters. */
  readonly adapters: AdapterScratch | undefined
}

export interface TrainingMemory {
  readonly owner: BufferOwner
  readonly arenas: Readonly<Record<'weights' | 'gradients' | 'means' | 'squares', DeviceBuffer>>
  readonly layers: readonly TrainedLayer[]
  readonly saved: readonly SavedLayer[]
  /** Weights of what is not learnt beside adapters. */
  readonly frozen: DeviceBuffer
  readonly embedding: Given
  readonly finalNorm: Parameter
  /** The embedding itself where they are tied. */
  readonly head: Given
  readonly rotations: DeviceBuffer
  /** The residual stream behind the last layer, after the final norm, and the gradient of the stream. */
  readonly last: DeviceBuffer
  readonly normed: DeviceBuffer
  readonly dStream: DeviceBuffer
  readonly scratch: Scratch
  readonly routing: TrainedRouting | undefined
  /** What changes with every pass: (rows) each. */
  readonly tokens: DeviceBuffer
  readonly targets: DeviceBuffer
  readonly lossWeights: DeviceBuffer
  readonly losses: DeviceBuffer
  readonly squareSum: DeviceBuffer
  /** Of the quantisers' effect in a step: one number. */
  readonly share: DeviceBuffer
  /** Numbers of the optimiser for each group of the plan. */
  readonly numbers: readonly DeviceBuffer[]
  /** Undefined in a run without it. */
  readonly muon: MuonMemory | undefined
}

/** @throws BackendError where there is no room */
export function allocateTraining(backend: Backend, plan: TrainingPlan): TrainingMemory {
  const owner = new BufferOwner(backend)
  try {
    return allocate(owner, plan)
  } catch (error) {
    owner.dispose()
    throw error
  }
}

function allocate(owner: BufferOwner, plan: TrainingPlan): TrainingMemory {
  const { shape, arenaFloats, chunkRows } = plan
  const { model, quant, length, recompute } = shape
  const rows = rowsOf(shape)
  const floats = (count: number, label: string) => owner.allocate(count * WORD, label)
  const arenas = {
    weights: floats(arenaFloats, 'weights'),
    gradients: floats(arenaFloats, 'gradients'),
    means: floats(arenaFloats, 'means'),
    squares: floats(arenaFloats, 'squares'),
  }
  const frozen = floats(Math.max(1, plan.frozenFloats), 'frozen weights')
  // Where the gradients of norms go that nothing is learnt from.
  const unlearnt = floats(
    Math.max(model.dim, model.ffnDim, model.nHeads * model.headDim),
    'unlearnt',
  )
  const linears = linearParts(model)
  const parameter = (parts: readonly PlannedPart[]): Parameter => {
    const label = parts[0].role
    const first = parts[0].first * WORD
    const count = parts.reduce((sum, part) => sum + part.count, 0) * WORD
    return {
      weights: sliceOf(arenas.weights, first, count, label),
      gradient: sliceOf(arenas.gradients, first, count, `gradient of ${label}`),
    }
  }
  const places = new Map(shape.lora && STACKS.map((own) => [own, allocatePlaces(owner, plan, own)]))
  const adaptersOf = (stack: Stack, layer: number): TrainedAdapter[] => {
    const own = stackAt(plan.parts, stack, layer)
    const factors = (factor: 'A' | 'B') => own.filter((part) => part.factor === factor)
    const downs = factors('A')
    return factors('B').map((b, i) => ({
      ...{ a: parameter([downs[i]]), b: parameter([b]), rows: b.rows },
      places: places.get(stack)?.[i],
    }))
  }
  const linearOf = (stack: Stack, layer: number): TrainedLinear => {
    const parts = stackAt(linears, stack, layer)
    const learnt = shape.lora ? [] : stackAt(plan.parts, stack, layer)
    const latents = learnt.length > 0 ? parameter(learnt) : undefined
    const whole = { ...stackShape(parts), latents, adapters: adaptersOf(stack, layer) }
    if (quant === 'none') return { ...whole, codes: undefined, matrices: [] }
    const title = `${STACK_TITLES[stack]} of layer ${layer}`
    const data = owner.allocate(ternaryByteLength(whole), title)
    const scales = floats(padToTile(whole.rows), `scales of ${title}`)
    let row = 0
    const matrices = parts.map((part, i) => {
      const own = { rows: part.rows, cols: part.cols }
      const first = row
      row += part.rows
      return {
        ...(latents && { latents: parameter([learnt[i]]).weights }),
        codes: {
          ...own,
          data: sliceOf(
            data,
            ternaryByteLength({ ...own, rows: first }),
            ternaryByteLength(own),
            title,
          ),
          scales: sliceOf(scales, first * WORD, padToTile(part.rows) * WORD, title),
        },
      }
    })
    return { ...whole, codes: { rows: whole.rows, cols: whole.cols, data, scales }, matrices }
  }
  const ofRole = (role: PlannedPart['role'], layer?: number): Parameter | undefined => {
    const part = partAt(shape.lora ? plan.frozen : plan.parts, role, layer)
    if (part === undefined || shape.lora === undefined) return part && parameter([part])
    const weights = sliceOf(frozen, part.first * WORD, part.count * WORD, role)
    return { weights, gradient: unlearnt }
  }
  const ofTable = (role: PlannedPart['role']): Given | undefined => {
    const own = ofRole(role)
    return own && shape.lora ? { weights: own.weights } : own
  }
  const needed = (role: PlannedPart['role'], layer?: number) => {
    const own = ofRole(role, layer)
    if (own === undefined) throw new TypeError(`The plan has no ${role}.`)
    return own
  }
  const layers = Array.from({ length: model.nLayers }, (_, layer): TrainedLayer => {
    const linears = Object.fromEntries(STACKS.map((stack) => [stack, linearOf(stack, layer)]))
    return {
      linears: linears as Record<Stack, TrainedLinear>,
      attentionNorm: needed('attentionNorm', layer),
      attentionSubNorm: ofRole('attentionSubNorm', layer),
      ffnNorm: needed('ffnNorm', layer),
      ffnSubNorm: ofRole('ffnSubNorm', layer),
      router: ofRole('router', layer),
    }
  })
  const { input, ...kept } = savedPerToken(shape)
  const keep = () =>
    Object.fromEntries(
      Object.entries(kept).map(([name, count]) => [name, floats(rows * count, name)]),
    ) as Omit<SavedLayer, 'input'>
  const shared = recompute === 'layer' ? keep() : undefined
  const saved = layers.map(() => ({
    input: floats(rows * input, 'input'),
    ...(shared ?? keep()),
  }))
  const widths = scratchPerToken(shape)
  const top = model.experts?.top ?? 1
  const widest = padToTile(widths.inputs)
  const largest = Math.max(
    ...layers.flatMap(({ linears }) => STACKS.map((s) => linears[s].rows * linears[s].cols)),
  )
  const rotations = rotationTable(length, model.headDim, model.ropeTheta)
  const memory: TrainingMemory = {
    owner,
    arenas,
    layers,
    saved,
    frozen,
    embedding: ofTable('embedding') ?? needed('embedding'),
    finalNorm: needed('finalNorm'),
    head: ofTable('head') ?? ofTable('embedding') ?? needed('embedding'),
    rotations: owner.allocate(rotations.byteLength, 'rotations'),
    last: floats(rows * model.dim, 'stream'),
    normed: floats(rows * model.dim, 'normed stream'),
    dStream: floats(rows * model.dim, 'gradient of the stream'),
    scratch: {
      inputs: floats(rows * widths.inputs, 'inputs'),
      gradients: floats(rows * widths.gradients, 'gradients of inputs'),
      wide: floats(rows * widths.wide, 'wide gradients'),
      quantized: {
        q: owner.allocate(rows * top * widest, 'int8 inputs'),
        scales: floats(rows * top, 'scales of inputs'),
        sums: floats(rows * top, 'sums of inputs'),
      },
      values: floats(largest, 'values of a matrix'),
      logits: floats(chunkRows * model.vocabSize, 'logits'),
      share: undefined,
      adapters: allocateAdapterScratch(owner, plan),
    },
    routing: model.experts && allocateRouting(owner, rows, model.dim, model.experts),
    tokens: owner.allocateIndices(rows, rowColumns(model.vocabSize), 'tokens'),
    targets: owner.allocateIndices(rows, rowColumns(model.vocabSize), 'targets'),
    lossWeights: floats(rows, 'weights of tokens'),
    losses: floats(rows, 'losses'),
    squareSum: floats(1, 'norm of the gradient'),
    share: floats(1, 'share of the quantisers'),
    numbers: plan.groups.map(() => floats(ADAMW_NUMBERS.length, 'numbers of the optimiser')),
    muon: allocateMuon(owner, plan),
  }
  owner.backend.write(memory.rotations, 0, bytesOf(rotations))
  return memory
}

function allocateRouting(
  owner: BufferOwner,
  rows: number,
  dim: number,
  { count, top }: Experts,
): TrainedRouting {
  const floats = (cols: number, label: string) => owner.allocate(rows * cols * WORD, label)
  const indices = (limit: number, name: string) =>
    owner.allocateIndices(rows * top, [{ name, limit }], name)
  const ones = floats(top, 'ones')
  owner.backend.write(ones, 0, bytesOf(new Float32Array(rows * top).fill(1)))
  return {
    normed: floats(dim, 'input of experts'),
    dNormed: floats(dim, 'gradient of it'),
    logits: floats(count, 'logits of experts'),
    dLogits: floats(count, 'gradients of logits'),
    weights: floats(top, 'weights of experts'),
    dWeights: floats(top, 'gradients of weights'),
    ones,
    places: indices(rows * top, 'place'),
    sources: indices(rows, 'row index'),
    chosen: indices(count, 'expert'),
    rows: floats(top * dim, 'rows of experts'),
    dRows: floats(top * dim, 'gradients of rows'),
  }
}
