/**
 * `bitnet generate --batch`: a prompt a line, in shared passes. A line that cannot run costs itself alone.
 */
import type { BitnetError } from '../../../errors.ts'
import type { BatchOptions, LanguageModel, Prompt } from '../../../generate/language-model.ts'
import type { GenerateOptions, GenerateResult } from '../../../generate/options.ts'
import { checkRoom, encodePrompt } from '../../../generate/prompt.ts'
import type { TextLine } from '../../../node/files/text-encoding.ts'
import type { Steps } from '../../../steps.ts'
import { inTurns } from '../../../turns.ts'
import type { CommandContext } from '../../command-context.ts'
import { whyRefused } from '../../console/failure.ts'
import { batchSpeedLine } from '../../console/speed-lines.ts'
import { writeJson, writeLine } from '../../console/terminal.ts'
import { promptOf } from '../../flags/prompt-flags.ts'
import { describeLogprobs } from './describe-logprobs.ts'

/** An answer, or why there is none; `line` counts the file's lines from 1. */
type LineResult =
  | (GenerateResult & { readonly line: number })
  | { readonly line: number; readonly error: { readonly code: string; readonly message: string } }

/** @param system makes every line the question of a conversation */
export async function generateBatch(
  model: LanguageModel,
  lines: readonly TextLine[],
  system: string | undefined,
  options: GenerateOptions,
  context: CommandContext,
): Promise<readonly GenerateResult[]> {
  const start = performance.now()
  const given = lines.map(({ text }) => promptOf(text, system, false))
  const refused = (line: TextLine, i: number) => refusalOf(line, given[i], model)
  const refusals = await inTurns(lines, refused, context.signal)
  const prompts = given.filter((_, i) => refusals[i] === undefined)
  const answers = await model.generateBatch(prompts, options)
  const elapsedMs = performance.now() - start
  const left = answers.values()
  const results = lines.map(({ number: line }, i): LineResult => {
    const error = refusals[i]
    return error === undefined
      ? { line, ...(left.next().value as GenerateResult) }
      : { line, error: { code: error.code, message: error.message } }
  })
  const shown = results.flatMap((result, i) => {
    if ('error' in result) return []
    return [`[${i + 1}] ${lines[i].text}`, ...answerLines(result, context), '']
  })
  // Not a report of ours: no space of an answer may be lost to a narrow terminal.
  if (context.isJson) await writeJson(context.stdout, { results })
  else if (shown.length > 0) await writeLine(context.stdout, shown.join('\n'))
  for (const [i, error] of refusals.entries()) {
    if (error !== undefined) await context.complain(`[${i + 1}] ${error.message}`)
  }
  if (answers.length > 0) await context.remark(batchSpeedLine(answers, elapsedMs, model.backend))
  return answers
}

/** Several answers to one prompt, one after another, or as JSON. */
export async function generateAnswers(
  model: LanguageModel,
  prompt: Prompt,
  options: BatchOptions,
  context: CommandContext,
): Promise<readonly GenerateResult[]> {
  const start = performance.now()
  const results = await model.generateBatch([prompt], options)
  const elapsedMs = performance.now() - start
  if (context.isJson) await writeJson(context.stdout, { results })
  else {
    const shown = results.flatMap((result, i) => [
      `[${i + 1}]`,
      ...answerLines(result, context),
      '',
    ])
    await writeLine(context.stdout, shown.join('\n'))
  }
  await context.remark(batchSpeedLine(results, elapsedMs, model.backend))
  return results
}

/** An answer, and how likely it was where that was asked for. */
function answerLines({ text, logprobs }: GenerateResult, context: CommandContext): string[] {
  const probabilities = logprobs && ['', ...describeLogprobs(logprobs, context.style.width)]
  return [text.replace(/\n$/, ''), ...(probabilities ?? [])]
}

/** Why a line has no answer, before any other line is held up by it. */
function* refusalOf(
  { number, error }: TextLine,
  prompt: Prompt,
  { tokenizer, contextLength }: LanguageModel,
): Steps<BitnetError | undefined> {
  if (error !== undefined) return error
  return yield* whyRefused(function* () {
    const ids = yield* encodePrompt(tokenizer, prompt)
    checkRoom(`line ${number}`, ids, contextLength)
  })
}
