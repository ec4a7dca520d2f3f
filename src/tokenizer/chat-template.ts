/**
 * Renders a conversation with a model's Jinja template, in the environment that templates expect from
 * transformers.
 */
import { messageOf } from '../checks.ts'
import { FormatError, UsageError } from '../errors.ts'
import { compileTemplate, TemplateRefusal } from '../jinja/index.ts'
import type { ChatMessage, ToolDescription } from './text-tokenizer.ts'

/** Texts of named tokens, as templates know them: bos_token, eos_token and so on. */
export type TemplateTokens = Readonly<Record<string, string>>

interface RenderRequest {
  readonly messages: readonly ChatMessage[]
  /** Unset: none. */
  readonly tools?: readonly ToolDescription[] | undefined
  readonly addGenerationPrompt: boolean
  /** What the variable `token_break` means: see chat-format.ts. */
  readonly tokenBreak: string
  /** A character in the messages that is taken out of what is rendered: see content-mask.ts. */
  readonly mask?: string
}

/**
 * A function that renders conversations with a template, which is parsed when it is first used. It throws
 * UsageError if the template refuses the conversation, FormatError if the template is faulty, never ends,
 * or uses what is not supported.
 */
export function chatTemplate(source: string, tokens: TemplateTokens) {
  let render: ReturnType<typeof compileTemplate> | undefined
  return ({
    messages,
    tools,
    addGenerationPrompt,
    tokenBreak,
    mask = '',
  }: RenderRequest): string => {
    try {
      render ??= compileTemplate(source)
      const variables = {
        ...tokens,
        messages,
        add_generation_prompt: addGenerationPrompt,
        token_break: tokenBreak,
        tools: tools ?? null,
        documents: null,
      }
      return render(variables, { shown: mask + tokenBreak })
    } catch (cause) {
      if (cause instanceof TemplateRefusal) {
        throw new UsageError(
          `The model's chat template refuses this conversation: ${cause.message}`,
        )
      }
      throw new FormatError(
        'Expected a chat template that can be rendered, but this one does not work: ' +
          `${messageOf(cause)}. Give another template, or a prompt instead of messages.`,
        { field: 'chat_template', cause },
      )
    }
  }
}
