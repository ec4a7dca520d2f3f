/**
 * Where a chat's lines come from: an editor on a terminal, or a pipe, whose lines are turns.
 */
import { createInterface } from 'node:readline'
import type { CommandContext } from '../../command-context.ts'
import { LineEditor } from '../../console/line-editor/line-editor.ts'
import type { InputStream, OutputStream } from '../../console/surroundings.ts'
import { completeCommand, isOpenMessage } from './chat-commands.ts'

const PROMPT = '> '

export interface LineSource {
  /** Whether a person types. */
  readonly isInteractive: boolean
  /** The next message; undefined where there is no more. */
  read(): Promise<string | undefined>
  close(): void
}

export interface LineSourceOptions {
  readonly history: string[]
  readonly leaveHint: string
  /** Ctrl-C while no line is read. */
  readonly onInterrupt: () => void
}

/** Whether there is a terminal to type at, and one to show what is typed. */
export function isTerminal({ stdin, stdout, stderr }: CommandContext): boolean {
  return stdin.isTTY === true && (stdout.isTTY === true || stderr.isTTY === true)
}

export function openLines(context: CommandContext, options: LineSourceOptions): LineSource {
  const { stdin, stdout, stderr, env } = context
  if (!isTerminal(context)) return plainLines(stdin, undefined)
  const output = stdout.isTTY === true ? stdout : stderr
  // Such a terminal can only show lines one below the other, and edits them itself.
  if (env['TERM'] === 'dumb') return plainLines(stdin, output)
  const editor = new LineEditor({
    input: stdin,
    output,
    prompt: PROMPT,
    complete: completeCommand,
    isUnfinished: isOpenMessage,
    ...options,
  })
  editor.open()
  return { isInteractive: true, read: () => editor.read(), close: () => editor.close() }
}

/** @param screen where a person sees what is typed, and a prompt */
function plainLines(stdin: InputStream, screen: OutputStream | undefined): LineSource {
  const lines = createInterface({ input: stdin, terminal: false, crlfDelay: Infinity })
  const iterator = lines[Symbol.asyncIterator]()
  return {
    isInteractive: screen !== undefined,
    async read() {
      screen?.write(PROMPT)
      let text: string | undefined
      do {
        const next = await iterator.next()
        if (next.done === true) return text
        text = text === undefined ? next.value : `${text}\n${next.value}`
      } while (isOpenMessage(text))
      return text
    },
    close: () => lines.close(),
  }
}
