/** What a pass over a batch must be asked for, and what it computes where it draws several tokens of a row. */
import { UsageError } from '../errors.ts'
import { checkIndex } from './cache/kv-cache.ts'
import type { PassWants, RowBatch, ScoreTargets } from './engine.ts'

/** @throws UsageError */
export function checkBatch(batch: RowBatch, maxRows: number, vocabSize: number): void {
  const rows = batch.tokens.length
  if (rows < 1 || rows > maxRows) {
    throw new UsageError(`Expected 1 to ${maxRows} rows in a pass, got ${rows}.`)
  }
  if (batch.slots.length !== rows || batch.positions.length !== rows) {
    throw new UsageError(
      `Expected a slot and a position for each of ${rows} tokens, got ${batch.slots.length} ` +
        `slots and ${batch.positions.length} positions.`,
    )
  }
  for (let i = 0; i < rows; i++) checkIndex(batch.tokens[i], vocabSize, 'a token id')
  if (batch.logitRows.length > rows) {
    throw new UsageError(
      `Expected logits of at most ${rows} rows, got ${batch.logitRows.length} wanted.`,
    )
  }
  for (let i = 0; i < batch.logitRows.length; i++) {
    checkIndex(batch.logitRows[i], rows, 'a row of the batch')
  }
}

/** @throws UsageError */
export function checkTargets(
  batch: RowBatch,
  { rows, tokens }: ScoreTargets,
  vocabSize: number,
): void {
  if (rows.length !== tokens.length) {
    throw new UsageError(
      `Expected a row for each of ${tokens.length} tokens to be scored, got ${rows.length}.`,
    )
  }
  for (let i = 0; i < tokens.length; i++) {
    checkIndex(rows[i], batch.logitRows.length, 'a row of logits')
    checkIndex(tokens[i], vocabSize, 'a token to be scored')
  }
}

/**
 * Where several tokens are drawn behind each row, nothing else may be wanted of a batch, nor of its rows.
 *
 * @throws UsageError
 */
export function checkDraws(
  batch: Omit<RowBatch, 'logitRows'>,
  { draws, scores, vectors }: PassWants,
  maxSteps: number,
): void {
  const { rows, each, likeliest, steps = 1 } = draws
  if (each.length !== rows.length) {
    throw new UsageError(`Expected a draw for each of ${rows.length} rows, got ${each.length}.`)
  }
  if (steps === 1) return
  const isAlone =
    likeliest === undefined &&
    scores.rows.length + vectors.length === 0 &&
    rows.length === batch.tokens.length &&
    rows.every((row, i) => row === i) &&
    new Set(batch.slots as number[]).size === rows.length
  if (isAlone && steps >= 1 && steps <= maxSteps) return
  throw new UsageError(
    `Expected at most ${maxSteps} steps of draws, and more than one only of rows of different sequences that ` +
      `are all drawn for and nothing else, got ${steps}.`,
  )
}

/**
 * A batch with the rows of all its steps.
 *
 * @param ids what was drawn, as {@link PassResults} has it; unset: not known yet. What is none is fed as 0.
 */
export function withSteps(batch: RowBatch, steps: number, ids?: Int32Array): RowBatch {
  if (steps === 1) return batch
  const rows = batch.tokens.length
  const each = Array.from({ length: rows * steps }, (_, i) => ({
    row: Math.floor(i / steps),
    step: i % steps,
  }))
  return {
    tokens: each.map(({ row, step }) =>
      step === 0 ? batch.tokens[row] : Math.max(0, ids?.[(step - 1) * rows + row] ?? 0),
    ),
    slots: each.map(({ row }) => batch.slots[row]),
    positions: each.map(({ row, step }) => batch.positions[row] + step),
    logitRows: batch.logitRows,
  }
}
