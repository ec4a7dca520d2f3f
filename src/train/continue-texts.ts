/**
 * What a model in training writes: texts go on token by token by the trainer's own forward pass over a short
 * window, and each token is drawn where the logits are. Slower a token than inference, but there is no second copy of
 * the weights, and it runs on every backend that trains.
 */
import type { Backend, Program } from '../backends/backend.ts'
import { WORD } from '../kernels/operand-kinds.ts'
import type { Command } from '../kernels/ops.ts'
import { SETTING_WORDS } from '../kernels/sample/reference.ts'
import { STEP_WORDS } from '../kernels/step.ts'
import { rowColumns } from '../kernels/step-inputs.ts'
import { bytesOf } from '../model/buffer-owner.ts'
import { settingWords } from '../model/token-draw.ts'
import { forwardCommands } from './forward.ts'
import type { TrainingMemory } from './memory.ts'
import { rowsOf, type TrainingShape } from './shape.ts'

/** As chats draw, but without what the ranking costs. */
export const SAMPLE_DRAW = {
  ...{ temperature: 0.8, topK: 0, topP: 1, minP: 0.05 },
  ...{ repetitionPenalty: 1, frequencyPenalty: 0, presencePenalty: 0 },
}

export interface TextContinuation {
  /** Of each text, what follows it: up to a token of `stops`, or as many as there may be. */
  run(seed: number): Promise<number[][]>
}

export interface ContinuationTask {
  /** Ids of each, one at least. */
  readonly prompts: readonly (readonly number[])[]
  readonly maxTokens: number
  readonly stops: ReadonlySet<number>
}

/**
 * @param record makes a program of the trainer's
 * @param prepare makes the codes of the weights as they are
 */
export async function prepareContinuation(
  memory: TrainingMemory,
  shape: TrainingShape,
  { prompts, maxTokens, stops }: ContinuationTask,
  { record, prepare }: { record: Backend['record']; prepare: () => void },
): Promise<TextContinuation> {
  const { owner, scratch, tokens, last, finalNorm, head } = memory
  const { backend } = owner
  const { dim, vocabSize, normEps: eps } = shape.model
  const longest = Math.max(...prompts.map((prompt) => prompt.length))
  const length = Math.min(shape.length, longest + maxTokens)
  const batch = Math.min(prompts.length, Math.floor(rowsOf(shape) / length))
  const rows = batch
  const words = (count: number, label: string) => owner.allocate(count * WORD, label)
  const picked = owner.allocateIndices(rows, rowColumns(rowsOf(shape)), 'last tokens of samples')
  const index = owner.allocateIndices(rows, rowColumns(rows), 'rows of samples')
  const step = words(rows * STEP_WORDS, 'positions of samples')
  const settings = words(rows * SETTING_WORDS, 'draws of samples')
  const drawn = words(rows, 'tokens of samples')
  const { inputs: x, gradients: normed, logits } = scratch
  const tail: Command[] = [
    { op: 'gather-rows', rows, cols: dim, x: last, index: picked, out: x },
    { op: 'rms-norm', rows, cols: dim, eps, x, weight: finalNorm.weights, out: normed },
    {
      ...{ op: 'matmul', rows, cols: vocabSize, inner: dim, transposeB: true },
      ...{ a: normed, b: head.weights, out: logits },
    },
    { op: 'sample', rows, cols: vocabSize, logits, settings, step, index, tokens: drawn },
  ]
  await backend.ready()
  const program: Program = await record([
    ...forwardCommands(memory, { ...shape, batch, length }),
    ...tail,
  ])
  backend.write(index, 0, bytesOf(Int32Array.from({ length: rows }, (_, i) => i)))

  /** Some texts at once; rows that are left over go along without a text. */
  async function goOn(texts: readonly (readonly number[])[], seed: number): Promise<number[][]> {
    const window = new Int32Array(batch * length)
    const answers = texts.map((): number[] => [])
    const isOpen = texts.map(() => true)
    const counts = Int32Array.from({ length: rows }, (_, i) => {
      const kept = (texts[i] ?? [0]).slice(-(length - 1))
      window.set(kept, i * length)
      return kept.length
    })
    const draws = texts.map((_, sequence) =>
      settingWords({ settings: SAMPLE_DRAW, seed, sequence, answerStart: 0 }),
    )
    for (const [i, own] of draws.entries()) {
      backend.write(settings, i * SETTING_WORDS * WORD, bytesOf(own))
    }
    for (let n = 0; n < maxTokens && isOpen.includes(true); n++) {
      const positions = new Int32Array(rows * STEP_WORDS)
      for (let i = 0; i < rows; i++) positions[i * STEP_WORDS + 2] = counts[i] - 1
      backend.write(step, 0, bytesOf(positions))
      backend.write(picked, 0, bytesOf(counts.map((count, i) => i * length + count - 1)))
      backend.write(tokens, 0, bytesOf(window))
      backend.submit(program)
      const bytes = await backend.read(drawn)
      const ids = new Int32Array(bytes.buffer, bytes.byteOffset, rows)
      for (const [i, answer] of answers.entries()) {
        const id = ids[i]
        isOpen[i] &&= id >= 0 && !stops.has(id) && counts[i] < length
        if (!isOpen[i]) continue
        answer.push(id)
        window[i * length + counts[i]++] = id
      }
    }
    return answers
  }

  return {
    async run(seed) {
      prepare()
      const answers: number[][] = []
      for (let first = 0; first < prompts.length; first += batch) {
        answers.push(...(await goOn(prompts.slice(first, first + batch), seed)))
      }
      return answers
    },
  }
}
