/**
 * A stand-in for files that carry no vocabulary, such as random weights for speed tests: tokens are
 * numbers. It lets every command run on such a file; it does not make the text mean anything.
 */
import { isWhole } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { TextTokenizer } from './text-tokenizer.ts'
import { checkCall } from './tokenizer-options.ts'

const DECIMAL_IDS = /^\s*\d+(?:\s+\d+)*\s*$/

/**
 * Encodes decimal ids separated by white space as those ids, and any other text as its UTF-8 bytes
 * modulo the vocabulary; decodes to ids separated by spaces.
 */
export function numericTokenizer(vocabSize: number): TextTokenizer {
  if (!isWhole(vocabSize, 1)) {
    throw new UsageError(`Expected a vocabulary of at least one token, got ${vocabSize}.`)
  }
  const encode: TextTokenizer['encode'] = (text, options = {}) => {
    checkCall('encode', options)
    if (!DECIMAL_IDS.test(text)) {
      return Array.from(new TextEncoder().encode(text), (byte) => byte % vocabSize)
    }
    return text
      .trim()
      .split(/\s+/)
      .map((word) => {
        const id = Number(word)
        if (id < vocabSize) return id
        throw new UsageError(`Expected token ids below ${vocabSize}, got ${id}.`)
      })
  }
  const encodeChat = () => {
    throw new UsageError(
      'Expected a model with a chat template, but this file has no vocabulary at all. ' +
        'Give a prompt instead of messages.',
    )
  }
  return {
    vocabSize,
    bosId: undefined,
    stopIds: [],
    description: `no vocabulary: the ${vocabSize} tokens are read and written as numbers`,
    chatTemplate: undefined,
    encode,
    *encodeSteps(text, options) {
      yield
      return encode(text, options)
    },
    decode(ids, options = {}) {
      checkCall('decode', options)
      return Array.from(ids).join(' ')
    },
    tokenText: String,
    tokenBytes: (id) => new TextEncoder().encode(` ${id}`),
    stream(options = {}) {
      checkCall('stream', options)
      let isFirst = true
      return {
        push(id) {
          const text = isFirst ? String(id) : ` ${id}`
          isFirst = false
          return text
        },
        end() {
          isFirst = true
          return ''
        },
      }
    },
    encodeChat,
    encodeChatSteps: encodeChat,
  }
}
