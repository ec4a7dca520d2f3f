/**
 * The papers' estimate of a token's energy: arithmetic alone.
 *
 * Energy per operation as in Wang et al. 2023 ("BitNet"), table 2, after Horowitz (ISSCC 2014) and Zhang
 * et al. 2022 (PokeBNN); Ma et al. 2024 ("The Era of 1-bit LLMs") use the same. A ternary product costs
 * one int8 addition a weight and an fp16 multiplication for each scale; a product with int8 weights two
 * int8 multiplications and additions, as the activation has two bytes here; what stays dense (the head,
 * attention, a dense model's projections) an fp16 addition and multiplication. Memory, norms and the
 * softmax are left out, though reading the weights costs more than all of this: it is no measurement.
 */
import type { ModelCosts } from './costs.ts'

export type Technology = '45nm' | '7nm'
export type NumberFormat = 'fp32' | 'fp16' | 'int8'

/** Of an addition and a multiplication, in picojoules or summed up in joules. */
export interface OperationEnergy {
  readonly add: number
  readonly multiply: number
}

/** Picojoules per operation. */
export const PICOJOULES: Readonly<Record<Technology, Record<NumberFormat, OperationEnergy>>> = {
  '45nm': {
    fp32: { add: 0.9, multiply: 3.7 },
    fp16: { add: 0.4, multiply: 1.1 },
    int8: { add: 0.03, multiply: 0.2 },
  },
  '7nm': {
    fp32: { add: 0.38, multiply: 1.31 },
    fp16: { add: 0.16, multiply: 0.34 },
    int8: { add: 0.007, multiply: 0.07 },
  },
}

export interface ArithmeticEnergy {
  readonly technology: Technology
  /** Of this model. */
  readonly joulesPerToken: number
  /** Of the same shape with all weights and activations in fp16. */
  readonly fp16JoulesPerToken: number
}

/** Joules of so many multiply-accumulates. */
export function macEnergy(
  macs: number,
  format: NumberFormat,
  technology: Technology,
): OperationEnergy {
  const { add, multiply } = PICOJOULES[technology][format]
  return { add: macs * add * 1e-12, multiply: macs * multiply * 1e-12 }
}

/** @param positions that the token attends to */
export function arithmeticEnergy(
  costs: ModelCosts,
  positions: number,
  technology: Technology,
): ArithmeticEnergy {
  const { ternaryMacs, ternaryScalings, denseMacs, int8Macs, headMacs } = costs
  const attentionMacs = positions * costs.attentionMacsPerPosition
  const macJoules = (macs: number, format: NumberFormat): number => {
    const { add, multiply } = macEnergy(macs, format, technology)
    return add + multiply
  }
  const fp16Macs = denseMacs - int8Macs + headMacs + attentionMacs
  return {
    technology,
    joulesPerToken:
      macEnergy(ternaryMacs, 'int8', technology).add +
      macEnergy(ternaryScalings, 'fp16', technology).multiply +
      macJoules(2 * int8Macs, 'int8') +
      macJoules(fp16Macs, 'fp16'),
    fp16JoulesPerToken: macJoules(ternaryMacs + denseMacs + headMacs + attentionMacs, 'fp16'),
  }
}

/** By both of the papers' technologies, the older one first. */
export function energyEstimates(costs: ModelCosts, positions: number): ArithmeticEnergy[] {
  const technologies = Object.keys(PICOJOULES) as Technology[]
  return technologies.map((technology) => arithmeticEnergy(costs, positions, technology))
}
