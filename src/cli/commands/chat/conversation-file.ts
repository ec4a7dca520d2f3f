/**
 * Conversations as JSON: a list of {role, content}, alone or under `messages`. The text may come
 * from anybody, so every entry is checked before a model sees it.
 */
import { writeFile } from 'node:fs/promises'
import { isObject } from '../../../checks.ts'
import { UsageError } from '../../../errors.ts'
import type { ChatMessage } from '../../../tokenizer/text-tokenizer.ts'
import { isSystemError } from '../../console/failure.ts'
import { readTextFile } from '../../console/input.ts'

const ROLES: readonly string[] = ['system', 'user', 'assistant']

/**
 * @param origin what the text is, for messages: "--messages" or a path
 * @throws UsageError unless it is a list of messages with at least one entry
 */
export function parseMessages(text: string, origin: string): ChatMessage[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new UsageError(`Expected JSON in ${origin}: ${(error as Error).message}.`)
  }
  const list = isObject(value) ? value['messages'] : value
  if (!Array.isArray(list) || list.length === 0) {
    throw new UsageError(
      `Expected a list of {"role", "content"} objects in ${origin}, alone or under "messages".`,
    )
  }
  return list.map((entry: unknown, i) => {
    const role = isObject(entry) ? entry['role'] : undefined
    const content = isObject(entry) ? entry['content'] : undefined
    if (typeof role !== 'string' || !ROLES.includes(role) || typeof content !== 'string') {
      throw new UsageError(
        `Expected message ${i + 1} of ${origin} to have a "role" of ${ROLES.join(', ')} ` +
          'and a text as "content".',
      )
    }
    return { role: role as ChatMessage['role'], content }
  })
}

/** @throws UsageError if the file cannot be read or is not a conversation */
export async function readConversation(path: string): Promise<ChatMessage[]> {
  return parseMessages(await readTextFile(path), path)
}

/**
 * Saves a conversation. An existing file is replaced only if it is a saved conversation itself.
 *
 * @throws UsageError if the path holds something else or cannot be written
 */
export async function writeConversation(
  path: string,
  messages: readonly ChatMessage[],
): Promise<void> {
  const text = `${JSON.stringify({ messages }, null, 2)}\n`
  try {
    await writeFile(path, text, { flag: 'wx' })
  } catch (error) {
    if (!isSystemError(error)) throw error
    if (error.code !== 'EEXIST') throw new UsageError(`Cannot write ${path}: ${error.message}.`)
    try {
      await readConversation(path)
    } catch {
      throw new UsageError(`${path} exists and is not a saved conversation. Choose another name.`)
    }
    await writeFile(path, text)
  }
}
