/**
 * Ternary matrices on their way into a conversion: whether the model was trained for it, in which order
 * their rows come, and the next one opened while the one before is still being written.
 */
import { UsageError } from '../errors.ts'
import type { ModelFile, TernaryTensor } from '../formats/model-file.ts'
import { isTernaryAlready, openTernary } from '../formats/ternary/index.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { halfRows, interleavedRows } from './head-order.ts'
import type { NamedTensor } from './named-tensors.ts'

/** How the rows of query and key projections are wanted (see halfOrderRows). */
export type HeadOrder = 'half' | 'interleaved'

interface Intake {
  readonly file: ModelFile
  readonly config: ModelConfig
  readonly order: HeadOrder
  readonly force: boolean
}

/**
 * A function that gives the matrices one after the other. While the caller works on one, the next is
 * read: for float masters that is half of the work.
 *
 * @throws UsageError (from the returned function) for weights that were not trained as ternary
 */
export function ternaryIntake(
  entries: readonly NamedTensor[],
  intake: Intake,
): (entry: NamedTensor) => Promise<TernaryTensor> {
  const ahead = new Map<NamedTensor, Promise<TernaryTensor>>()
  return (entry) => {
    const opened = ahead.get(entry) ?? openLinear(entry, intake)
    ahead.delete(entry)
    const next = entries[entries.indexOf(entry) + 1]
    if (next !== undefined) {
      const promise = openLinear(next, intake)
      // Its failure is told when its turn comes, or never if the conversion has ended by then.
      promise.catch(() => undefined)
      ahead.set(next, promise)
    }
    return opened
  }
}

async function openLinear(
  entry: NamedTensor,
  { file, config, order, force }: Intake,
): Promise<TernaryTensor> {
  const opened = await openTernary(file, entry.tensor, { rows: entry.shape[0] })
  if (config.linear !== 'ternary' && !opened.lossless && !force) {
    throw (await isTernaryAlready(entry.tensor))
      ? ternaryByRows(file, opened)
      : await notTernary(file, opened)
  }
  const stored: HeadOrder = entry.interleavedHeadDim > 0 ? 'interleaved' : 'half'
  if (!entry.isRotated || stored === order) return opened
  return order === 'half'
    ? halfRows(opened, entry.interleavedHeadDim)
    : interleavedRows(opened, config.headDim)
}

/** No format to write to has more than one scale a tensor. */
function ternaryByRows(file: ModelFile, { name }: TernaryTensor): UsageError {
  return new UsageError(
    `Expected one scale a tensor, but "${name}" of ${file.name} is ternary with a scale for each ` +
      'group of rows. It runs as it is; neither GGUF nor packed safetensors can hold it without ' +
      'changing its weights.',
  )
}

/** The model's own description decides; the weights' error is shown as evidence. */
async function notTernary(file: ModelFile, opened: TernaryTensor): Promise<UsageError> {
  const error = (await opened.roundingError?.()) ?? 0
  const percent = (100 * error).toFixed(0)
  return new UsageError(
    `Expected a model that was trained with ternary weights, but ${file.name} does not say so ` +
      `(no BitNet architecture, no quantization_config), and its weights are not ternary: rounding ` +
      `"${opened.name}" to -1, 0 and +1 changes it by ${percent} %. An ordinary model does not ` +
      'survive that; BitNet b1.58 models are trained with the rounding from the start. Take a ' +
      'ternary model, or add --force (option force) to see for yourself.',
  )
}
