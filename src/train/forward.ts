/**
 * The forward pass of training, as commands: whole sequences at once, and every layer keeps what its backward
 * needs. It computes what inference does (model/forward.ts) by operations on plain rows.
 */
import type { Command } from '../kernels/ops.ts'
import type { BufferSlice } from '../kernels/slice.ts'
import { STACKS } from '../model/layers.ts'
import { type LinearInput, linearForward, quantizeLinear } from './bit-linear.ts'
import { expertGates, expertSums } from './expert-ffn.ts'
import type { SavedLayer, TrainedLayer, TrainingMemory } from './memory.ts'
import { rowsOf, type TrainingShape } from './shape.ts'

/** What goes into each product of a layer. */
export function inputsOf(layer: TrainedLayer, saved: SavedLayer, hidden: BufferSlice, eps: number) {
  const input = (x: BufferSlice, norm: LinearInput['norm']): LinearInput => ({ x, norm, eps })
  return {
    qkv: input(saved.input, layer.attentionNorm),
    output: input(saved.attended, layer.attentionSubNorm),
    gateUp: input(saved.middle, layer.ffnNorm),
    down: input(hidden, layer.ffnSubNorm),
  }
}

/** The numbers of operations on whole sequences. */
export function sequencesOf(shape: TrainingShape) {
  const { nHeads, nKvHeads, headDim } = shape.model
  return { rows: rowsOf(shape), length: shape.length, nHeads, nKvHeads, headDim }
}

/** Codes of all matrices, once a step. */
export function quantizeCommands(memory: TrainingMemory, { quant }: TrainingShape): Command[] {
  if (quant === 'none') return []
  const mode = quant === 'b158' ? 'absmean' : 'sign'
  return memory.layers.flatMap(({ linears }) =>
    STACKS.flatMap((stack) => quantizeLinear(linears[stack], mode)),
  )
}

function copied(x: BufferSlice, out: BufferSlice, rows: number, cols: number): Command {
  return { op: 'axpy', rows, cols, scale: 1, x, out }
}

/** The gate's result, which a layer does not keep. */
export function hiddenCommand(
  { gateUp }: SavedLayer,
  out: BufferSlice,
  shape: TrainingShape,
): Command {
  const { ffnDim, activation } = shape.model
  return { op: 'gated-activation', rows: rowsOf(shape), cols: ffnDim, activation, gateUp, out }
}

/** One layer up to its gate, from saved.input on. */
function layerUpToGate(memory: TrainingMemory, shape: TrainingShape, index: number): Command[] {
  const { dim, normEps: eps } = shape.model
  const rows = rowsOf(shape)
  const { scratch, rotations } = memory
  const [layer, saved] = [memory.layers[index], memory.saved[index]]
  const { qkv, attended, softmax, middle, gateUp } = saved
  const inputs = inputsOf(layer, saved, scratch.wide, eps)
  const sequences = sequencesOf(shape)
  return [
    ...linearForward(layer.linears.qkv, inputs.qkv, scratch, { rows, out: qkv, accumulate: false }),
    { op: 'rope', ...sequences, qkv, rotations },
    { op: 'causal-attention', ...sequences, qkv, out: attended, softmax },
    copied(saved.input, middle, rows, dim),
    ...linearForward(layer.linears.output, inputs.output, scratch, {
      rows,
      out: middle,
      accumulate: true,
    }),
    ...(memory.routing
      ? expertGates(memory, shape, index)
      : linearForward(layer.linears.gateUp, inputs.gateUp, scratch, {
          rows,
          out: gateUp,
          accumulate: false,
        })),
  ]
}

/** What a layer keeps is computed again from its input. */
export function recomputeCommands(
  memory: TrainingMemory,
  shape: TrainingShape,
  index: number,
): Command[] {
  return shape.recompute === 'layer' ? layerUpToGate(memory, shape, index) : []
}

/** All layers: from the tokens to the residual stream in memory.last. */
export function forwardCommands(memory: TrainingMemory, shape: TrainingShape): Command[] {
  const { dim, normEps: eps, nLayers } = shape.model
  const rows = rowsOf(shape)
  const { saved, layers, scratch, embedding, tokens, last } = memory
  const commands: Command[] = [
    {
      op: 'gather-rows',
      rows,
      cols: dim,
      x: embedding.weights,
      index: tokens,
      out: saved[0].input,
    },
  ]
  for (let index = 0; index < nLayers; index++) {
    const out = saved[index + 1]?.input ?? last
    const inputs = inputsOf(layers[index], saved[index], scratch.wide, eps)
    commands.push(...layerUpToGate(memory, shape, index))
    commands.push(copied(saved[index].middle, out, rows, dim))
    if (memory.routing) {
      commands.push(...expertSums(memory, shape, index, out))
      continue
    }
    commands.push(
      hiddenCommand(saved[index], scratch.wide, shape),
      ...linearForward(layers[index].linears.down, inputs.down, scratch, {
        rows,
        out,
        accumulate: true,
      }),
    )
  }
  return commands
}
