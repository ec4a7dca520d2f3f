/**
 * What Tab makes of a text: the part that all choices have in common, or the choices.
 */

export interface Completion {
  /** Where in the text the word begins that is completed. */
  readonly from: number
  /** Words that may stand there. */
  readonly words: readonly string[]
}

/** What to insert behind the text, and what to show where nothing is sure. */
export function completeText(
  text: string,
  { from, words }: Completion,
): { insert: string; choices: readonly string[] } {
  const begun = text.slice(from)
  const choices = words.filter((word) => word.startsWith(begun))
  if (choices.length === 0) return { insert: '', choices }
  let common = choices[0]
  for (const choice of choices) {
    while (!choice.startsWith(common)) common = common.slice(0, -1)
  }
  const insert = common.slice(begun.length)
  return { insert: choices.length === 1 && !insert.endsWith('/') ? `${insert} ` : insert, choices }
}
