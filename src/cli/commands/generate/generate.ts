/**
 * `bitnet generate`: continues a text, answers a conversation, or continues many texts together.
 * The text streams to standard output; speed and what really ran go to standard error.
 */
import { type Command, Option } from 'commander'
import { UsageError } from '../../../errors.ts'
import type { LanguageModel, Prompt } from '../../../generate/language-model.ts'
import type { GenerateOptions, GenerateResult } from '../../../generate/options.ts'
import {
  EXIT,
  type InputStream,
  interruption,
  type Surroundings,
} from '../../console/surroundings.ts'
import { dim, isOpen, writeJson, writeLine, writeText } from '../../console/terminal.ts'
import {
  addModelFlags,
  addSamplingFlags,
  type ModelFlags,
  type SamplingFlags,
} from '../../flags/generation-flags.ts'
import {
  addSpeculationFlags,
  loadModels,
  type SpeculationFlags,
} from '../../flags/speculation-flags.ts'
import { batchSpeedLine, speedLine } from '../bench/speed-report-file.ts'
import { parseMessages, readTextFile } from '../chat/conversation-file.ts'

export interface GenerateFlags extends ModelFlags, SamplingFlags, SpeculationFlags {
  readonly prompt?: string
  readonly messages?: string
  readonly batch?: string
  readonly json?: boolean
}

type Request = { readonly prompt: Prompt } | { readonly batch: readonly string[] }

export function addGenerateCommand(
  command: Command,
  run: (flags: GenerateFlags) => Promise<void>,
): void {
  command
    .addOption(
      new Option('-p, --prompt <text>', 'text to continue; "-" reads standard input').conflicts([
        'messages',
        'batch',
      ]),
    )
    .addOption(
      new Option(
        '--messages <json|file>',
        'conversation: a JSON list of {role, content}, or a file that holds one',
      ).conflicts(['prompt', 'batch']),
    )
    .option('--batch <file>', 'prompts, one a line (blank lines are skipped), generated together')
  addSpeculationFlags(addSamplingFlags(addModelFlags(command)))
    .option('--json', 'print one JSON object, and nothing else, on standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ bitnet generate -p "Once upon a time" -n 50
  $ bitnet generate -p "むかしむかし" --temperature 0 --json
  $ echo "The sea was" | bitnet generate -p - --stop "."
  $ bitnet generate --messages '[{"role":"user","content":"Hello!"}]'
  $ bitnet generate --batch prompts.txt --seed 1
  $ bitnet generate -p - --speculate --temperature 0 < notes.txt`,
    )
    .action(run)
}

/** @returns the exit code */
export async function runGenerate(
  flags: GenerateFlags,
  surroundings: Surroundings,
): Promise<number> {
  const request = await readRequest(flags, surroundings.stdin)
  const { signal, abort, [Symbol.dispose]: release } = interruption(surroundings)
  surroundings.stdout.once('close', abort)
  try {
    await using models = await loadModels(flags, surroundings, signal)
    const { model } = models
    const options = models.optionsWith(signal)
    const results =
      'batch' in request
        ? await generateMany(model, request.batch, options, flags, surroundings)
        : [await generateOne(model, request.prompt, options, flags, surroundings)]
    const cancelled = results.some(({ finishReason }) => finishReason === 'cancelled')
    return cancelled && isOpen(surroundings.stdout) ? EXIT.interrupted : EXIT.ok
  } finally {
    release()
    surroundings.stdout.off('close', abort)
  }
}

/** Streams one generation to standard output, or prints its result as JSON. */
export async function generateOne(
  model: LanguageModel,
  prompt: Prompt,
  options: GenerateOptions,
  { json }: Pick<GenerateFlags, 'json'>,
  { stdout, stderr, env }: Surroundings,
): Promise<GenerateResult> {
  const generation = model.generate(prompt, options)
  if (!json) {
    let last = ''
    for await (const piece of generation) {
      if (!(await writeText(stdout, piece))) break
      if (piece !== '') last = piece
    }
    if (!last.endsWith('\n')) await writeLine(stdout)
  }
  const result = await generation.result
  if (json) await writeJson(stdout, result)
  await writeLine(stderr, dim(speedLine(result), stderr, env))
  return result
}

async function generateMany(
  model: LanguageModel,
  prompts: readonly string[],
  options: GenerateOptions,
  { json }: GenerateFlags,
  { stdout, stderr, env }: Surroundings,
): Promise<readonly GenerateResult[]> {
  const start = performance.now()
  const results = await model.generateBatch(prompts, options)
  const elapsedMs = performance.now() - start
  if (json) await writeJson(stdout, { results })
  else {
    for (const [i, result] of results.entries()) {
      const end = result.text.endsWith('\n') ? '' : '\n'
      await writeText(stdout, `[${i + 1}] ${prompts[i]}\n${result.text}${end}\n`)
    }
  }
  await writeLine(stderr, dim(batchSpeedLine(results, elapsedMs, model.backend), stderr, env))
  return results
}

/** @throws UsageError unless exactly one kind of prompt was given and can be read */
async function readRequest(flags: GenerateFlags, stdin: InputStream): Promise<Request> {
  if (flags.prompt === '-') return { prompt: await readAll(stdin) }
  if (flags.prompt !== undefined) return { prompt: flags.prompt }
  if (flags.messages !== undefined) {
    const isJson = /^\s*[[{]/.test(flags.messages)
    return {
      prompt: isJson
        ? parseMessages(flags.messages, '--messages')
        : parseMessages(await readTextFile(flags.messages), flags.messages),
    }
  }
  if (flags.batch !== undefined) {
    const batch = (await readTextFile(flags.batch)).split(/\r?\n/).filter((line) => line.trim())
    if (batch.length === 0) throw new UsageError(`Expected a prompt a line in ${flags.batch}.`)
    return { batch }
  }
  throw new UsageError(
    'Expected a prompt: give -p TEXT, -p - for standard input, --messages or --batch. ' +
      'See: bitnet generate --help',
  )
}

/** All of standard input without the line end that `echo` and editors put last. */
async function readAll(stdin: InputStream): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}
