/**
 * What is to be continued or answered: an argument, --prompt, --file or standard input, with a system
 * message in front or not.
 */
import { fstatSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { isObject } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import type { Prompt } from '../../generate/language-model.ts'
import type { ToolDescription } from '../../tokenizer/text-tokenizer.ts'
import type { CommandContext } from '../command-context.ts'
import { jsonOf, readPrompt, readTextFile } from '../console/input.ts'
import type { InputStream } from '../console/surroundings.ts'

export interface SystemFlags {
  readonly system?: string
  readonly systemFile?: string
  readonly tools?: string
}

export interface PromptFlags extends SystemFlags {
  readonly prompt?: string
  readonly file?: string
}

/** Adds --system, --system-file and --tools. */
export function addSystemFlags(command: Command): Command {
  return command
    .option('--system <text>', 'system message that opens the conversation (default: none)')
    .addOption(
      new Option(
        '--system-file <path>',
        'the same from a file; "-" reads standard input',
      ).conflicts('system'),
    )
    .option(
      '--tools <json|file>',
      'tools that the model may call, for its chat template: a JSON list, or a file that holds one',
    )
}

/**
 * The tools of --tools, as an option of generations.
 *
 * @throws UsageError | FormatError if they cannot be read
 */
export async function readTools({
  tools,
}: SystemFlags): Promise<{ readonly tools?: readonly ToolDescription[] }> {
  if (tools === undefined) return {}
  const { text, origin } = await jsonOrFile(tools, '--tools')
  const value = jsonOf(text, origin)
  const list = isObject(value) ? value['tools'] : value
  if (Array.isArray(list) && list.length > 0 && list.every(isObject)) return { tools: list }
  throw new UsageError(
    `Expected a list of tools in ${origin}, alone or under "tools": [{"type": "function", "function": ` +
      '{"name", "description", "parameters"}}].',
  )
}

/**
 * What a flag holds, or the file that it names, "-" being standard input.
 *
 * @throws UsageError | FormatError if the file cannot be read
 */
export async function jsonOrFile(
  value: string,
  flag: string,
  stdin?: InputStream,
): Promise<{ readonly text: string; readonly origin: string }> {
  if (/^\s*[[{]/.test(value)) return { text: value, origin: flag }
  return { text: await readTextFile(value, stdin), origin: value }
}

/** @throws UsageError | FormatError if the file cannot be read */
export async function readSystem(
  { system, systemFile }: SystemFlags,
  stdin: InputStream,
): Promise<string | undefined> {
  return systemFile === undefined ? system && checked(system) : readPrompt(systemFile, stdin)
}

/**
 * The one text that was given, or undefined. Without any, standard input is it, unless a person sits
 * there.
 *
 * @throws UsageError for two texts; UsageError | FormatError if one cannot be read
 */
export async function readText(
  words: string | undefined,
  { prompt, file }: PromptFlags,
  context: CommandContext,
): Promise<string | undefined> {
  const { stdin } = context
  const given = [words, prompt, file].filter((text) => text !== undefined)
  if (given.length > 1) {
    throw new UsageError('Expected one prompt: as an argument, after -p or in the file of -f.')
  }
  if (file !== undefined && file !== '-') return readPrompt(file, stdin)
  const text = words ?? prompt
  if (text !== undefined && text !== '-') return checked(text)
  const isAsked = (text ?? file) !== undefined
  if (!isAsked && stdin.isTTY === true) return undefined
  const piped = await readPiped(context)
  return !isAsked && piped === '' ? undefined : piped
}

/** All of standard input; whoever has left it open is told that it is waited for. */
export function readPiped(context: CommandContext): Promise<string> {
  return context.waitingFor('Reading standard input', () => readPrompt('-', context.stdin))
}

/** A text as it is, or as the question of a conversation, which a system message makes of it too. */
export function promptOf(
  text: string,
  system: string | undefined,
  isConversation: boolean,
): Prompt {
  const question = { role: 'user', content: text } as const
  if (system !== undefined) return [{ role: 'system', content: system }, question]
  return isConversation ? [question] : text
}

/** Whether somebody has put a pipe or a file there, and not only left a terminal or a socket open. */
export function isFed(stdin: InputStream & { readonly fd?: number }): boolean {
  if (stdin.isTTY === true || stdin.fd === undefined) return false
  try {
    const stat = fstatSync(stdin.fd)
    return stat.isFIFO() || stat.isFile()
  } catch {
    return false
  }
}

/** The system hands arguments over as text; what was not UTF-8 arrives as U+FFFD. */
function checked(text: string): string {
  if (!text.includes('\ufffd')) return text
  throw new UsageError(
    'Expected a prompt in UTF-8, but some of its bytes are not. Give it in a file with -f, whose encoding ' +
      'is told from its bytes.',
  )
}
