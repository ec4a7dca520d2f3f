/**
 * Conversations as JSON: a list of {role, content}, alone or under `messages`; or with what was computed of
 * them, as a saved state. The file may come from anybody: all of it is checked before a model sees it.
 */
import { constants } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import { isObject, messageOf } from '../../../checks.ts'
import { UsageError } from '../../../errors.ts'
import { withWholeText } from '../../../generate/prompt.ts'
import { isStateFile } from '../../../generate/state/state-file.ts'
import { errorCode, readFully } from '../../../node/files/system.ts'
import { decodeText } from '../../../node/files/text-encoding.ts'
import { writeWhole } from '../../../node/files/write-file.ts'
import { type ChatMessage, hasContent, ROLES } from '../../../tokenizer/text-tokenizer.ts'
import { jsonOf } from '../../console/input.ts'

/** Years of talking; what is longer is another file, or has more than messages. */
const MAX_BYTES = 64 * 2 ** 20

/** What is at a path is not what a conversation is kept in; `taken` is no place to save one either. */
export class ConversationFileError extends UsageError {
  readonly reason: 'kind' | 'size' | 'content' | 'damaged' | 'taken'

  constructor(reason: ConversationFileError['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}

/**
 * @param origin what the text is, for messages: "--messages" or a path
 * @param least fewest messages: a prompt has one, a conversation need not have begun
 * @throws UsageError unless it is a list of messages
 */
export function parseMessages(text: string, origin: string, least = 1): ChatMessage[] {
  const value = jsonOf(text, origin)
  const list = isObject(value) ? value['messages'] : value
  if (!Array.isArray(list) || list.length < least) {
    throw new UsageError(
      `Expected a list of {"role", "content"} objects in ${origin}, alone or under "messages".`,
    )
  }
  return list.map((entry: unknown, i) => {
    const message: unknown = withWholeText(entry)
    if (isMessage(message)) return message
    throw new UsageError(
      `Expected message ${i + 1} of ${origin} to have a "role" of ${ROLES.join(', ')} ` +
        'and a text as "content", or "tool_calls".',
    )
  })
}

/** Fields of its own go to the chat template as they are. */
function isMessage(entry: unknown): entry is ChatMessage {
  return isObject(entry) && ROLES.some((role) => role === entry['role']) && hasContent(entry)
}

/** Messages alone, or a saved state with messages in it, into which nobody has looked. */
export type SavedConversation = readonly ChatMessage[] | Uint8Array

/**
 * @param mostBytes of a saved state; 'start' reads no more than shows that it is one
 * @throws ConversationFileError if it is not a conversation
 * @throws the system's error if it cannot be read
 */
export async function readConversation(
  path: string,
  mostBytes: number | 'start' = 'start',
): Promise<SavedConversation> {
  const bytes = await readSaved(path, (isState) => (isState ? mostBytes : MAX_BYTES))
  if (isStateFile(bytes)) return bytes
  try {
    return parseMessages(decodeText(bytes, path), path, 0)
  } catch (error) {
    throw new ConversationFileError('content', messageOf(error))
  }
}

/**
 * What somebody saved.
 *
 * @param limit the most bytes that a state has, or another file
 * @throws ConversationFileError for what is no file, or too long
 * @throws the system's error if it cannot be read
 */
export async function readSaved(
  path: string,
  limit: (isState: boolean) => number | 'start',
): Promise<Uint8Array> {
  // A FIFO would otherwise keep the chat waiting for whoever writes into it.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    const facts = await handle.stat()
    if (!facts.isFile()) {
      throw new ConversationFileError('kind', `Expected ${path} to be a file.`)
    }
    const start = new Uint8Array(Math.min(facts.size, 64))
    await readFully(handle, start, 0)
    const most = limit(isStateFile(start))
    if (most === 'start') return start
    if (facts.size > most) {
      throw new ConversationFileError(
        'size',
        `Expected at most ${most} bytes of what was saved in ${path}, got ${facts.size}.`,
      )
    }
    const bytes = new Uint8Array(facts.size)
    // Of a file that became shorter the rest stays zero.
    await readFully(handle, bytes, 0)
    return bytes
  } finally {
    await handle.close()
  }
}

/**
 * Saves a conversation. An existing file is replaced only if it is a saved conversation itself, and
 * stays as it was if the new one cannot be written.
 *
 * @throws ConversationFileError if the path holds something else
 * @throws the system's error if it cannot be written
 */
export async function writeConversation(path: string, saved: SavedConversation): Promise<void> {
  // Through a link, the file that it points to is written.
  const target = await realpath(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  })
  if (target !== undefined) {
    await readConversation(target).catch((error: unknown) => {
      if (!(error instanceof ConversationFileError)) throw error
      const what = `${path} exists and is not a saved conversation. Choose another name.`
      throw new ConversationFileError('taken', what)
    })
  }
  const content = ArrayBuffer.isView(saved)
    ? saved
    : `${JSON.stringify({ messages: saved }, null, 2)}\n`
  await writeWhole(target ?? path, content)
}
