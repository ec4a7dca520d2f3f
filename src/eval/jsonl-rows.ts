/** Rows of JSONL. */
import { parseObject } from '../checks.ts'
import { FormatError } from '../errors.ts'
import type { DatasetRow } from './task.ts'

/** @throws FormatError naming the line */
export function jsonlRows(text: string, path: string): DatasetRow[] {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return []
    const row = parseObject(line)
    if (row !== undefined) return [row]
    throw new FormatError(`Expected a JSON object on line ${i + 1} of ${path}.`, {
      field: `line ${i + 1}`,
      path,
    })
  })
}
