/**
 * The data that the embedded model is tuned on: that it is whole, that sums are right, and that nothing of what is
 * held out is learnt.
 */
import { describe, expect, test } from 'vitest'

// Programs of Node, without types.
const program = (name: string) => import(new URL(`../training/${name}.mjs`, import.meta.url).href)
const { guide, tuningData } = await program('guide/data')
const { solve, sums, wordingsOf } = await program('guide/sums')
const { otherWordings, plain, randomNumbers } = await program('guide/wordings')
const { acceptanceBy, isHeldOut, isVery } = await program('scoring')

interface Turn {
  readonly user: readonly string[]
  readonly made?: readonly string[]
  readonly assistant: readonly string[]
}
interface Line {
  readonly lang: 'en' | 'ja'
  readonly kind: string
  readonly turns: readonly Turn[]
  readonly system?: readonly string[]
}

const conversations: Line[] = guide()

describe('the conversations', () => {
  test('have wordings and answers in every turn, and no first question twice', () => {
    const seen = new Map<string, number>()
    const twice: string[] = []
    for (const [i, { lang, turns }] of conversations.entries()) {
      expect(['en', 'ja']).toContain(lang)
      for (const { user, assistant } of turns) {
        expect(Math.min(user.length, assistant.length)).toBeGreaterThan(0)
        const texts = [...user, ...assistant]
        expect(texts.filter((text) => text.trim() !== text || text === '')).toEqual([])
      }
      for (const one of turns[0].user) {
        if ((seen.get(one) ?? i) !== i) twice.push(one)
        seen.set(one, i)
      }
    }
    expect(twice).toEqual([])
    expect(conversations.length).toBeGreaterThan(1400)
  })

  test('are learnt without what is held out, whatever is made of them', () => {
    const {
      guide: learnt,
      facts,
      held,
    } = tuningData(
      conversations.slice(0, 150),
      [],
      [
        [7, '+', 8],
        [20, '-', 3],
      ],
    )
    const asked = new Set(
      (held as Line[]).filter(({ system }) => !system).map(({ turns }) => turns[0].user[0]),
    )
    expect(asked.size).toBeGreaterThan(150)
    const written = new Set(learnt.flatMap(({ turns }: Line) => turns[0].user.map(plain)))
    const texts = ([...learnt, ...facts] as Line[])
      .flatMap(({ turns }) => turns)
      .flatMap(({ user, made = [] }) => [...user, ...made])
    expect(texts.length).toBeGreaterThan(10_000)
    expect(texts.filter((one) => isHeldOut(one) || asked.has(one))).toEqual([])
    // Not by another case or punctuation either, unless that was written beside it.
    const secret = new Set(
      [...asked].map((one) => plain(one as string)).filter((one) => !written.has(one)),
    )
    const made = (learnt as Line[]).flatMap(({ turns }) => turns[0].made ?? [])
    expect(made.filter((one) => secret.has(plain(one)))).toEqual([])
    // Names are asked for that no system message gives in training.
    const systems = new Set((facts as Line[]).flatMap(({ system = [] }) => system))
    const named = (held as Line[]).flatMap(({ system = [] }) => system)
    expect([named.length, systems.size]).toEqual([12, 810])
    expect(named.filter((one) => systems.has(one))).toEqual([])
  })
})

test('other wordings are new ones, the same for the same seed', () => {
  for (const text of ['What is a token?', '量子化とは何ですか？', 'hm', 'How do I quit?']) {
    const made = otherWordings(text, 9, randomNumbers(7))
    expect(made).toEqual(otherWordings(text, 9, randomNumbers(7)))
    expect(new Set(made).size).toBe(made.length)
    expect(made).not.toContain(text)
    expect(made.length).toBeGreaterThan(3)
  }
})

describe('sums', () => {
  const VALUE: Record<string, (a: number, b: number) => number> = {
    '+': (a, b) => a + b,
    '-': (a, b) => a - b,
    '×': (a, b) => a * b,
    '÷': (a, b) => a / b,
  }

  test('are right in every step, and end in their result', () => {
    for (const [a, sign, b] of sums(randomNumbers(3))) {
      for (const language of ['en', 'ja'] as const) {
        const answer: string = solve(language, a, sign, b)
        for (const [, x, of, y, is] of answer.matchAll(/(\d+) ([+×÷-]) (\d+) = (-?\d+)/g)) {
          expect(VALUE[of](Number(x), Number(y)), answer).toBe(Number(is))
        }
        expect(answer.match(/-?\d+(?=\D*$)/)?.[0], answer).toBe(
          String(sign === '÷' && answer.includes('×') ? a / b : VALUE[sign](a, b)),
        )
      }
    }
  })

  test('are asked with both numbers', () => {
    for (const one of wordingsOf('en', 73, '+', 58)) expect(one).toMatch(/73.*58|58.*73/)
    for (const one of wordingsOf('ja', 73, '-', 58)) expect(one).toMatch(/73.*58|58.*73/)
    expect(wordingsOf('ja', 7, '×', 8).join()).toMatch(/七.{1,4}八/)
    expect(wordingsOf('en', 7, '+', 8).join()).toMatch(/seven.{1,6}eight/)
  })
})

describe('answers are judged', () => {
  const written = ['It runs on port 8080, which --port changes.', 'Port 8080.']

  test('as the very one by their trigrams, or by the number that they end in', () => {
    expect(isVery('It runs on port 8080, which --port changes!', written)).toBe(true)
    expect(isVery('It runs on Linux.', written)).toBe(false)
    expect(isVery('7 + 8 = 15.', ['7 + 8: 7 + 3 = 10, 10 + 5 = 15. The answer is 15.'])).toBe(true)
    expect(isVery('The answer is 14.', ['The answer is 15.'])).toBe(false)
  })

  test('as acceptable by rare words that the question does not have', () => {
    const others = Array.from({ length: 60 }, (_, i) => `The sentence of number ${i} runs on.`)
    const isAcceptable = acceptanceBy([...written, ...others])
    expect(
      isAcceptable('Which port?', 'You will find it at 8080; use --port for another.', written),
    ).toBe(true)
    expect(isAcceptable('Which port?', 'The port is a place for ships.', written)).toBe(false)
    expect(isAcceptable('Is it --port 8080?', 'It is --port 8080.', [written[0]])).toBe(false)
  })
})
