/** What happens in a run, a line each. */
import type { TrainEvent } from '../../../train/loop.ts'
import type { StartEvent } from '../../../train/settings.ts'
import { formatBytes, formatCount } from '../../console/quantities.ts'

/** Undefined for what curves tell and lines do not. */
export function eventLine(event: TrainEvent | StartEvent): string | undefined {
  switch (event.type) {
    case 'start': {
      const { parameters, frozen, tokens, bytes, backend, step, steps } = event
      const beside = frozen === undefined ? '' : ` beside ${formatCount(frozen)} frozen ones`
      const from = step === 0 ? '' : ` from step ${step}`
      return (
        `Training ${formatCount(parameters)} parameters${beside} on ${formatCount(tokens)} tokens, ` +
        `${formatCount(steps)} steps${from}, ${formatBytes(bytes)}, ${backend}`
      )
    }
    case 'step': {
      const { step, steps, loss, tokensPerSecond, learningRate, secondsLeft } = event
      return (
        `Step ${step} of ${steps}: loss ${loss.toFixed(3)}, ${formatCount(Math.round(tokensPerSecond))} ` +
        `tokens/s, rate ${learningRate.toExponential(2)}, ${formatSeconds(secondsLeft)} left`
      )
    }
    case 'held-out': {
      const bits = event.bitsPerByte
      const inBits = bits === undefined ? '' : `, ${bits.toFixed(3)} bits per byte`
      return `Step ${event.step}: held-out loss ${event.loss.toFixed(3)}${inBits}`
    }
    case 'sample': {
      const { step, prompt, text } = event
      return `Step ${step}: ${JSON.stringify(prompt)} goes on ${JSON.stringify(text)}`
    }
    case 'codes':
      return undefined
    case 'checkpoint':
      return `Step ${event.step}: wrote ${event.path}`
  }
}

function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}
