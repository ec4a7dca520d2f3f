/**
 * One line on what a generation did: tokens, speed, and the code that really ran.
 */
import type { BackendReport, GenerateResult } from '../generate/options.ts'
import { formatMilliseconds } from './quantities.ts'

/** "48 tokens, 61.2 tokens/s · prompt 12 tokens, 410.0/s · load 310.0 ms · native …" */
export function speedLine(result: GenerateResult): string {
  const { usage, timings, finishReason, seed } = result
  const computed = usage.promptTokens - usage.cachedTokens
  return [
    `${usage.completionTokens} tokens, ${timings.decodeTokensPerSecond.toFixed(1)} tokens/s`,
    `prompt ${computed} tokens, ${timings.prefillTokensPerSecond.toFixed(1)} tokens/s`,
    `load ${formatMilliseconds(timings.loadMs)}`,
    `ended by ${finishReason}`,
    `seed ${seed}`,
    result.backend.description,
  ].join(' · ')
}

/** One line for many results that were generated together in `elapsedMs`. */
export function batchSpeedLine(
  results: readonly GenerateResult[],
  elapsedMs: number,
  backend: BackendReport,
): string {
  const tokens = results.reduce((sum, { usage }) => sum + usage.completionTokens, 0)
  const rate = elapsedMs > 0 ? (1000 * tokens) / elapsedMs : 0
  return [
    `${results.length} prompts, ${tokens} tokens in ${formatMilliseconds(elapsedMs)}`,
    `${rate.toFixed(1)} tokens/s together`,
    backend.description,
  ].join(' · ')
}
