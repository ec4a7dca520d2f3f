/** How answers are judged, and which wordings are kept from training to judge them by. */
import { createHash } from 'node:crypto'

/** One wording of ten: the SHA-256 of its text, as a number, is 0 modulo 10. */
export function isHeldOut(text) {
  const hash = createHash('sha256').update(text).digest('hex')
  return BigInt(`0x${hash}`) % 10n === 0n
}

function trigrams(text) {
  const counts = new Map()
  for (let i = 0; i + 3 <= text.length; i++) {
    const gram = text.slice(i, i + 3)
    counts.set(gram, (counts.get(gram) ?? 0) + 1)
  }
  return counts
}

/** The Dice coefficient of character trigrams, 0 to 1. */
function likeness(a, b) {
  if (a === b) return 1
  const [first, second] = [trigrams(a), trigrams(b)]
  let shared = 0
  for (const [gram, count] of first) shared += Math.min(count, second.get(gram) ?? 0)
  return (2 * shared) / Math.max(1, a.length + b.length - 4)
}

const lastNumber = (text) => text.match(/\d+/g)?.at(-1)

/**
 * Whether an answer says what one of the written ones says: trigrams alike by more than `least`; where all written
 * ones end in the same number (sums), that number as its last.
 */
export function isVery(answer, written, least = 0.6) {
  const numbers = new Set(written.map(lastNumber))
  const [number] = numbers
  if (
    numbers.size === 1 &&
    number !== undefined &&
    written.every((one) => /\d\D{0,4}$/.test(one))
  ) {
    return lastNumber(answer) === number
  }
  return written.some((one) => likeness(answer, one.trim()) >= least)
}

/** Numbers, options, names and words of a text that carry what it says, without their endings. */
export function terms(text) {
  const found =
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/\/?-{0,2}[a-z][\w./+-]*|\d[\d.,]*|[\u30a0-\u30ff]{2,}|[\u4e00-\u9fff々]+/g) ?? []
  return new Set(
    found
      .map((term) => term.replace(/[.,]+$/, ''))
      .filter((term) => term.length > 1 || /[\d\u4e00-\u9fff]/.test(term)),
  )
}

/**
 * Judges answers as acceptable: the very answer, or one with two of the three rarest terms of a written answer (all,
 * where it has fewer), rare as counted over `all`, the written answers of the collection. Terms of the question do
 * not count.
 */
export function acceptanceBy(all) {
  const counts = new Map()
  for (const text of all)
    for (const term of terms(text)) counts.set(term, (counts.get(term) ?? 0) + 1)
  return (question, answer, written) => {
    if (isVery(answer, written)) return true
    const [asked, said] = [terms(question), terms(answer)]
    return written.some((one) => {
      const keys = [...terms(one)]
        .filter((term) => !asked.has(term) && (counts.get(term) ?? 0) < all.length / 25)
        .sort((a, b) => (counts.get(a) ?? 0) - (counts.get(b) ?? 0))
        .slice(0, 3)
      return (
        keys.length > 0 && keys.filter((key) => said.has(key)).length >= Math.min(2, keys.length)
      )
    })
  }
}
