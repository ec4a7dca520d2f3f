/**
 * Conversations as JSON: a list of {role, content}, alone or under `messages`. The text may come
 * from anybody, so every entry is checked before a model sees it.
 */
import { constants } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import { isObject } from '../../../checks.ts'
import { UsageError } from '../../../errors.ts'
import { errorCode } from '../../../node/files/system.ts'
import { writeWhole } from '../../../node/files/write-file.ts'
import { type ChatMessage, hasContent, ROLES } from '../../../tokenizer/text-tokenizer.ts'
import { jsonOf } from '../../console/input.ts'

/** Years of talking; what is longer is another file. */
const MAX_BYTES = 64 * 2 ** 20

/** What is at a path is not what a conversation is kept in; `taken` is no place to save one either. */
export class ConversationFileError extends UsageError {
  readonly reason: 'kind' | 'size' | 'content' | 'taken'

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
    if (isMessage(entry)) return entry
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

/**
 * @throws ConversationFileError if it is not a conversation
 * @throws the system's error if it cannot be read
 */
export async function readConversation(path: string): Promise<ChatMessage[]> {
  const text = await textOf(path)
  try {
    return parseMessages(text, path, 0)
  } catch (error) {
    throw new ConversationFileError('content', (error as UsageError).message)
  }
}

async function textOf(path: string): Promise<string> {
  // A FIFO would otherwise keep the chat waiting for whoever writes into it.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  try {
    const facts = await handle.stat()
    if (!facts.isFile()) {
      throw new ConversationFileError('kind', `Expected ${path} to be a file.`)
    }
    if (facts.size > MAX_BYTES) {
      throw new ConversationFileError(
        'size',
        `Expected a saved conversation of at most ${MAX_BYTES} bytes in ${path}, got ${facts.size}.`,
      )
    }
    return await handle.readFile('utf8')
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
export async function writeConversation(
  path: string,
  messages: readonly ChatMessage[],
): Promise<void> {
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
  await writeWhole(target ?? path, `${JSON.stringify({ messages }, null, 2)}\n`)
}
