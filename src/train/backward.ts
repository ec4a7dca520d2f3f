/** The backward pass of training, as commands: the mirror of forward.ts. Gradients of parameters are added up. */
import { WORD } from '../kernels/operand-kinds.ts'
import type { Command } from '../kernels/ops.ts'
import { type BufferSlice, sliceOf } from '../kernels/slice.ts'
import { linearBackward } from './bit-linear.ts'
import { expertBackward } from './expert-ffn.ts'
import { hiddenCommand, inputsOf, recomputeCommands, sequencesOf } from './forward.ts'
import type { TrainingMemory } from './memory.ts'
import { rowsOf, type TrainingShape } from './shape.ts'

/**
 * Final norm, head and loss, chunk by chunk, and, if `learns`, their gradients: that of the stream behind the
 * last layer then lies in memory.dStream. Losses are added to memory.losses.
 */
export function headCommands(
  memory: TrainingMemory,
  shape: TrainingShape,
  chunkRows: number,
  learns: boolean,
): Command[] {
  const { dim, vocabSize, normEps: eps } = shape.model
  const rows = rowsOf(shape)
  const { last, normed, dStream, finalNorm, head, scratch } = memory
  const norm = { rows, cols: dim, eps, x: last, weight: finalNorm.weights }
  const commands: Command[] = [{ op: 'rms-norm', ...norm, out: normed }]
  const dNormed = scratch.gradients
  for (let first = 0; first < rows; first += chunkRows) {
    const count = Math.min(chunkRows, rows - first)
    const part = (slice: BufferSlice, cols: number) =>
      sliceOf(slice, first * cols * WORD, count * cols * WORD)
    const { logits } = scratch
    const x = part(normed, dim)
    commands.push(
      {
        op: 'matmul',
        rows: count,
        cols: vocabSize,
        inner: dim,
        a: x,
        b: head.weights,
        out: logits,
        transposeB: true,
      },
      {
        op: 'cross-entropy',
        rows: count,
        cols: vocabSize,
        logits,
        targets: part(memory.targets, 1),
        weights: part(memory.lossWeights, 1),
        losses: part(memory.losses, 1),
        accumulate: true,
      },
    )
    if (!learns) continue
    if (head.gradient !== undefined) {
      commands.push({
        op: 'matmul',
        rows: vocabSize,
        cols: dim,
        inner: count,
        a: logits,
        b: x,
        out: head.gradient,
        transposeA: true,
        accumulate: true,
      })
    }
    commands.push({
      op: 'matmul',
      rows: count,
      cols: dim,
      inner: vocabSize,
      a: logits,
      b: head.weights,
      out: part(dNormed, dim),
    })
  }
  if (learns) {
    commands.push({
      op: 'rms-norm-backward',
      ...norm,
      dOut: dNormed,
      dx: dStream,
      dWeight: finalNorm.gradient,
    })
  }
  return commands
}

/** All layers, from memory.dStream down to the embedding. */
export function backwardCommands(memory: TrainingMemory, shape: TrainingShape): Command[] {
  const { dim, nLayers } = shape.model
  const { dStream, embedding, tokens } = memory
  const commands: Command[] = []
  for (let index = nLayers - 1; index >= 0; index--) {
    commands.push(...layerBackward(memory, shape, index))
  }
  if (embedding.gradient !== undefined) {
    commands.push({
      op: 'scatter-add',
      rows: rowsOf(shape),
      cols: dim,
      x: dStream,
      index: tokens,
      out: embedding.gradient,
    })
  }
  return commands
}

/** The residual stream goes past each block, so that what comes through a block is added to its gradient. */
function layerBackward(memory: TrainingMemory, shape: TrainingShape, index: number): Command[] {
  const { normEps: eps, ffnDim, activation } = shape.model
  const rows = rowsOf(shape)
  const { scratch, dStream, rotations } = memory
  const [layer, saved] = [memory.layers[index], memory.saved[index]]
  const { linears } = layer
  // The gate's result makes room for its gradient, and the values of inputs for theirs.
  const hidden = scratch.wide
  const [dHidden, dAttended] = [scratch.inputs, scratch.inputs]
  const [dGateUp, dQkv] = [scratch.wide, scratch.wide]
  const inputs = inputsOf(layer, saved, hidden, eps)
  const sequences = sequencesOf(shape)
  const feedForward: Command[] = memory.routing
    ? expertBackward(memory, shape, index)
    : [
        hiddenCommand(saved, hidden, shape),
        ...linearBackward(linears.down, inputs.down, scratch, {
          rows,
          dOut: dStream,
          dx: dHidden,
          accumulate: false,
        }),
        {
          op: 'gated-activation-backward',
          rows,
          cols: ffnDim,
          activation,
          gateUp: saved.gateUp,
          dOut: dHidden,
          dGateUp,
        },
        ...linearBackward(linears.gateUp, inputs.gateUp, scratch, {
          rows,
          dOut: dGateUp,
          dx: dStream,
          accumulate: true,
        }),
      ]
  return [
    ...recomputeCommands(memory, shape, index),
    ...feedForward,
    ...linearBackward(linears.output, inputs.output, scratch, {
      rows,
      dOut: dStream,
      dx: dAttended,
      accumulate: false,
    }),
    {
      op: 'causal-attention-backward',
      ...sequences,
      qkv: saved.qkv,
      out: saved.attended,
      softmax: saved.softmax,
      dOut: dAttended,
      dQkv,
    },
    { op: 'rope', ...sequences, qkv: dQkv, rotations, inverse: true },
    ...linearBackward(linears.qkv, inputs.qkv, scratch, {
      rows,
      dOut: dQkv,
      dx: dStream,
      accumulate: true,
    }),
  ]
}
