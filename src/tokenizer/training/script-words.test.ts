/** Words by the table are those of the expression, which is what tokenizer.json says. */
import { expect, test } from 'vitest'
import { randomFrom } from '../../../test/support/random-texts.ts'
import { QUICK_EXPRESSIONS, SCRIPTS_SPLIT } from '../regex/known.ts'
import { scriptWordEnd } from './script-words.js'

const EXPRESSIONS = [SCRIPTS_SPLIT, QUICK_EXPRESSIONS.get(SCRIPTS_SPLIT) as string].map(
  (source) => new RegExp(source, 'gu'),
)

/** One of each kind that the expression tells apart, halves of pairs and what lies at the edges of scripts. */
const CHARACTERS = [
  ...'  \t\r\n\u0085\u00a0\u3000\ufeffabzZ\u00dféあん\u3040\u3041\u309f\u30a0ーァヺ・ヿアﾟ々〇〆漢\u4dbf\u9fff\uf900\ufaff',
  ..."𠮷\u{2ebf0}\u{323af}\u{323b0}ｱｰ゛゜\u3099\u0301\u0903\u20dd٣१①Ⅷ²1234'’sdmtlvre.,!?-—「」$€😀👍🏽\u200d𝒜𝟘𐐀𐐨가ไท้ह\ue000",
  ...['\ud83d', '\ude00', '\udc00', '\ud800'],
]

function endsByTable(text: string): number[] {
  // What lies behind the text would go on with any word.
  const units = new Uint16Array(text.length + 3).fill(0x73)
  for (let i = 0; i < text.length; i++) units[i] = text.charCodeAt(i)
  const ends: number[] = []
  for (let at = 0; at < text.length; ) {
    at = scriptWordEnd(units, at, text.length)
    ends.push(at)
  }
  return ends
}

test.each(EXPRESSIONS)('random texts are cut as %s does', (expression) => {
  const random = randomFrom(11)
  for (let i = 0; i < 40_000; i++) {
    const anywhere = i % 3 === 0
    const text = Array.from({ length: 1 + Math.floor(random() * 12) }, () =>
      anywhere && random() < 0.7
        ? String.fromCodePoint(Math.floor(random() ** 2 * 0x110000))
        : CHARACTERS[Math.floor(random() * CHARACTERS.length)],
    ).join('')
    const ends = [...text.matchAll(expression)].map(({ index, 0: word }) => index + word.length)
    expect(endsByTable(text), JSON.stringify(text)).toEqual(ends)
  }
})
