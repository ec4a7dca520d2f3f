/**
 * What `npm start` runs, with the flags of `bitnet chat`. With a terminal: the chat. Without one: the
 * chat's openings with their answers, and a text with its continuation, each with its speed.
 */
import { Command } from 'commander'
import type { LanguageModel, Prompt } from '../generate/language-model.ts'
import type { CommandContext } from './command-context.ts'
import { addChatFlags, type ChatFlags } from './commands/chat/chat.ts'
import { CHAT_TEXTS } from './commands/chat/chat-texts.ts'
import type { ChatTexts } from './commands/chat/texts/english.ts'
import { reportFailure } from './console/failure.ts'
import { runInProcess } from './console/process.ts'
import { speedLine } from './console/speed-lines.ts'
import { EXIT, type Surroundings } from './console/surroundings.ts'
import { streamText, writeLine } from './console/terminal.ts'
import { defineCommand } from './define-command.ts'
import { generateOptions } from './flags/generation-flags.ts'
import { runCli } from './program.ts'

/** Tokens of a sample unless a flag says otherwise: some sentences, a second or two. */
const SAMPLE_TOKENS = 60

const samples = defineCommand<ChatFlags>({
  flags: addChatFlags,
  json: false,
  async run(context, flags) {
    await using model = await context.loadModel(flags)
    const languages =
      flags.lang === undefined ? Object.values(CHAT_TEXTS) : [CHAT_TEXTS[flags.lang]]
    for (const texts of languages) {
      for (const [shown, prompt] of samplesOf(model, texts, flags.system)) {
        if (!(await showSample(model, shown, prompt, flags, context))) return
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
  const talks =
    tokenizer.chatTemplate === undefined
      ? []
      : openings.map((content) => {
          const prompt: Prompt = [...opening, { role: 'user', content }]
          return [`> ${content}\n`, prompt] as const
        })
  // A continuation stands right behind what it continues.
  return [...talks, [beginning, beginning]]
}

/** @returns false if it was stopped */
async function showSample(
  model: LanguageModel,
  shown: string,
  prompt: Prompt,
  flags: ChatFlags,
  context: CommandContext,
): Promise<boolean> {
  const { stdout, signal } = context
  // A fixed seed: whoever tries this twice sees the same text.
  const options = generateOptions({ maxTokens: SAMPLE_TOKENS, seed: 1, ...flags }, signal)
  const generation = model.generate(prompt, options)
  await streamText(startingWith(shown, generation), stdout)
  const result = await generation.result
  await context.remark(speedLine(result))
  await writeLine(stdout)
  if (result.finishReason === 'cancelled') context.exitCode = EXIT.interrupted
  return result.finishReason !== 'cancelled'
}

async function* startingWith(text: string, rest: AsyncIterable<string>): AsyncIterable<string> {
  yield text
  yield* rest
}

async function runSamples(args: readonly string[], surroundings: Surroundings): Promise<number> {
  let exitCode: number = EXIT.ok
  const program = new Command('npm start --').exitOverride()
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
