/**
 * One line on what a generation did: tokens, speed, and the code that really ran.
 */
import type { BackendReport, GenerateResult, SpeculationReport } from '../../generate/options.ts'
import { counted, formatMilliseconds } from './quantities.ts'

const ENDED = { stop: 'ended by itself', length: 'cut at its length', cancelled: 'stopped' }

/** "48 tokens, 61.2 tokens/s · prompt 12 tokens, 410.0/s · load 310.0 ms · native …" */
export function speedLine(result: GenerateResult): string {
  const { usage, timings, finishReason, seed } = result
  const computed = usage.promptTokens - usage.cachedTokens
  return [
    turnSpeed(result),
    `prompt ${counted(computed, 'token')}, ${timings.prefillTokensPerSecond.toFixed(1)} tokens/s`,
    `load ${formatMilliseconds(timings.loadMs)}${result.backend.weightsFrom === 'image' ? ' from a packed image' : ''}`,
    ENDED[finishReason],
    ...dropped([result]),
    `seed ${seed}`,
    result.backend.description,
  ].join(' · ')
}

/** "48 tokens, 61.2 tokens/s", and what guessing did where there was any. */
function turnSpeed({ usage, timings, speculation }: GenerateResult): string {
  const tokens = counted(usage.completionTokens, 'token')
  const rate = timings.decodeTokensPerSecond
  // The first token is the prompt's work: of one there is no speed.
  const speed = rate > 0 ? `${tokens}, ${rate.toFixed(1)} tokens/s` : tokens
  if (speculation === undefined) return speed
  return `${speed} · ${guesses([speculation])}, ${counted(speculation.passes, 'pass', 'passes')}`
}

/** "30 of 40 guesses right" */
function guesses(reports: readonly SpeculationReport[]): string {
  const accepted = reports.reduce((total, report) => total + report.accepted, 0)
  const proposed = reports.reduce((total, report) => total + report.proposed, 0)
  return `${accepted} of ${proposed} guesses right`
}

/** Where a full context was gone on with. */
function dropped(results: readonly GenerateResult[]): string[] {
  const tokens = results.reduce((sum, { droppedTokens = 0 }) => sum + droppedTokens, 0)
  return tokens === 0 ? [] : [`${counted(tokens, 'token')} dropped as the context was full`]
}

/** One line for many results that were generated together in `elapsedMs`. */
export function batchSpeedLine(
  results: readonly GenerateResult[],
  elapsedMs: number,
  backend: BackendReport,
): string {
  const tokens = results.reduce((sum, { usage }) => sum + usage.completionTokens, 0)
  const rate = elapsedMs > 0 ? (1000 * tokens) / elapsedMs : 0
  const reports = results.flatMap(({ speculation }) => speculation ?? [])
  return [
    `${counted(results.length, 'prompt')}, ${counted(tokens, 'token')} in ${formatMilliseconds(elapsedMs)}`,
    `${rate.toFixed(1)} tokens/s together`,
    ...dropped(results),
    ...(reports.length > 0 ? [guesses(reports)] : []),
    backend.description,
  ].join(' · ')
}
