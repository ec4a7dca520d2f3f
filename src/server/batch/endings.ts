/** How batches end, and what is written of their lines: the same wherever they are kept. */
import type { Batch, BatchStatus, LineResult, NewLine, ResultKind, StoredFile } from './store.ts'

export interface Ending {
  readonly status: BatchStatus
  /** Of lines that have no result then. */
  readonly code: string
}

/**
 * @param left lines that have no result
 * @returns undefined while it goes on
 */
export function endingOf(
  { status, expiresAt }: Pick<Batch, 'status' | 'expiresAt'>,
  left: number,
  now: number,
): Ending | undefined {
  // Of what is given up, lines that are worked on are waited for no longer.
  if (status === 'cancelling') return { status: 'cancelled', code: 'batch_cancelled' }
  if (left === 0) return { status: 'completed', code: '' }
  return expiresAt <= now ? { status: 'expired', code: 'batch_expired' } : undefined
}

/** The file that results of a batch are put into. */
export function resultFile(
  batch: string,
  kind: ResultKind,
  createdAt: number,
): Omit<StoredFile, 'bytes'> {
  const filename = `${batch}_${kind}.jsonl`
  return { id: `file-${kind}-${batch}`, filename, purpose: 'batch_output', createdAt }
}

interface LineName extends Pick<NewLine, 'customId'> {
  readonly batch: string
  readonly number: number
}

/** A line's answer, as OpenAI writes it. */
export function answeredLine(line: LineName, response: Response, body: unknown): LineResult {
  const answered = {
    status_code: response.status,
    request_id: response.headers.get('x-request-id') ?? '',
    body,
  }
  return { isError: !response.ok, text: lineText(line, answered, null) }
}

/** A line that has no answer. */
export function unansweredLine(line: LineName, code: string, message: string): LineResult {
  return { isError: true, text: lineText(line, null, { code, message }) }
}

/** A line that had not begun when its batch ended. */
export function unbegunLine(line: LineName, { code }: Ending): LineResult {
  return unansweredLine(line, code, 'This request was not begun in time.')
}

function lineText({ batch, number, customId }: LineName, response: unknown, error: unknown) {
  const id = `batch_req_${batch}_${number}`
  return JSON.stringify({ id, custom_id: customId, response, error })
}
