/**
 * Vocabularies of Llama 3's size are read in many steps of milliseconds, whatever file they come from: who shares the
 * thread waits for none of it.
 */
import { beforeAll, expect, test } from 'vitest'
import { memorySink } from '../src/formats/byte-sink.ts'
import { parseGguf } from '../src/formats/gguf/index.ts'
import { writeGguf } from '../src/formats/gguf/write-gguf.ts'
import { MAX_VOCABULARY_MARKS, parseJsonSteps } from '../src/formats/json-text.ts'
import { memorySource } from '../src/formats/memory-source.ts'
import { Seeded } from '../src/kernels/testing/conformance-cases.ts'
import type { Steps } from '../src/steps.ts'
import { bytesToAlphabet } from '../src/tokenizer/byte-alphabet.ts'
import {
  ggufTokenizer,
  jsonTokenizer,
  modelFileTokenizer,
} from '../src/tokenizer/open-tokenizer.ts'
import { byteLevelCuts } from '../src/tokenizer/tokenizer-json.ts'

const PIECES = 128_000
const MERGES = 250_000
const MARK = '\u2581'

let pieces: string[]
let merges: string[]

beforeAll(() => {
  const seeded = new Seeded(5)
  pieces = Array.from({ length: 256 }, (_, byte) => bytesToAlphabet(Uint8Array.of(byte)))
  merges = []
  const known = new Set(pieces)
  while (pieces.length < PIECES) {
    const left = pieces[seeded.below(pieces.length)]
    const right = pieces[seeded.below(Math.min(pieces.length, 4000))]
    const joined = left + right
    if (joined.length > 20 || known.has(joined)) continue
    known.add(joined)
    pieces.push(joined)
    merges.push(`${left} ${right}`)
  }
  // Other ways to make a piece, of which some are there already.
  for (const piece of pieces) {
    for (let at = 1; at < piece.length && merges.length < MERGES; at++) {
      const [left, right] = [piece.slice(0, at), piece.slice(at)]
      if (known.has(left) && known.has(right)) merges.push(`${left} ${right}`)
    }
  }
  expect(merges.length).toBe(MERGES)
}, 60_000)

/** Processor time in milliseconds, all threads together, and how many steps there were. */
function measured<T>(steps: Steps<T>): { value: T; all: number; longest: number; count: number } {
  let [all, longest] = [0, 0]
  for (let count = 1; ; count++) {
    const began = process.cpuUsage()
    const { done, value } = steps.next()
    const { user, system } = process.cpuUsage(began)
    const ms = (user + system) / 1000
    all += ms
    longest = Math.max(longest, ms)
    if (done === true) return { value, all, longest, count }
  }
}

/** No step takes much of the whole; a collection of garbage that falls into one is forgiven twice. */
function inSteps<T>(make: () => Steps<T>, least: number): T {
  for (let tries = 1; ; tries++) {
    const { value, all, longest, count } = measured(make())
    expect(count).toBeGreaterThan(least)
    if (longest < all / 5) return value
    if (tries === 3) expect(longest).toBeLessThan(all / 5)
  }
}

function jsonOf(model: object): Uint8Array {
  const json = {
    added_tokens: [{ id: PIECES, content: '<|begin|>', special: true }],
    normalizer: null,
    pre_tokenizer: byteLevelCuts([]),
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model,
  }
  return new TextEncoder().encode(JSON.stringify(json, null, 1))
}

const byPiece = () => Object.fromEntries(pieces.map((piece, id) => [piece, id]))

test('a tokenizer.json of byte-level BPE', () => {
  const bytes = jsonOf({ type: 'BPE', ignore_merges: true, vocab: byPiece(), merges })
  const json = inSteps(() => parseJsonSteps(bytes, MAX_VOCABULARY_MARKS), 20)
  expect(json).toEqual(JSON.parse(new TextDecoder().decode(bytes)))
  const tokenizer = inSteps(() => jsonTokenizer({ tokenizerJson: json }), 60)
  expect(tokenizer.vocabSize).toBe(PIECES + 1)
  expect(tokenizer.decode(tokenizer.encode('größe, 日本'), { skipSpecial: false })).toBe(
    'größe, 日本',
  )
}, 60_000)

test('a tokenizer.json of Unigram', () => {
  const vocab = pieces.map((piece, id) => [piece, -id])
  const bytes = jsonOf({ type: 'Unigram', unk_id: 0, vocab })
  const json = inSteps(() => parseJsonSteps(bytes, MAX_VOCABULARY_MARKS), 10)
  const tokenizer = inSteps(() => jsonTokenizer({ tokenizerJson: json }), 40)
  expect(tokenizer.vocabSize).toBe(PIECES + 1)
}, 60_000)

test.each(['gpt2', 'llama'])(
  'a GGUF file, %s',
  async (model) => {
    const scores = Float32Array.from([0, ...pieces], (_, id) => -id)
    const texts = (value: string[]) => ({ type: 'array', of: 'string', value }) as const
    const metadata = [
      ['tokenizer.ggml.model', { type: 'string', value: model }],
      ['tokenizer.ggml.tokens', texts([MARK, ...pieces])],
      ['tokenizer.ggml.merges', texts(merges)],
      ['tokenizer.ggml.scores', { type: 'array', of: 'f32', value: scores }],
    ] as const
    const sink = memorySink()
    await writeGguf(sink, { metadata, tensors: [] })
    const parsing = parseGguf(memorySource(sink.bytes(), 'large.gguf'))
    let turns = 0
    const others = setInterval(() => turns++, 0)
    const file = await parsing.finally(() => clearInterval(others))
    expect(turns).toBeGreaterThan(2)
    expect(file.metadata.get('tokenizer.ggml.tokens')).toEqual([MARK, ...pieces])
    expect(file.metadata.get('tokenizer.ggml.merges')).toEqual(merges)
    const tokenizer = inSteps(() => ggufTokenizer(file.metadata), model === 'gpt2' ? 60 : 20)
    expect(tokenizer.vocabSize).toBe(PIECES + 1)
  },
  60_000,
)

test('a tokenizer.model of tiktoken', () => {
  const bytes = [...Array(256).keys()].map((byte) => String.fromCharCode(byte))
  const ranked = [...bytes, ...pieces.slice(256).map((_, i) => `p${i}`)]
  const lines = ranked.map((piece, rank) => `${btoa(piece)} ${rank}\n`)
  const file = new TextEncoder().encode(lines.join(''))
  const tokenizer = inSteps(() => modelFileTokenizer(file, {}), 40)
  expect(tokenizer.vocabSize).toBe(PIECES + 256)
}, 60_000)
