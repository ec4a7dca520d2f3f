/**
 * The papers' estimate of a token's energy: arithmetic alone.
 *
 * Energy per operation as in Wang et al. 2023 ("BitNet"), table 2, after Horowitz (ISSCC 2014) and Zhang
 * et al. 2022 (PokeBNN); Ma et al. 2024 ("The Era of 1-bit LLMs") use the same. A ternary product costs
 * one int8 addition a weight and an fp16 multiplication for each scale; what stays dense (the head,
 * attention, a dense model's projections) an fp16 addition and multiplication. Memory, norms and the
 * softmax are left out, though reading the weights costs more than all of this: it is no measurement.
 */
import type { ModelCosts } from './costs.ts'

export type Technology = '45nm' | '7nm'

/** Picojoules per operation. */
export const PICOJOULES: Readonly<
  Record<Technology, { int8Add: number; fp16Add: number; fp16Multiply: number }>
> = {
  '45nm': { int8Add: 0.03, fp16Add: 0.4, fp16Multiply: 1.1 },
  '7nm': { int8Add: 0.007, fp16Add: 0.16, fp16Multiply: 0.34 },
}

export interface ArithmeticEnergy {
  readonly technology: Technology
  /** Of this model. */
  readonly joulesPerToken: number
  /** Of the same shape with all weights and activations in fp16. */
  readonly fp16JoulesPerToken: number
}

/** @param positions that the token attends to */
export function arithmeticEnergy(
  costs: ModelCosts,
  positions: number,
  technology: Technology,
): ArithmeticEnergy {
  const { int8Add, fp16Add, fp16Multiply } = PICOJOULES[technology]
  const { ternaryMacs, ternaryScalings, denseMacs, headMacs, attentionMacsPerPosition } = costs
  const fp16Macs = denseMacs + headMacs + positions * attentionMacsPerPosition
  const fp16Mac = fp16Add + fp16Multiply
  const picojoules = ternaryMacs * int8Add + ternaryScalings * fp16Multiply + fp16Macs * fp16Mac
  return {
    technology,
    joulesPerToken: picojoules * 1e-12,
    fp16JoulesPerToken: (ternaryMacs + fp16Macs) * fp16Mac * 1e-12,
  }
}
