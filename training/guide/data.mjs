/**
 * What the model is tuned on, of the conversations of this folder: with further wordings, small sums, refusals, and
 * facts that come from elsewhere; and what is held out of all of it.
 */
import { readFileSync } from 'node:fs'
import { isHeldOut } from '../scoring.mjs'
import { refusals } from './refusals.mjs'
import { solve, sums, wordingsOf } from './sums.mjs'
import { named } from './systems.mjs'
import { isJapanese, otherWordings, plain, randomNumbers } from './wordings.mjs'

/** Further wordings of each that was written: of first questions, and of later ones. */
const MADE = { first: 11, later: 4 }
const FILES = ['bitnet', 'package', 'talk', 'knowledge']

/** The lines of a file as objects. */
export function read(path) {
  const lines = readFileSync(path, 'utf8').trim().split('\n')
  return lines.map((line) => JSON.parse(line))
}

/** The conversations of this folder, each with the name of its file. */
export function guide() {
  return FILES.flatMap((name) =>
    read(new URL(`${name}.jsonl`, import.meta.url)).map((one) => ({ ...one, name })),
  )
}

/** What is asked again of an answer. */
const AGAIN = {
  en: {
    other: [
      'say it differently',
      'another way to say it?',
      'Can you put it another way?',
      'in other words?',
      'rephrase that',
      'explain it differently',
      "I don't understand, say it in other words",
    ],
    short: [
      'shorter please',
      'Shorter',
      'in short?',
      'make it shorter',
      'too long',
      'Can you make that shorter?',
      'in fewer words',
    ],
    long: ['more detail please', 'tell me more', 'longer', 'Can you explain more?', 'a bit more'],
    same: [
      'say that again',
      'once more please',
      'Repeat that please',
      'what did you say?',
      'again please',
      'pardon?',
    ],
  },
  ja: {
    other: [
      '別の言い方で',
      '言い換えて',
      'ほかの言い方で説明して',
      '別の言葉で教えてください',
      'つまりどういうこと？',
      '違う言い方はありますか',
    ],
    short: [
      '短くして',
      'もっと短く',
      '短くまとめて',
      '一言で',
      '長いです。短くしてください',
      '要するに？',
    ],
    long: [
      'もっと詳しく',
      'もう少し詳しく教えて',
      '詳しく',
      'もう少し長く',
      'くわしくお願いします',
    ],
    same: [
      'もう一度言って',
      'もう一回',
      'もう一度お願いします',
      '聞き取れませんでした',
      'え、何？',
      '繰り返してください',
    ],
  },
}

/** Words that carry the question, as people type them into a search box. */
function keywords(text) {
  const words = isJapanese(text)
    ? (text.match(
        /[\u4e00-\u9fff々]+[いうくすつぬむるえけせてねめれ]?|[\u30a0-\u30ff]{2,}|[\w.+-]+/g,
      ) ?? [])
    : text
        .toLowerCase()
        .replace(/[?.!,]/g, '')
        .split(' ')
        .filter(
          (word) =>
            !/^(what|is|the|a|an|how|do|i|does|can|you|to|of|me|tell|are|in|for|it|please|so|could|explain)$/.test(
              word,
            ),
        )
  return words.length > 1 && words.length < 6 ? words.join(' ') : undefined
}

/**
 * Everything, from conversations: `guide` and `facts` are learnt, lines of {kind, lang, turns, system}, whose turns have
 * wordings that were written (`user`), made (`made`) and answers; `held` is asked and never learnt.
 *
 * @param facts further conversations, from tables
 * @param asked the sums, each [a, sign, b]; all that are learnt, if none are given
 */
export function tuningData(conversations, facts, asked) {
  const random = randomNumbers(1)
  const held = []
  /** Plain forms of first questions: those held out, which nothing made may be, and all. */
  const [secret, taken] = [new Set(), new Set()]
  const hold = (kind, question, assistant) =>
    held.push({ kind, turns: [{ user: [question], assistant }] })
  const isFit = (one) => !isHeldOut(one) && !secret.has(plain(one)) && plain(one).length > 0
  const made = (written, count) =>
    [...new Set(written.flatMap((one) => otherWordings(one, count, random)))].filter(isFit)

  for (const { turns, name } of conversations) {
    const [{ user, assistant }] = turns
    const learnt = new Set(user.filter((one) => !isHeldOut(one)).map(plain))
    for (const one of user) {
      taken.add(plain(one))
      if (!isHeldOut(one)) continue
      hold(name, one, assistant)
      if (!learnt.has(plain(one))) secret.add(plain(one))
    }
  }

  const lines = []
  for (const { lang, turns, name } of conversations) {
    const rows = turns.map(({ user, assistant }, i) => {
      const written = user.filter((one) => !isHeldOut(one))
      const short = i === 0 ? written.map(keywords).filter((one) => one && random() < 0.35) : []
      const others = made(written, i === 0 ? MADE.first : MADE.later)
      return { user: written, made: [...others, ...short.filter(isFit)], assistant }
    })
    if (rows.some(({ user }) => user.length === 0)) continue
    const line = { kind: 'guide', lang, turns: rows }
    // What is told of BitNet and the package is alike, and takes more to be told apart.
    lines.push(line, ...(name === 'bitnet' || name === 'package' ? [line] : []))
    if (random() < 0.5) lines.push({ kind: 'guide', lang, turns: askedAgain(lang, rows[0]) })
  }

  const more = []
  for (const [a, sign, b] of asked ?? sums(random)) {
    const isTested = sign === '+' && a <= 20 && b <= 20
    for (const lang of ['en', 'ja']) {
      const [all, assistant] = [wordingsOf(lang, a, sign, b), [solve(lang, a, sign, b)]]
      const user = all.filter((one) => !isHeldOut(one))
      const line = { kind: 'sums', lang, turns: [{ user, assistant }] }
      more.push(line, ...(isTested ? [line, line] : []))
      const test = all.find(isHeldOut)
      if (isTested && test !== undefined && random() < 0.4) hold('sums', test, assistant)
    }
  }
  const others = [
    ...[...refusals(plain, taken)].map((one) => ({
      ...one,
      kind: 'refusals',
      count: 2,
      share: 0.3,
    })),
    ...facts
      .filter(({ topic }) => !/^(addition|subtraction|multiplication)$/.test(topic))
      .map((one) => ({ ...one, kind: 'facts', count: 1, share: 0.12 })),
  ]
  for (const { kind, lang, turns, count, share } of others) {
    const rows = turns.map(({ user, assistant }, i) => {
      const written = user.filter((one) => !isHeldOut(one))
      return { user: written, made: i === 0 ? made(written, count) : [], assistant }
    })
    if (rows.every(({ user }) => user.length > 0)) more.push({ kind, lang, turns: rows })
    const test = turns[0].user.find(isHeldOut)
    if (test !== undefined && turns.length === 1 && random() < share)
      hold(kind, test, turns[0].assistant)
  }
  for (const { lang, system, turns, isHeld } of named()) {
    const [{ user, assistant }] = turns
    const learnt = user.filter((one) => !isHeldOut(one))
    const line = { kind: 'named', lang, system, turns: [{ user: learnt, assistant }] }
    if (!isHeld) more.push(line)
    else held.push({ ...line, system: [system[0]], turns: [{ user: [learnt[0]], assistant }] })
  }
  return { guide: lines, facts: more, held }
}

/** A question, its answer, and then that it be said otherwise. */
function askedAgain(lang, first) {
  const [a, b] = first.assistant
  const how =
    b === undefined
      ? 'same'
      : a.length > 1.5 * b.length
        ? 'short'
        : b.length > 1.5 * a.length
          ? 'long'
          : 'other'
  const user = AGAIN[lang][how].filter((one) => !isHeldOut(one))
  return [
    { ...first, assistant: [a] },
    { user, assistant: [b ?? a] },
  ]
}
