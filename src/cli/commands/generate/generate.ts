/**
 * `bitnet generate`: continues a text, answers a conversation, or continues many texts together.
 * The text streams to standard output; speed and what really ran go to standard error.
 */

import { type Command, InvalidArgumentError, Option } from 'commander'
import { describe, isObject, withoutUnset } from '../../../checks.ts'
import { UsageError } from '../../../errors.ts'
import type { LanguageModel, Prompt } from '../../../generate/language-model.ts'
import type { GenerateOptions, GenerateResult } from '../../../generate/options.ts'
import { MAX_ANSWERS } from '../../../generate/schedule/batch.ts'
import { MAX_LOGPROBS } from '../../../generate/validate-options.ts'
import type { TextLine } from '../../../node/files/text-encoding.ts'
import { EMBEDDED } from '../../../node/resolve-model.ts'
import type { CommandContext } from '../../command-context.ts'
import { jsonOf, readLines } from '../../console/input.ts'
import { speedLine } from '../../console/speed-lines.ts'
import { EXIT } from '../../console/surroundings.ts'
import { isOpen, streamText, writeJson, writeLine } from '../../console/terminal.ts'
import { defineCommand } from '../../define-command.ts'
import { decimalNumber, wholeNumber, wholeNumbers } from '../../flags/flag-values.ts'
import { addSamplingFlags, type SamplingFlags } from '../../flags/generation-flags.ts'
import { addModelFlags, type ModelFlags } from '../../flags/load-flags.ts'
import {
  addSystemFlags,
  jsonOrFile,
  type PromptFlags,
  promptOf,
  readSystem,
  readText,
  readTools,
} from '../../flags/prompt-flags.ts'
import {
  addSpeculationFlags,
  loadModels,
  type SpeculationFlags,
} from '../../flags/speculation-flags.ts'
import { parseMessages } from '../chat/conversation-file.ts'
import { generateAnswers, generateBatch } from './batch.ts'
import { describeLogprobs } from './describe-logprobs.ts'
import { PromptCache } from './prompt-cache.ts'

export interface GenerateFlags extends TextFlags {
  readonly messages?: string
  readonly batch?: string
  readonly answers?: number
  readonly promptCache?: string
}

/** What every shell takes between double quotes, and a line has room for. */
const SHOWN = /^[^"$`\\!%\p{Cc}]{1,60}$/u

type Request =
  | { readonly prompt: Prompt }
  | { readonly batch: readonly TextLine[]; readonly system: string | undefined }

export const command = defineCommand<GenerateFlags, [prompt?: string]>({
  flags(command) {
    command
      .argument('[prompt]', 'text to continue (default: standard input)')
      .addOption(
        new Option('-p, --prompt <text>', 'the same; "-" reads standard input').conflicts([
          'messages',
          'batch',
        ]),
      )
      .addOption(
        new Option('-f, --file <path>', 'text to continue, from a file').conflicts([
          'prompt',
          'messages',
          'batch',
        ]),
      )
    addSystemFlags(command)
      .addOption(
        new Option(
          '--messages <json|file>',
          'conversation: a JSON list of {role, content}, or a file that holds one',
        ).conflicts(['batch', 'system', 'systemFile']),
      )
      .addOption(
        new Option(
          '--batch <file>',
          'prompts, one a line, generated together; "-" reads standard input',
        ).conflicts('tools'),
      )
      .addOption(
        new Option('--answers <count>', 'so many answers to the prompt (default: 1)')
          .argParser(wholeNumber({ min: 1, max: MAX_ANSWERS }))
          .conflicts(['batch']),
      )
      .addOption(
        new Option(
          '--prompt-cache <file>',
          'keeps what is computed of the prompt, and goes on from there next time (default: none)',
        ).conflicts(['batch']),
      )
    addTextFlags(addModelFlags(command))
  },
  examples: `\
  $ bitnet generate "Once upon a time" -n 50
  $ bitnet generate "むかしむかし" --temperature 0 --json
  $ echo "The sea was" | bitnet generate --stop "."
  $ bitnet generate -f notes.txt --system "Answer in one sentence."
  $ bitnet generate "The capital of Japan is" -n 4 --logprobs 5
  $ bitnet generate --messages '[{"role":"user","content":"Hello!"}]'
  $ bitnet generate "What is the weather in Kyoto?" --tools tools.json
  $ bitnet generate "Name a city." --schema '{"type":"object","properties":{"city":{"type":"string"}}}'
  $ bitnet generate --batch prompts.txt --seed 1
  $ bitnet generate -f contract.txt --prompt-cache contract.bin
  $ bitnet generate -f notes.txt --speculate --temperature 0`,
  async run(context, flags, words) {
    const tools = await readTools(flags)
    const request = await readRequest(words, flags, context)
    await answer(flags, context, async (model, given) => {
      if ('batch' in request) {
        return generateBatch(model, request.batch, request.system, given, context)
      }
      const { prompt } = request
      const { answers: n, promptCache: path } = flags
      const cache = path === undefined ? undefined : await PromptCache.open(path, model)
      const options = { ...given, ...tools }
      const results =
        n === undefined
          ? await generateOne(model, prompt, options, context)
          : await generateAnswers(model, prompt, { ...options, n }, context)
      await cache?.keep(results[0])
      if (results.some(isEmpty) && typeof prompt === 'string') {
        await sayHowToAsk(prompt, model, flags, context)
      }
      return results
    })
  },
})

function isEmpty({ text, finishReason }: GenerateResult): boolean {
  return text.trim() === '' && finishReason === 'stop'
}

/** A model that was taught to talk ends most questions at once: as texts they are whole. */
async function sayHowToAsk(
  prompt: string,
  { tokenizer }: LanguageModel,
  { model, stop, stopToken }: GenerateFlags,
  context: CommandContext,
): Promise<void> {
  if (tokenizer.chatTemplate === undefined || (stop ?? stopToken) !== undefined) return
  const name = model === undefined ? EMBEDDED : SHOWN.test(model) ? model : 'MODEL'
  const words = [
    name.includes(' ') ? `"${name}"` : name,
    `"${SHOWN.test(prompt) ? prompt : '...'}"`,
  ]
  await context.remark(
    `The model took the text for a whole one and ended it. For an answer: bitnet run ${words.join(' ')}`,
  )
}

/** Of the commands that generate, whatever they are given. */
export interface TextFlags extends ModelFlags, SamplingFlags, SpeculationFlags, PromptFlags {
  readonly logprobs?: number
  readonly stopToken?: readonly number[]
  readonly logitBias?: Readonly<Record<number, number>>
  readonly contextShift?: boolean
  readonly deadline?: number
  readonly schema?: string
  readonly json?: boolean
}

export function addTextFlags(command: Command): Command {
  const count = wholeNumber({ min: 0, max: MAX_LOGPROBS })
  return addSpeculationFlags(
    addSamplingFlags(command)
      .option(
        '--logprobs <count>',
        `how likely each token was, and so many of the likeliest (0 to ${MAX_LOGPROBS})`,
        count,
      )
      .option(
        '--stop-token <ids>',
        "ends at these tokens, too, with commas between (default: the model's end tokens)",
        wholeNumbers({ min: 0 }),
      )
      .option(
        '--logit-bias <id=value>',
        'added to the logit of a token; may be given several times (default: none)',
        collectBias,
      )
      .option(
        '--context-shift',
        'goes on where the context is full: drops the older half of the answer, keeps the prompt',
      )
      .option(
        '--deadline <seconds>',
        'ends the answer as far as it came by then (default: none)',
        decimalNumber({ above: 0 }),
      )
      .option(
        '--schema <json|file>',
        'the answer is JSON by this JSON Schema, given as text or in a file (default: any text)',
      ),
  )
}

function collectBias(text: string, earlier: Readonly<Record<number, number>> = {}) {
  const [, id, bias] = /^(\d{1,10})=([+-]?\S+)$/.exec(text) ?? []
  if (id === undefined) {
    throw new InvalidArgumentError(
      "Expected a token's id, =, and a number, such as 42=-5 or 42=-inf.",
    )
  }
  const isForbidden = bias.toLowerCase() === '-inf'
  return {
    ...earlier,
    [Number(id)]: isForbidden ? Number.NEGATIVE_INFINITY : decimalNumber({})(bias),
  }
}

/** Loads the model, and generates until it is done, stopped, or nobody reads any more. */
export async function answer(
  flags: TextFlags,
  context: CommandContext,
  generate: (model: LanguageModel, options: GenerateOptions) => Promise<readonly GenerateResult[]>,
): Promise<void> {
  const { stdout, abort } = context
  stdout.once('close', abort)
  try {
    const schema = await readSchema(flags, context)
    await using models = await loadModels(flags, context)
    const { logprobs, stopToken: stopTokens, logitBias, contextShift } = flags
    const deadline = flags.deadline && flags.deadline * 1000
    const options = {
      ...models.optionsWith(context.signal),
      ...withoutUnset({ logprobs, stopTokens, logitBias, contextShift, deadline, schema }),
    }
    const results = await generate(models.model, options)
    const cancelled = results.some(({ finishReason }) => finishReason === 'cancelled')
    if (cancelled && isOpen(stdout)) context.exitCode = EXIT.interrupted
  } finally {
    stdout.off('close', abort)
  }
}

/** @throws UsageError for what is no object of JSON */
async function readSchema({ schema }: TextFlags, { stdin }: CommandContext) {
  if (schema === undefined) return undefined
  const { text, origin } = await jsonOrFile(schema, '--schema', stdin)
  const value = jsonOf(text, origin)
  if (isObject(value)) return value
  throw new UsageError(`Expected a JSON Schema as an object in ${origin}, got ${describe(value)}.`)
}

/** Streams one generation to standard output, or prints its result as JSON. */
export async function generateOne(
  model: LanguageModel,
  prompt: Prompt,
  options: GenerateOptions,
  context: CommandContext,
): Promise<readonly [GenerateResult]> {
  const { stdout, isJson } = context
  const generation = model.generate(prompt, options)
  if (!isJson) await streamText(generation, stdout)
  const result = await generation.result
  if (isJson) await writeJson(stdout, result)
  else if (result.logprobs !== undefined) {
    const lines = describeLogprobs(result.logprobs, context.style.width)
    await writeLine(stdout, ['', ...lines].join('\n'))
  }
  await context.remark(speedLine(result))
  return [result]
}

/** @throws UsageError unless one kind of prompt was given and can be read */
async function readRequest(
  words: string | undefined,
  flags: GenerateFlags,
  context: CommandContext,
): Promise<Request> {
  const { stdin } = context
  const { messages, batch } = flags
  if (words !== undefined && (messages ?? batch) !== undefined) {
    throw new UsageError('Expected a prompt, --messages or --batch, got two of them.')
  }
  if (messages !== undefined) {
    const { text, origin } = await jsonOrFile(messages, '--messages', stdin)
    return { prompt: parseMessages(text, origin) }
  }
  const system = await readSystem(flags, stdin)
  if (batch !== undefined) {
    const lines = await readLines(batch, stdin)
    if (lines.length === 0) throw new UsageError(`Expected a prompt a line in ${batch}.`)
    return { batch: lines, system }
  }
  const text = await readText(words, flags, context)
  if (text !== undefined) return { prompt: promptOf(text, system, flags.tools !== undefined) }
  throw new UsageError(
    'Expected a prompt: give it as an argument, through a pipe, with -f FILE, --messages or --batch. ' +
      'See: bitnet generate --help',
  )
}
