/**
 * Tokenizers put together at random against the Rust library: what is read gives its ids and its texts. Others
 * than the usual ones: SEED=7 TOKENIZERS=5000 npx vitest run test/random-tokenizers.test.ts
 */
import { Tokenizer } from '@anush008/tokenizers'
import { expect, test } from 'vitest'
import { FormatError } from '../src/errors.ts'
import { tokenizerFromJson } from '../src/tokenizer/open-tokenizer.ts'
import { randomFrom, randomTexts } from './support/random-texts.ts'
import { CONTENTS, randomTokenizer } from './support/random-tokenizers.ts'

const SEED = Number(process.env['SEED'] ?? 1)
const TOKENIZERS = Number(process.env['TOKENIZERS'] ?? 150)
const TEXTS = 25
const MINUTES = 60_000

/** What differs first, if anything does; undefined of a tokenizer that is refused. */
async function difference(seed: number): Promise<string | undefined> {
  const json = randomTokenizer(seed)
  let ours: ReturnType<typeof tokenizerFromJson>
  try {
    ours = tokenizerFromJson({ tokenizerJson: json })
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
  const reference = Tokenizer.fromString(JSON.stringify(json))
  const unlike = (what: string, got: unknown, wanted: unknown) =>
    JSON.stringify(got) === JSON.stringify(wanted)
      ? undefined
      : `${seed}: ${what}: ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`
  const texts = randomTexts(seed, TEXTS, [...CONTENTS, '<s>', ' </s> ', '<unk>'])
  const wanted = await reference.encodeBatch(texts, { addSpecialTokens: false })
  for (const [i, text] of texts.entries()) {
    const ids = ours.encode(text, { parseSpecial: true, addBos: false })
    const found = unlike(`ids of ${JSON.stringify(text)}`, ids, Array.from(wanted[i].getIds()))
    if (found !== undefined) return found
  }
  const random = randomFrom(seed + 1)
  for (let i = 0; i < TEXTS; i++) {
    const ids = Array.from({ length: 1 + Math.floor(random() * 10) }, () =>
      Math.floor(random() ** 2 * ours.vocabSize),
    )
    const shown = await reference.decode(ids, true)
    const stream = ours.stream()
    const streamed = ids.map((id) => stream.push(id)).join('') + stream.end()
    const whole = ours.decode(ids, { skipSpecial: false })
    const found =
      unlike(`text of ${ids}`, ours.decode(ids), shown) ??
      unlike(`stream of ${ids}`, streamed, shown) ??
      unlike(`whole text of ${ids}`, whole, await reference.decode(ids, false))
    if (found !== undefined) return found
  }
  return ''
}

test(
  `${TOKENIZERS} random tokenizers are as in the Rust library, or refused`,
  async () => {
    const found: (string | undefined)[] = []
    for (let i = 0; i < TOKENIZERS; i++) found.push(await difference(SEED * 1e6 + i))
    expect(found.filter((one) => one !== undefined && one !== '')).toEqual([])
    const read = found.filter((one) => one === '').length
    expect(read).toBeGreaterThan(0.7 * TOKENIZERS)
  },
  10 * MINUTES,
)
