/**
 * What an evaluation task is: where its items come from and how a row of the dataset becomes texts to
 * be scored. Prompts follow the evaluation harness, whose 0.3.0 the BitNet b1.58 paper used.
 */
import { describe, isWhole } from '../checks.ts'
import { FormatError } from '../errors.ts'

/** A row of a dataset: what a parquet file or a line of JSONL holds. */
export type DatasetRow = Readonly<Record<string, unknown>>

/** One item: texts, each with the continuation that is scored after it. */
export interface TaskItem {
  /** One a choice. */
  readonly requests: readonly { readonly context: string; readonly continuation: string }[]
  /** Place of the right choice; 0 where there is only one. */
  readonly gold: number
  /** What acc_norm and acc_bytes measure the length of, one a choice. */
  readonly choices: readonly string[]
  /** The text that words and bytes are counted in, where it is not what is scored. */
  readonly original?: string
}

/** A dataset on the Hugging Face hub, as its `refs/convert/parquet` branch has it. */
export interface HubDataset {
  readonly repo: string
  readonly config: string
  readonly split: string
  /** Where solved examples are drawn from. Unset: from the other items. */
  readonly exampleSplit?: string
}

/**
 * How results are counted.
 *
 *   choice    the likeliest of several continuations: acc, acc_norm, acc_bytes
 *   cloze     one continuation: acc (greedy decoding gives it), perplexity
 *   rolling   a whole text: word and byte perplexity, bits per byte
 */
export type TaskKind = 'choice' | 'cloze' | 'rolling'

/** The form of a dataset that is neither parquet nor JSONL. */
export interface PlainText {
  /** Of its file, behind one of `files`; in the order they are looked for. `.bz2` is unpacked. */
  readonly endings: readonly string[]
  /** @throws FormatError if the text has another form */
  rows(text: string, path: string): DatasetRow[]
}

/** A task: its dataset, and how a row becomes texts. */
export interface EvalTask {
  readonly name: string
  readonly kind: TaskKind
  readonly hub: HubDataset
  /** Names of its file in a folder of datasets, without .jsonl or .parquet. */
  readonly files: readonly string[]
  /** A field that its items may lack, and the file beside it that has the values, one a line. */
  readonly separateField?: { readonly field: string; readonly file: string }
  /** The dataset as plain text, as its authors published it. Unset: there is none. */
  readonly plainText?: PlainText
  /** The paper or report the dataset comes from. */
  readonly source: string
  /** What stands before all examples. */
  readonly instruction?: string
  /** @throws FormatError if the row is not one of this dataset */
  parse(row: DatasetRow): TaskItem
}

/** A task with its items. */
export interface LoadedTask {
  readonly task: EvalTask
  readonly items: readonly TaskItem[]
  /** Solved examples for few-shot prompts. Unset: the other items. */
  readonly examples?: readonly TaskItem[] | undefined
}

/** @throws FormatError */
export function textField(row: DatasetRow, name: string): string {
  const value = row[name]
  if (typeof value === 'string') return value
  throw wrongField(name, 'a text', value)
}

/** @throws FormatError */
export function textsField(row: DatasetRow, name: string): readonly string[] {
  const value = row[name]
  if (Array.isArray(value) && value.length > 0 && value.every((v) => typeof v === 'string')) {
    return value
  }
  throw wrongField(name, 'a list of texts', value)
}

/**
 * A number in [0, limit), written as a number, a bigint, a boolean or digits.
 *
 * @throws FormatError
 */
export function indexField(row: DatasetRow, name: string, limit: number, offset = 0): number {
  const value = row[name]
  const isNumeric = typeof value === 'string' ? /^\d+$/.test(value) : value !== null
  const index = isNumeric && typeof value !== 'object' ? Number(value) - offset : Number.NaN
  if (isWhole(index, 0, limit - 1)) return index
  throw wrongField(name, `a number from ${offset} to ${limit - 1 + offset}`, value)
}

function wrongField(name: string, expected: string, got: unknown): FormatError {
  const message = `Expected "${name}" of a dataset's row to be ${expected}, got ${describe(got)}.`
  return new FormatError(message, { field: name })
}

/** An item whose choices follow the same context. */
export function choiceItem(
  context: string,
  choices: readonly string[],
  gold: number,
  delimiter = ' ',
): TaskItem {
  const requests = choices.map((choice) => ({ context, continuation: delimiter + choice }))
  return { requests, gold, choices }
}
