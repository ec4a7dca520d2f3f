/**
 * WikiText-2 by pages (Merity et al. 2016): each page is put back into ordinary spelling and scored
 * whole; words and bytes are counted in the page as it was, which makes perplexities comparable between
 * vocabularies.
 */
import { type EvalTask, textField } from '../task.ts'

export const wikitext: EvalTask = {
  name: 'wikitext',
  kind: 'rolling',
  hub: { repo: 'EleutherAI/wikitext_document_level', config: 'wikitext-2-raw-v1', split: 'test' },
  files: ['wikitext', 'wikitext2-test', 'wiki.test'],
  source: 'Merity et al. 2016',
  plainText: {
    endings: ['.txt.bz2', '.txt', '.raw'],
    rows: (text) => wikitextPages(text).map((page) => ({ page })),
  },
  parse(row) {
    const page = textField(row, 'page')
    const requests = [{ context: '', continuation: detokenized(page) }]
    return { requests, gold: 0, choices: [page], original: page }
  },
}

/** The pages of a whole split: each begins with a heading of the first level. */
export function wikitextPages(text: string): string[] {
  const pages: string[] = []
  let lines: string[] = []
  const finish = () => {
    const page = lines.join('\n')
    if (page.trim() !== '') pages.push(page)
    lines = []
  }
  for (const line of text.split('\n')) {
    // "= = Section = =" becomes "== Section ==", so that only a page's own title is left.
    const heading = line.replaceAll('= = =', '===').replaceAll('= =', '==').trim()
    if (heading.startsWith('= ') && heading.endsWith(' =')) finish()
    lines.push(line)
  }
  finish()
  return pages
}

/**
 * The harness's replacements in its order, which matters: spaces that the corpus puts around
 * punctuation go, its marks inside numbers become what they stand for. Its rule for apostrophes before
 * digits never matches anything and is left out.
 */
const REPLACEMENTS: readonly (readonly [from: string, to: string] | Pair)[] = [
  ["s '", "s'"],
  [' @-@ ', '-'],
  [' @,@ ', ','],
  [' @.@ ', '.'],
  [' : ', ': '],
  [' ; ', '; '],
  [' . ', '. '],
  [' ! ', '! '],
  [' ? ', '? '],
  [' , ', ', '],
  { open: '(', close: ')' },
  { open: '[', close: ']' },
  { open: '{', close: '}' },
  { open: '"', close: '"' },
  { open: "'", close: "'" },
  ['= = = =', '===='],
  ['= = =', '==='],
  ['= =', '=='],
  [' \u00b0 ', '\u00b0'],
  [' \n', '\n'],
  ['\n ', '\n'],
  [' N ', ' 1 '],
  [" 's", "'s"],
]

/** A page in ordinary spelling. */
export function detokenized(page: string): string {
  return REPLACEMENTS.reduce(
    (text, rule) => ('open' in rule ? tightened(text, rule) : text.replaceAll(rule[0], rule[1])),
    page,
  )
}

/** Marks around something; spaces inside of them go. */
interface Pair {
  readonly open: string
  readonly close: string
}

/** In one pass: expressions would look for the mark that closes anew from each one that opens. */
function tightened(text: string, { open, close }: Pair): string {
  const parts: string[] = []
  let done = 0
  for (;;) {
    const start = text.indexOf(open, done)
    const end = start < 0 ? -1 : text.indexOf(close, start + 1)
    if (end < 0) return parts.join('') + text.slice(done)
    parts.push(text.slice(done, start + 1), text.slice(start + 1, end).trim(), close)
    done = end + 1
  }
}
