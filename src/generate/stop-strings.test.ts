// Stop strings: where text is cut, what is held back, and independence of how the text comes.
import { describe, expect, test } from 'vitest'
import { Random } from './sample/random.ts'
import { StopStrings } from './stop-strings.ts'

function run(stops: string[], pieces: string[]): { emitted: string[]; stopped: boolean } {
  const matcher = new StopStrings(stops)
  const emitted = pieces.map((piece) => matcher.push(piece))
  return { emitted: [...emitted, matcher.end()], stopped: matcher.stopped }
}

describe('StopStrings', () => {
  test('passes text on at once when there is nothing to stop at', () => {
    expect(run([], ['a', 'b'])).toEqual({ emitted: ['a', 'b', ''], stopped: false })
  })

  test('holds back what may be the beginning of a stop string, and no more', () => {
    const { emitted } = run(['\nUser:'], ['Hi\n', 'U', 'ser', ' of', ' it\nUse'])
    expect(emitted).toEqual(['Hi', '', '', '\nUser of', ' it', '\nUse'])
  })

  test('cuts before the stop string and stays silent afterwards', () => {
    const { emitted, stopped } = run(['END'], ['one E', 'N', 'D two', ' three'])
    expect(emitted).toEqual(['one ', '', '', '', ''])
    expect(stopped).toBe(true)
  })

  test('finds a stop string whose beginning repeats itself', () => {
    expect(run(['aab'], ['a', 'a', 'a', 'b']).emitted.join('')).toBe('a')
  })

  test('stops at what is complete first, and takes the longest that ends there', () => {
    expect(run(['abc', 'b'], ['xabc']).emitted.join('')).toBe('xa')
    expect(run(['b', 'xab', 'ab'], ['wxab']).emitted.join('')).toBe('w')
  })

  test('looks at hidden pieces and never gives them back', () => {
    const matcher = new StopStrings(['<|a|>\n', 'x<|b|>'])
    const pieces = [matcher.push('one'), matcher.push('<|a|>', true), matcher.push(' two')]
    expect(pieces).toEqual(['one', '', ' two'])
    expect([matcher.push('x'), matcher.push('<|b', true)]).toEqual(['', ''])
    expect([matcher.push('y'), matcher.push('<|a|>', true), matcher.push('\n')]).toEqual([
      'xy',
      '',
      '',
    ])
    expect(matcher.stopped).toBe(true)
    const open = new StopStrings(['<|a|>\n'])
    expect([open.push('<|a|>', true), open.end(), open.stopped]).toEqual(['', '', false])
    expect(new StopStrings([]).push('<|a|>', true)).toBe('')
  })

  test('gives the same text however the text is cut', () => {
    const random = new Random(3)
    const letters = (n: number) =>
      Array.from({ length: n }, () => 'ab'[Math.floor(random.nextFloat() * 2)]).join('')
    let stops = 0
    for (let round = 0; round < 300; round++) {
      const text = letters(12)
      const list = [letters(3), letters(4), letters(6)]
      const byLetter = run(list, [...text])
      const cut = Math.floor(random.nextFloat() * 12)
      for (const pieces of [[text], [text.slice(0, cut), text.slice(cut)]]) {
        const other = run(list, pieces)
        expect(other.emitted.join('')).toBe(byLetter.emitted.join(''))
        expect(other.stopped).toBe(byLetter.stopped)
      }
      for (const stop of list) expect(byLetter.emitted.join('')).not.toContain(stop)
      if (byLetter.stopped) stops++
    }
    expect(stops).toBeGreaterThan(50)
    expect(stops).toBeLessThan(300)
  })
})
