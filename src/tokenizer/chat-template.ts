/**
 * Renders a conversation with a model's Jinja template. The engine is `@huggingface/jinja`; the
 * environment is the one that templates expect from transformers, with a bound on loops, since a
 * template comes from a file.
 */
import { Environment, Interpreter, Template } from '@huggingface/jinja'
import { messageOf } from '../checks.ts'
import { FormatError, UsageError } from '../errors.ts'
import type { ChatMessage } from './text-tokenizer.ts'

/** Texts of named tokens, as templates know them: bos_token, eos_token and so on. */
export type TemplateTokens = Readonly<Record<string, string>>

interface RenderRequest {
  readonly messages: readonly ChatMessage[]
  readonly addGenerationPrompt: boolean
  /** What the variable `token_break` means: see chat-format.ts. */
  readonly tokenBreak: string
}

/** Items that all range() calls of one rendering may make; real templates use none. */
const MAX_RANGE_ITEMS = 100_000

const MONTHS =
  'January February March April May June July August September October November December'

/**
 * A function that renders conversations with a template, which is parsed when it is first used. It throws
 * UsageError if the template refuses the conversation, FormatError if the template is faulty.
 */
export function chatTemplate(source: string, tokens: TemplateTokens) {
  let parsed: Template['parsed'] | undefined
  return ({ messages, addGenerationPrompt, tokenBreak }: RenderRequest): string => {
    let refusal: string | undefined
    try {
      parsed ??= new Template(source).parsed
      const environment = createEnvironment((message) => {
        refusal = message
        throw new Error(message)
      })
      const variables = {
        ...tokens,
        messages: messages.map(({ role, content }) => ({ role, content })),
        add_generation_prompt: addGenerationPrompt,
        token_break: tokenBreak,
        tools: null,
        documents: null,
      }
      for (const [name, value] of Object.entries(variables)) environment.set(name, value)
      return String(new Interpreter(environment).run(parsed).value)
    } catch (cause) {
      if (refusal !== undefined) {
        throw new UsageError(`The model's chat template refuses this conversation: ${refusal}`)
      }
      throw new FormatError(
        'Expected a chat template that can be rendered, but it fails with: ' +
          `${messageOf(cause)}. Give another template, or a prompt instead of messages.`,
        { field: 'chat_template', cause },
      )
    }
  }
}

function createEnvironment(refuse: (message: string) => never): Environment {
  const environment = new Environment()
  for (const [name, value] of Object.entries({ true: true, false: false, none: null })) {
    environment.set(name, value)
    environment.set(name[0].toUpperCase() + name.slice(1), value)
  }
  let itemsLeft = MAX_RANGE_ITEMS
  environment.set('range', (first: number, second?: number, step = 1) => {
    const [start, stop] = typeof second === 'number' ? [first, second] : [0, first]
    const count = Math.max(0, Math.ceil((stop - start) / step))
    // Also refuses what is not a number: NaN compares false.
    if (!(count <= itemsLeft)) throw new Error(`range() of more than ${MAX_RANGE_ITEMS} items`)
    itemsLeft -= count
    return Array.from({ length: count }, (_, i) => start + i * step)
  })
  environment.set('raise_exception', (message: unknown) => refuse(String(message)))
  environment.set('strftime_now', (format: unknown) => formatDate(new Date(), String(format)))
  return environment
}

/** The conversions of Python's strftime that templates use, in English wherever it runs. */
function formatDate(date: Date, format: string): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const month = MONTHS.split(' ')[date.getMonth()]
  const values: Readonly<Record<string, string>> = {
    '%Y': String(date.getFullYear()),
    '%m': two(date.getMonth() + 1),
    '%d': two(date.getDate()),
    '%B': month,
    '%b': month.slice(0, 3),
    '%H': two(date.getHours()),
    '%M': two(date.getMinutes()),
    '%S': two(date.getSeconds()),
    '%%': '%',
  }
  return format.replace(/%[YmdBbHMS%]/g, (conversion) => values[conversion])
}
