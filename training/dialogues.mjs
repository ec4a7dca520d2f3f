/**
 * Writes dialogues of a text ("name: what is said" a line, documents between <|endoftext|>) as conversations that
 * `bitnet train` takes: the first to speak is the user.
 *
 *   xz -dc chat.txt.xz | node training/dialogues.mjs > chat.jsonl
 */
import { readFileSync } from 'node:fs'

/** A name is this long at most. */
const LONGEST_NAME = 12

for (const text of readFileSync(0, 'utf8').split('<|endoftext|>')) {
  const said = []
  for (const line of text.trim().split('\n')) {
    const at = line.search(/[:：]/)
    if (at > 0 && at <= LONGEST_NAME) said.push([line.slice(0, at), line.slice(at + 1).trim()])
    else if (said.length > 0) said.at(-1)[1] += `\n${line}`
  }
  const messages = said.map(([name, content]) => ({
    role: name === said[0][0] ? 'user' : 'assistant',
    content,
  }))
  if (messages.some(({ role }) => role === 'assistant')) {
    process.stdout.write(`${JSON.stringify({ messages })}\n`)
  }
}
