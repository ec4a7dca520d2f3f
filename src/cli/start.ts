/**
 * What `npm start` runs, with the flags of `bitnet chat`. With a terminal: the chat. Without one: the
 * chat's openings with their answers, each with its speed; of a model that was not taught to answer, a text
 * and its continuation.
 */
import type { LanguageModel, Prompt } from '../generate/language-model.ts'
import type { CommandContext } from './command-context.ts'
import { addChatFlags, CHAT_SPEAKS, type ChatFlags } from './commands/chat/chat.ts'
import { CHAT_TEXTS } from './commands/chat/chat-texts.ts'
import type { ChatTexts } from './commands/chat/texts/english.ts'
import { reportFailure } from './console/failure.ts'
import { runInProcess } from './console/process.ts'
import { EXIT, type Surroundings } from './console/surroundings.ts'
import { streamText, writeLine } from './console/terminal.ts'
import { defineCommand } from './define-command.ts'
import { generateOptions } from './flags/generation-flags.ts'
import { framed, runCli } from './program.ts'

/** Tokens of a continuation, which has no end of its own: some sentences. Answers end by themselves. */
const CONTINUATION_TOKENS = 60

const samples = defineCommand<ChatFlags>({
  flags: addChatFlags,
  speaks: CHAT_SPEAKS,
  json: false,
  async run(context, flags) {
    await using model = await context.loadModel(flags)
    const languages =
      flags.lang === undefined ? Object.values(CHAT_TEXTS) : [CHAT_TEXTS[flags.lang]]
    for (const texts of languages) {
      for (const [shown, prompt] of samplesOf(model, texts, flags.system)) {
        if (!(await showSample(model, { shown, prompt, texts }, flags, context))) return
      }
    }
  },
})

/** Prompts, each with what is shown before its answer. */
function samplesOf(
  { tokenizer }: LanguageModel,
  { openings, beginning }: ChatTexts,
  system: string | undefined,
): (readonly [shown: string, prompt: Prompt])[] {
  const opening = system === undefined ? [] : [{ role: 'system', content: system } as const]
  // A continuation stands right behind what it continues.
  if (tokenizer.chatTemplate === undefined) return [[beginning, beginning]]
  return openings.map((content) => {
    const prompt: Prompt = [...opening, { role: 'user', content }]
    return [`> ${content}\n`, prompt]
  })
}

interface Sample {
  /** Before the answer. */
  readonly shown: string
  readonly prompt: Prompt
  readonly texts: ChatTexts
}

/** @returns false if it was stopped */
async function showSample(
  model: LanguageModel,
  { shown, prompt, texts }: Sample,
  flags: ChatFlags,
  context: CommandContext,
): Promise<boolean> {
  const { stdout, signal } = context
  // A fixed seed: whoever tries this twice sees the same text.
  const length = typeof prompt === 'string' ? { maxTokens: CONTINUATION_TOKENS } : {}
  const options = generateOptions({ ...length, seed: 1, ...flags }, signal)
  const generation = model.generate(prompt, options)
  await streamText(startingWith(shown, generation), stdout)
  const result = await generation.result
  const { usage, timings, backend } = result
  const speed = texts.speed(usage.completionTokens, timings.decodeTokensPerSecond.toFixed(1))
  await context.remark(`${speed} · ${backend.description}`)
  await writeLine(stdout)
  if (result.finishReason === 'cancelled') context.exitCode = EXIT.interrupted
  return result.finishReason !== 'cancelled'
}

async function* startingWith(text: string, rest: AsyncIterable<string>): AsyncIterable<string> {
  yield text
  yield* rest
}

async function runSamples(args: readonly string[], around: Surroundings): Promise<number> {
  const surroundings = { ...around, args }
  let exitCode: number = EXIT.ok
  const program = framed('npm start --', surroundings)
  samples.addTo(program, surroundings, (code) => {
    exitCode = code
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    return reportFailure(error, surroundings)
  }
}

await runInProcess((surroundings) => {
  const args = process.argv.slice(2)
  return surroundings.stdin.isTTY === true
    ? runCli(['chat', ...args], surroundings)
    : runSamples(args, surroundings)
})
