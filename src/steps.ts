/**
 * Work on long texts and large vocabularies in steps: a generator that yields wherever others may have their
 * turn, every few milliseconds, so that nobody who shares the thread waits until megabytes are read or encoded.
 */

export type Steps<T> = Generator<undefined, T, undefined>

/** Characters, words or places that take a millisecond or a few. */
export const MANY: number = 1 << 14

/** Entries of a file that is read, which take longer each. */
export const SOME: number = 1 << 12

/** All of the work at once. */
export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/**
 * The same work for several who want what it comes to: whoever has the turn moves it on for all, and who comes
 * later finds it done.
 */
export function sharedSteps<T>(steps: Steps<T>): () => Steps<T> {
  let done: { readonly value: T } | { readonly error: unknown } | undefined
  const move = () => {
    try {
      const next = steps.next()
      if (next.done === true) done = { value: next.value }
    } catch (error) {
      done = { error }
    }
  }
  return function* () {
    while (done === undefined) {
      move()
      if (done === undefined) yield
    }
    if ('error' in done) throw done.error
    return done.value
  }
}

/** Characters whose change takes milliseconds. */
const STRETCH = 1 << 17

/**
 * Changes a text stretch by stretch. Cut is behind line feeds and between printable characters of ASCII, where
 * no character has to do with those on the other side; a text without such places is one stretch.
 */
export function* inStretches(text: string, change: (stretch: string) => string): Steps<string> {
  if (text.length <= STRETCH) return change(text)
  const pieces: string[] = []
  for (let from = 0; from < text.length; ) {
    const end = borderBehind(text, from + STRETCH)
    pieces.push(change(text.slice(from, end)))
    from = end
    yield
  }
  return pieces.join('')
}

function borderBehind(text: string, least: number): number {
  for (let at = least; at < text.length; at++) {
    const before = text.charCodeAt(at - 1)
    if (before === 0x0a || (isPrintable(before) && isPrintable(text.charCodeAt(at)))) return at
  }
  return text.length
}

const isPrintable = (code: number) => code >= 0x20 && code <= 0x7e
