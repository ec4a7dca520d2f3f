/**
 * Texts of files, models and servers before a terminal sees them: a name or an answer must not move the
 * cursor, set the window's title, or turn the direction of what stands beside it.
 */

/** Control characters but line ends and tabs, and those that turn the direction of a text. */
const STEERING = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|[^\P{Cc}\n\t]/gu

/** @param instead what stands where something was taken out */
export function cleanText(text: string, instead = ''): string {
  return text.replace(STEERING, instead)
}

/** JSON that says the same without such characters: it escapes those below U+0020 only by itself. */
export function cleanJson(json: string): string {
  return json.replace(STEERING, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
