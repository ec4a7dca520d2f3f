/**
 * What Ma et al. 2024 ("The Era of 1-bit LLMs", 2402.17764) measured on a GPU: gigabytes and
 * milliseconds a token of LLaMA in FP16 and of BitNet b1.58 at the same size, table 1; multiples of
 * 7B from section 3. Ratios can be compared with those of another machine, milliseconds cannot.
 */
import type { ContenderResult } from './compare-contenders.ts'

export interface PaperRatios {
  /** FP16 divided by b1.58, embeddings and cache included. */
  readonly memory: number
  readonly latency: number
}

const FIGURES: Readonly<Record<string, PaperRatios>> = {
  '700m': { memory: 2.08 / 0.8, latency: 1.18 / 0.96 },
  '1.3b': { memory: 3.34 / 1.14, latency: 1.62 / 0.97 },
  '3b': { memory: 7.89 / 2.22, latency: 5.07 / 1.87 },
  '7b': { memory: 4.4, latency: 2.9 },
}

/** Undefined for sizes that the paper has no pair of. */
export function paperRatios(size: string): PaperRatios | undefined {
  return FIGURES[size]
}

/** Bytes of weights, embeddings and the cache of one sequence. */
export function allBytes({ memory, cacheBytes }: ContenderResult): number {
  return memory.layerBytes + memory.tableBytes + cacheBytes
}

/** The same of a comparison's results; undefined where one of the two was not measured. */
export function measuredRatios(
  results: readonly ContenderResult[],
): { readonly memory: number; readonly latency: number | undefined } | undefined {
  const [fp16, ternary] = ['fp16', 'b1.58'].map((name) => results.find((r) => r.name === name))
  if (fp16 === undefined || ternary === undefined) return undefined
  const [a, b] = [fp16.latency?.decodeMs.mean, ternary.latency?.decodeMs.mean]
  return {
    memory: allBytes(fp16) / allBytes(ternary),
    latency: a === undefined || b === undefined ? undefined : a / b,
  }
}
