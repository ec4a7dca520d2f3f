/** What the AI SDK asks of a model, in our words. */
import type {
  LanguageModelV3CallOptions,
  LanguageModelV3Prompt,
  SharedV3Warning,
} from '@ai-sdk/provider'
import { withoutUnset } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { GenerateOptions } from '../generate/options.ts'
import { schemaOptions, type Tool, type ToolUse, toolUse } from '../server/openai/structure.ts'
import type { ChatMessage } from '../tokenizer/text-tokenizer.ts'

type Message = LanguageModelV3Prompt[number]
type Part = Exclude<Message['content'], string>[number]
type Result = Extract<Part, { type: 'tool-result' }>

export interface Call {
  readonly prompt: readonly ChatMessage[]
  readonly generate: GenerateOptions
  readonly tools: ToolUse | undefined
  readonly warnings: SharedV3Warning[]
}

/** @throws UsageError for what no model here takes: files, and tools that are no functions */
export function callOptions(options: LanguageModelV3CallOptions): Call {
  const { responseFormat: format, seed, toolChoice } = options
  const tools = toolUse(options.tools?.map(toolOf), choiceOf(toolChoice))
  const messages = options.prompt.flatMap(messagesOf)
  const schema = format?.type === 'json' ? format.schema : undefined
  const generate = withoutUnset({
    maxTokens: options.maxOutputTokens,
    temperature: options.temperature,
    topP: options.topP,
    topK: options.topK,
    presencePenalty: options.presencePenalty,
    frequencyPenalty: options.frequencyPenalty,
    stop: options.stopSequences,
    seed: seed === undefined ? undefined : seed >>> 0,
    signal: options.abortSignal,
  })
  const held = format?.type === 'json' ? schemaOptions(schema && { ...schema }) : {}
  return {
    prompt: tools === undefined ? messages : tools.shown(messages),
    generate: { ...generate, ...held, ...tools?.options },
    tools,
    warnings:
      tools !== undefined && format?.type === 'json'
        ? [{ type: 'unsupported', feature: 'responseFormat', details: 'not beside tools' }]
        : [],
  }
}

function toolOf(tool: NonNullable<LanguageModelV3CallOptions['tools']>[number]): Tool {
  if (tool.type !== 'function') {
    throw new UsageError(`Expected tools that are functions, got ${tool.id}.`)
  }
  const { name, description, inputSchema } = tool
  return { type: 'function', function: { name, description, parameters: { ...inputSchema } } }
}

function choiceOf(choice: LanguageModelV3CallOptions['toolChoice']) {
  if (choice?.type !== 'tool') return choice?.type
  return { type: 'function' as const, function: { name: choice.toolName } }
}

function messagesOf(message: Message): ChatMessage[] {
  if (message.role === 'system') return [{ role: 'system', content: message.content }]
  if (message.role === 'tool') {
    return message.content.flatMap((part) =>
      part.type === 'tool-result' ? [resultMessage(part)] : [],
    )
  }
  const calls = message.content.flatMap((part) =>
    part.type === 'tool-call'
      ? [{ id: part.toolCallId, function: { name: part.toolName, arguments: part.input } }]
      : [],
  )
  const content = message.content.map(textOf).join('')
  return [{ role: message.role, content, ...(calls.length > 0 ? { tool_calls: calls } : {}) }]
}

function resultMessage({ toolName: name, output }: Result): ChatMessage {
  const said = 'value' in output ? output.value : (output.reason ?? 'It was not allowed.')
  return { role: 'tool', name, content: typeof said === 'string' ? said : JSON.stringify(said) }
}

function textOf(part: Part): string {
  if (part.type === 'text') return part.text
  if (part.type === 'file') {
    throw new UsageError('Expected messages of text, got a file, which no model here can read.')
  }
  return ''
}
