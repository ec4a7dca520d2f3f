/**
 * `bitnet generate`: continues a text, answers a conversation, or continues many texts together.
 * The text streams to standard output; speed and what really ran go to standard error.
 */
import { Option } from 'commander'
import { UsageError } from '../../../errors.ts'
import type { LanguageModel, Prompt } from '../../../generate/language-model.ts'
import type { GenerateOptions, GenerateResult } from '../../../generate/options.ts'
import type { CommandContext } from '../../command-context.ts'
import { readAll, readLines, readTextFile } from '../../console/input.ts'
import { batchSpeedLine, speedLine } from '../../console/speed-lines.ts'
import { EXIT, type InputStream } from '../../console/surroundings.ts'
import { isOpen, streamText, writeJson } from '../../console/terminal.ts'
import { defineCommand } from '../../define-command.ts'
import { addSamplingFlags, type SamplingFlags } from '../../flags/generation-flags.ts'
import { addModelFlags, type ModelFlags } from '../../flags/load-flags.ts'
import {
  addSpeculationFlags,
  loadModels,
  type SpeculationFlags,
} from '../../flags/speculation-flags.ts'
import { parseMessages } from '../chat/conversation-file.ts'

export interface GenerateFlags extends ModelFlags, SamplingFlags, SpeculationFlags {
  readonly prompt?: string
  readonly messages?: string
  readonly batch?: string
  readonly json?: boolean
}

type Request = { readonly prompt: Prompt } | { readonly batch: readonly string[] }

export const command = defineCommand<GenerateFlags>({
  flags(command) {
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
  },
  examples: `\
  $ bitnet generate -p "Once upon a time" -n 50
  $ bitnet generate -p "むかしむかし" --temperature 0 --json
  $ echo "The sea was" | bitnet generate -p - --stop "."
  $ bitnet generate --messages '[{"role":"user","content":"Hello!"}]'
  $ bitnet generate --batch prompts.txt --seed 1
  $ bitnet generate -p - --speculate --temperature 0 < notes.txt`,
  async run(context, flags) {
    const { stdin, stdout, abort } = context
    const request = await readRequest(flags, stdin)
    stdout.once('close', abort)
    try {
      await using models = await loadModels(flags, context)
      const { model } = models
      const options = models.optionsWith(context.signal)
      const results =
        'batch' in request
          ? await generateMany(model, request.batch, options, context)
          : [await generateOne(model, request.prompt, options, context)]
      const cancelled = results.some(({ finishReason }) => finishReason === 'cancelled')
      if (cancelled && isOpen(stdout)) context.exitCode = EXIT.interrupted
    } finally {
      stdout.off('close', abort)
    }
  },
})

/** Streams one generation to standard output, or prints its result as JSON. */
export async function generateOne(
  model: LanguageModel,
  prompt: Prompt,
  options: GenerateOptions,
  context: CommandContext,
): Promise<GenerateResult> {
  const { stdout, isJson } = context
  const generation = model.generate(prompt, options)
  if (!isJson) await streamText(generation, stdout)
  const result = await generation.result
  if (isJson) await writeJson(stdout, result)
  await context.remark(speedLine(result))
  return result
}

async function generateMany(
  model: LanguageModel,
  prompts: readonly string[],
  options: GenerateOptions,
  context: CommandContext,
): Promise<readonly GenerateResult[]> {
  const start = performance.now()
  const results = await model.generateBatch(prompts, options)
  const elapsedMs = performance.now() - start
  await context.print({ results }, () =>
    results.flatMap(({ text }, i) => [`[${i + 1}] ${prompts[i]}`, text.replace(/\n$/, ''), '']),
  )
  await context.remark(batchSpeedLine(results, elapsedMs, model.backend))
  return results
}

/** @throws UsageError unless exactly one kind of prompt was given and can be read */
async function readRequest(flags: GenerateFlags, stdin: InputStream): Promise<Request> {
  // `echo` and editors put a line end last.
  if (flags.prompt === '-') return { prompt: (await readAll(stdin)).replace(/\r?\n$/, '') }
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
    const batch = await readLines(flags.batch)
    if (batch.length === 0) throw new UsageError(`Expected a prompt a line in ${flags.batch}.`)
    return { batch }
  }
  throw new UsageError(
    'Expected a prompt: give -p TEXT, -p - for standard input, --messages or --batch. ' +
      'See: bitnet generate --help',
  )
}
