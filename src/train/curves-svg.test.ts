/** The picture of a run: whole XML whatever happened, each curve with its points, nothing that a resumed run repeats. */
import { expect, test } from 'vitest'
import { curvesSvg, panelsSvg, type RunEvent, withoutRepeats } from './curves-svg.ts'

const START: RunEvent = {
  ...{ type: 'start', step: 0, steps: 900, backend: 'native', parameters: 1, tokens: 1, bytes: 1 },
}

function step(n: number, loss = 6 - n / 300): RunEvent {
  return {
    ...{ type: 'step', step: n, steps: 900, loss, learningRate: 1e-3, gradientNorm: 1 / n },
    ...{ tokens: n, tokensPerSecond: 1, secondsLeft: 1 },
  }
}

function codes(n: number, flipped: number | undefined): RunEvent {
  return { type: 'codes', step: n, flipped, layers: [{ minus: 0.25, zero: 0.5, plus: 0.25 }] }
}

/** Names of the tags that are open where they should be; throws where XML is not whole. */
function checkXml(xml: string): string[] {
  const open: string[] = []
  const seen: string[] = []
  const tags = /<(\/?)([a-z]+)((?: [a-zA-Z:-]+="[^"<&]*")*)(\/?)>|([^<]+)/gy
  let at = 0
  for (const [all, closes, name, , ends] of xml.matchAll(tags)) {
    at += all.length
    if (name === undefined) {
      if (/&(?!amp;|lt;|gt;)/.test(all)) throw new Error(`An ampersand in ${all}`)
      continue
    }
    if (closes) {
      if (open.pop() !== name) throw new Error(`</${name}> closes nothing`)
      continue
    }
    seen.push(name)
    if (!ends) open.push(name)
  }
  if (at !== xml.length || open.length > 0)
    throw new Error(`Not XML from ${xml.slice(at, at + 40)}`)
  return seen
}

test('a long run has six panels of at most 240 points a curve, and says in words where curves end', () => {
  const events: RunEvent[] = [START]
  for (let n = 1; n <= 900; n++) {
    events.push(step(n))
    if (n % 100 === 0) {
      events.push({ type: 'held-out', step: n, loss: 5, bitsPerByte: 2 }, codes(n, n / 1e5))
    }
  }
  const svg = curvesSvg(events)
  expect(checkXml(svg).filter((name) => name === 'g')).toHaveLength(6)
  const [, loss] = /<path class="a" d="M([\d. L]+)"\/>/.exec(svg) ?? []
  expect(loss.split('L')).toHaveLength(240)
  expect(svg).toContain('900 of 900 steps.')
  expect(svg).toContain('Loss, nats a token: learnt 6 to 3, held out 5 to 5.')
  expect(svg).toContain('Ternary weights that change in a step: 0.002 % to 0.009 %.')
  expect(svg).toContain('prefers-color-scheme:dark')
})

test('a run without steps, one that diverged and one without ternary weights are pictures too', () => {
  for (const events of [[], [START], [START, step(1)], [START, step(1), step(2, Number.NaN)]]) {
    expect(checkXml(curvesSvg(events))).toContain('svg')
    expect(curvesSvg(events)).not.toMatch(/NaN|Infinity|undefined/)
  }
})

test('what a continued run does again is drawn once', () => {
  const first = [START, step(1), step(2), codes(2, undefined), step(3)]
  const again = [...first, { ...START, step: 2 }, step(3, 1), step(4)]
  const kept = withoutRepeats(again).filter(({ type }) => type === 'step')
  expect(kept.map((event) => event.step)).toEqual([1, 2, 3, 4])
  expect(kept[2]).toEqual(step(3, 1))
})

test('a name that has no room behind another one has a line of its own', () => {
  const named = (name: string) => ({
    name,
    ink: 'a' as const,
    points: [[0, 1]] as [number, number][],
  })
  const legend = (...names: string[]) => {
    const svg = panelsSvg('Runs', '', [{ title: 'Loss', curves: names.map(named) }])
    return names.map((name) =>
      new RegExp(`x="(\\d+)" y="(\\d+)">${name}<`).exec(svg)?.slice(1).map(Number),
    )
  }
  expect(legend('short', 'other')).toEqual([
    [76, 32],
    [145, 32],
  ])
  expect(legend('short', 'a name of thirty-two characters')).toEqual([
    [76, 32],
    [76, 48],
  ])
})
