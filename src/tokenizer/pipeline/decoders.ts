/**
 * How pieces become text: a tokenizer.json's decoder, as a chain that takes tokens one at a time, so that
 * a stream gives what decoding all of them gives. Steps before the pieces are joined see whole tokens;
 * those behind see one text that grows.
 */

import { finish } from '../../steps.ts'
import { alphabetToBytes } from '../byte-alphabet.ts'
import { BYTE_PIECE } from '../piece-bytes.ts'
import { findAll, findText } from '../regex/expression.ts'
import { replaced } from './normalizers.ts'
import { chainOf, type Part } from './parts.ts'

interface Stage {
  push(token: string): void
  end(): void
}

/**
 * @param emit takes the stage's tokens, or pieces of its text, as they become certain
 * @param continues other tokens came before the first
 */
type OpenStage = (emit: (text: string) => void, continues: boolean) => Stage

export interface PieceStream {
  push(token: string): string
  end(): string
}

/**
 * @returns 'byte-level' if that is all there is to it
 * @throws FormatError naming the step that is damaged or not supported
 */
export function decoderOf(value: unknown): 'byte-level' | ((continues: boolean) => PieceStream) {
  const parts = chainOf(value, 'decoder', 'decoders')
  if (parts.length === 1 && parts[0].type === 'ByteLevel') return 'byte-level'
  const stages: OpenStage[] = parts.length === 0 ? [spaced] : []
  let isJoined = false
  for (const part of parts) {
    stages.push(isJoined ? joinedStage(part) : stageOf(part))
    isJoined ||= part.type === 'Fuse' || part.type === 'ByteLevel'
  }
  return (continues) => {
    let text = ''
    const take = () => {
      const taken = text
      text = ''
      return taken
    }
    const last = {
      push(token: string) {
        text += token
      },
      end() {},
    }
    const first = stages.reduceRight((next: Stage, stage): Stage => {
      const { push, end } = stage(next.push, continues)
      return {
        push,
        end() {
          end()
          next.end()
        },
      }
    }, last)
    return {
      push(token) {
        first.push(token)
        return take()
      },
      end() {
        first.end()
        return take()
      },
    }
  }
}

const eachToken =
  (change: (token: string) => string): OpenStage =>
  (emit) => ({ push: (token) => emit(change(token)), end() {} })

/** Without a decoder the Rust library puts a space between tokens. */
const spaced: OpenStage = (emit, continues) => {
  let isFirst = !continues
  return {
    push(token) {
      emit(isFirst ? token : ` ${token}`)
      isFirst = false
    },
    end() {},
  }
}

function stageOf(part: Part): OpenStage {
  switch (part.type) {
    case 'ByteLevel':
      return byteLevel
    case 'ByteFallback':
      return byteFallback
    case 'Fuse':
      return eachToken((token) => token)
    case 'Metaspace':
      return metaspace(part)
    case 'Replace':
      return replace(part)
    case 'Strip':
      return strip(part)
    case 'BPEDecoder':
      return suffixed(part.text('suffix'))
    default:
      throw part.refuse(
        'it is not one of those that give the same text here as in the Rust library',
      )
  }
}

/** What may follow once tokens are joined. */
function joinedStage(part: Part): OpenStage {
  if (part.type === 'Fuse') return eachToken((text) => text)
  if (part.type === 'Strip') return stripJoined(part)
  throw part.refuse(
    'it follows Fuse or ByteLevel, which leave one text that is not there until the end',
  )
}

const utf8 = new TextEncoder()
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const byteLevel: OpenStage = (emit) => {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return {
    push(token) {
      const bytes = alphabetToBytes(token) ?? utf8.encode(token)
      emit(decoder.decode(bytes, { stream: true }))
    },
    end: () => emit(decoder.decode()),
  }
}

/**
 * Tokens `<0x..>` that follow each other are the bytes of one text; if they are no UTF-8, each of them is
 * U+FFFD. So nothing of them is certain before another token comes.
 */
const byteFallback: OpenStage = (emit) => {
  let bytes: number[] = []
  const flush = () => {
    const done = bytes
    if (done.length === 0) return
    bytes = []
    let text: string
    try {
      text = strictUtf8.decode(Uint8Array.from(done))
    } catch {
      for (let i = 0; i < done.length; i++) emit('\ufffd')
      return
    }
    emit(text)
  }
  return {
    push(token) {
      const byte = BYTE_PIECE.exec(token)
      if (byte !== null) bytes.push(Number.parseInt(byte[1], 16))
      else {
        flush()
        emit(token)
      }
    },
    end: flush,
  }
}

/** Marks are spaces; in the first token they were put there. */
function metaspace(part: Part): OpenStage {
  const mark = part.character('replacement')
  const scheme = part.choice('prepend_scheme', ['first', 'never', 'always'], 'always')
  const isPrepended = scheme !== 'never' && part.boolean('add_prefix_space', true)
  return (emit, continues) => {
    let isFirst = !continues
    return {
      push(token) {
        emit(token.replaceAll(mark, isFirst && isPrepended ? '' : ' '))
        isFirst = false
      },
      end() {},
    }
  }
}

function replace(part: Part): OpenStage {
  const { kind, text } = part.pattern()
  const content = part.text('content')
  const find = kind === 'Regex' ? findAll(text, 'tokenizer.json') : findText(text)
  return eachToken((token) => replaced(token, finish(find(token)), content))
}

const MAX_STRIPPED = 1024
/** For more the Rust library looks at other characters than the last ones. */
const MAX_STRIPPED_BEHIND = 1

function stripLimits(part: Part) {
  const content = part.character('content')
  const start = part.whole('start', MAX_STRIPPED)
  return { content, start, stop: part.whole('stop', MAX_STRIPPED_BEHIND) }
}

/** Takes a character away at the ends of each token. */
function strip(part: Part): OpenStage {
  const { content, start, stop } = stripLimits(part)
  return eachToken((token) => {
    let text = token
    for (let i = 0; i < start && text.startsWith(content); i++) text = text.slice(content.length)
    // One that is empty already has nothing left to lose.
    for (let i = 0; i < stop && text.endsWith(content); i++) text = text.slice(0, -content.length)
    return text
  })
}

/** The same at the ends of the whole text: what may be its end waits. */
function stripJoined(part: Part): OpenStage {
  const { content, start, stop } = stripLimits(part)
  return (emit, continues) => {
    let left = continues ? 0 : start
    let waiting = ''
    return {
      push(token) {
        let text = token
        for (; left > 0 && text.startsWith(content); left--) text = text.slice(content.length)
        if (text !== '') left = 0
        text = waiting + text
        let cut = text.length
        for (let i = 0; i < stop && text.endsWith(content, cut); i++) cut -= content.length
        waiting = text.slice(cut)
        emit(text.slice(0, cut))
      },
      end() {
        waiting = ''
      },
    }
  }
}

/** The mark of a word's end is a space, but not at the end of the text. */
function suffixed(suffix: string): OpenStage {
  return (emit) => {
    let waiting: string | undefined
    const flush = (space: string) => {
      if (waiting !== undefined) emit(waiting.replaceAll(suffix, space))
      waiting = undefined
    }
    return {
      push(token) {
        flush(' ')
        waiting = token
      },
      end: () => flush(''),
    }
  }
}
