/**
 * `bitnet run MODEL [PROMPT]`: answers a prompt, or talks where there is none, as `ollama run` does.
 */
import { UsageError } from '../../../errors.ts'
import type { LanguageModel, Prompt } from '../../../generate/language-model.ts'
import type { LanguageFlag } from '../../console/language.ts'
import { counted } from '../../console/quantities.ts'
import { defineCommand } from '../../define-command.ts'
import { addLoadFlags } from '../../flags/load-flags.ts'
import {
  addSystemFlags,
  isFed,
  promptOf,
  readPiped,
  readSystem,
  readText,
  readTools,
} from '../../flags/prompt-flags.ts'
import { CHAT_SPEAKS, command as chat } from '../chat/chat.ts'
import { addTextFlags, answer, generateOne, type TextFlags } from '../generate/generate.ts'

interface RunFlags extends TextFlags, LanguageFlag {
  /** Of a conversation; false with --no-history. */
  readonly history?: boolean
}

export const command = defineCommand<RunFlags, [model: string, words: readonly string[]]>({
  flags(command) {
    command
      .argument('<model>', 'name (see bitnet models), owner/name, .gguf, .safetensors or folder')
      .argument('[prompt...]', 'what to answer (default: standard input, or a conversation)')
      .option('-f, --file <path>', 'what to answer, from a file')
      .option('--no-history', 'keep no typed lines of a conversation for the next time')
    addTextFlags(addLoadFlags(addSystemFlags(command)))
  },
  speaks: CHAT_SPEAKS,
  examples: `\
  $ bitnet run bitnet-2b                       a conversation
  $ bitnet run bitnet-2b "Why is the sky blue?"
  $ bitnet run bitnet-2b "Sum this up:" < notes.txt
  $ git log | bitnet run bitnet-2b --system "Write release notes."`,
  async run(context, given, name, words) {
    const { stdin } = context
    const flags = { ...given, model: name }
    const asked = words.length > 0 ? words.join(' ') : undefined
    const text = await readText(asked, flags, context)
    if (text === undefined) {
      if (stdin.isTTY !== true) {
        throw new UsageError('Expected a prompt as an argument or through the pipe, got none.')
      }
      const system = await readSystem(flags, stdin)
      const opening = system === undefined ? {} : { system }
      context.exitCode = await chat.run({ ...flags, ...opening }, context.surroundings)
      return
    }
    const piped = asked !== undefined && isFed(stdin) ? await readPiped(context) : ''
    if (piped !== '') {
      await context.remark(
        `Standard input is a part of the prompt: ${counted(piped.length, 'character')}.`,
      )
    }
    const system = await readSystem(flags, stdin)
    const tools = await readTools(flags)
    const whole = piped === '' ? text : `${piped}\n\n${text}`
    await answer(flags, context, (model, options) =>
      generateOne(
        model,
        messageTo(model, whole, system, flags.tools !== undefined),
        { ...options, ...tools },
        context,
      ),
    )
  },
})

/** A question to a model that was taught to answer; a beginning to one that was not. */
function messageTo(
  model: LanguageModel,
  text: string,
  system: string | undefined,
  hasTools: boolean,
): Prompt {
  return promptOf(text, system, hasTools || model.tokenizer.chatTemplate !== undefined)
}
