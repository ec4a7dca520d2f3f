/** Datasets as text files: rows of JSONL, HellaSwag's six lines an item. */
import { FormatError } from '../errors.ts'
import type { DatasetRow } from './task.ts'

/** @throws FormatError naming the line */
export function jsonlRows(text: string, path: string): DatasetRow[] {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return []
    const row = parsed(line)
    if (typeof row === 'object' && row !== null && !Array.isArray(row)) return [row as DatasetRow]
    throw new FormatError(`Expected a JSON object on line ${i + 1} of ${path}.`, {
      field: `line ${i + 1}`,
      path,
    })
  })
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

const ENDINGS = 4

/**
 * HellaSwag as text: context, the right ending's place, four endings, each on a line.
 *
 * @throws FormatError if the lines are not a whole number of items
 */
export function hellaswagRows(text: string, path: string): DatasetRow[] {
  const lines = text.split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  const size = 2 + ENDINGS
  if (lines.length % size !== 0) {
    throw new FormatError(
      `Expected ${size} lines an item in ${path}, got ${lines.length} lines, which is no multiple.`,
      { field: 'lines', path },
    )
  }
  return Array.from({ length: lines.length / size }, (_, item) => {
    const [context, label, ...endings] = lines.slice(item * size, (item + 1) * size)
    return { context, label, endings }
  })
}
