/**
 * What a model costs and what speeds mean, on numbers small enough to check by hand.
 */
import { describe, expect, test } from 'vitest'
import { MOCK_CONFIG } from '../../test/support/mock-engine.ts'
import { type DeviceBuffer, WholeBuffer } from '../kernels/slice.ts'
import type { ModelConfig } from '../model/config/config.ts'
import type { DecoderWeights, LayerWeights } from '../model/forward.ts'
import { costsOf, denseBytes, type ModelCosts, passBytes } from './costs.ts'
import { arithmeticEnergy, macEnergy, PICOJOULES } from './energy.ts'
import { reportSpeedTest } from './speed-report.ts'

function buffer(byteLength: number): DeviceBuffer {
  return new WholeBuffer('test', byteLength)
}

function ternary(rows: number, cols: number): LayerWeights['qkv'] {
  const matrix = { rows, cols, data: buffer((rows * cols) / 4), scales: buffer(rows * 4) }
  return { kind: 'ternary', matrix }
}

const LAYER: LayerWeights = {
  attentionNorm: buffer(64),
  qkv: ternary(32, 16),
  attentionSubNorm: undefined,
  output: ternary(16, 16),
  ffnNorm: buffer(64),
  gateUp: ternary(64, 16),
  ffnSubNorm: buffer(128),
  down: ternary(16, 32),
}
const HEAD = {
  type: 'int8',
  rows: 48,
  cols: 16,
  data: buffer(48 * 16),
  scales: buffer(48 * 4),
} as const
const WEIGHTS: DecoderWeights = {
  embedding: HEAD,
  layers: [LAYER, LAYER],
  finalNorm: buffer(64),
  head: HEAD,
}
const CONFIG: ModelConfig = {
  ...MOCK_CONFIG,
  nLayers: 2,
  nHeads: 2,
  headDim: 8,
  ffnDim: 32,
  vocabSize: 48,
}

const MACS = 2 * (32 * 16 + 16 * 16 + 64 * 16 + 16 * 32)

describe('costs', () => {
  test('count every matrix once a pass, and the cache by sequence and position', () => {
    const costs = costsOf(CONFIG, WEIGHTS, 100)
    expect(costs).toEqual({
      ternaryBytes: MACS / 4 + 2 * 4 * (32 + 16 + 64 + 16),
      denseBytes: 2 * (64 + 64 + 128) + 64,
      headBytes: 48 * 20,
      cacheBytesPerToken: 100,
      ternaryMacs: MACS,
      ternaryScalings: 2 * (48 + 32 + 80 + 48),
      denseMacs: 0,
      int8Macs: 0,
      headMacs: 48 * 16,
      attentionMacsPerPosition: 2 * 2 * 2 * 8,
    })
    const alone = passBytes(costs, { batch: 1, positions: 0 })
    expect(alone).toBe(costs.ternaryBytes + costs.denseBytes + costs.headBytes)
    expect(passBytes(costs, { batch: 3, positions: 10 })).toBe(alone + 3000)
  })

  test('of dense projections are no ternary ones', () => {
    const dense = { kind: 'dense', matrix: { ...HEAD, type: 'f16' } } as const
    const layer = { ...LAYER, qkv: dense, output: dense, gateUp: dense, down: dense }
    const costs = costsOf(CONFIG, { ...WEIGHTS, layers: [layer] }, 100)
    expect(costs).toMatchObject({ ternaryMacs: 0, ternaryBytes: 0, denseMacs: 4 * 48 * 16 })
    expect(costs.denseBytes).toBe(4 * 48 * 20 + 64 + 64 + 128 + 64)
    expect(costs.int8Macs).toBe(0)
    const int8 = { kind: 'dense', matrix: HEAD } as const
    const mixed = { ...layer, qkv: int8 }
    expect(costsOf(CONFIG, { ...WEIGHTS, layers: [mixed] }, 100).int8Macs).toBe(48 * 16)
  })

  test('of an int4 head are its high nibbles, and the rows that are computed again', () => {
    const matrix = { ...HEAD, type: 'int4' } as const
    expect(denseBytes(matrix)).toBe((48 * 16) / 2 + 48 * 16 + 48 * 4)
    const rows = 128_256
    const large = { ...matrix, rows, data: buffer(rows * 16), scales: buffer(rows * 4) }
    expect(denseBytes(large)).toBe(rows * 8 + 4096 * 16 + rows * 4)
  })
})

const COSTS: ModelCosts = {
  ternaryBytes: 500,
  denseBytes: 20,
  headBytes: 80,
  cacheBytesPerToken: 4,
  ternaryMacs: 2000,
  ternaryScalings: 0,
  denseMacs: 0,
  int8Macs: 0,
  headMacs: 0,
  attentionMacsPerPosition: 0,
}
const LIMITS = { readBytesPerSecond: 40_000, macsPerSecond: 1e6 }

describe('the report of a test', () => {
  test('of decoding has bytes, with those of the cache in the middle of a run', () => {
    const decode = { kind: 'decode', tokens: 9, depth: 15, batch: 2 } as const
    const report = reportSpeedTest(
      { test: decode, seconds: [0.5, 0.25], joules: [], readRates: [] },
      COSTS,
      LIMITS,
    )
    expect(report).toMatchObject({ name: 'tg9 b2 @ d15', runs: 2, samples: [36, 72] })
    expect(report.tokensPerSecond).toMatchObject({ mean: 54, min: 36, max: 72 })
    // 20 positions on average: a pass of two tokens reads 600 bytes and twice 80.
    expect(report.bytesPerToken).toBe(380)
    expect(report.bytesPerSecond).toBe(380 * 54)
    expect(report.shareOfMemory).toBeCloseTo((380 * 54) / 40_000, 12)
    expect(report.macsPerSecond).toBe(108_000)
    expect(report).not.toHaveProperty('joulesPerToken')
  })

  test('of decoding compares every run with the memory beside it', () => {
    const decode = { kind: 'decode', tokens: 1, depth: 0, batch: 1 } as const
    // 604 bytes a token: 604 and 1,208 bytes a second.
    const measured = { test: decode, seconds: [1, 0.5], joules: [], readRates: [604, 2416] }
    const report = reportSpeedTest(measured, COSTS, LIMITS)
    expect(report.memoryBytesPerSecond).toBe(1510)
    expect(report.shareOfMemory).toBeCloseTo((1 + 0.5) / 2, 12)
  })

  test('of prefill has its share of the integer peak, and no bytes', () => {
    const prefill = { kind: 'prefill', tokens: 100, depth: 0, batch: 1 } as const
    const measured = { test: prefill, seconds: [1], joules: [50], readRates: [] }
    const report = reportSpeedTest(measured, COSTS, LIMITS)
    expect(report.shareOfPeak).toBeCloseTo(0.2, 12)
    expect(report.joulesPerToken?.mean).toBe(0.5)
    expect(report).not.toHaveProperty('bytesPerToken')
  })

  test('leaves out what is not known', () => {
    const decode = { kind: 'decode', tokens: 1, depth: 0, batch: 1 } as const
    const measured = { test: decode, seconds: [1], joules: [], readRates: [] }
    const report = reportSpeedTest(measured, { ...COSTS, ternaryMacs: 0 }, undefined)
    for (const field of ['macsPerSecond', 'shareOfPeak', 'shareOfMemory']) {
      expect(report).not.toHaveProperty(field)
    }
  })
})

describe('the arithmetic estimate', () => {
  /** 512 tokens of a 6.7B model; the count that gives the paper's figures (Wang et al. 2023, table 1). */
  const macs = 6.57e9 * 512

  test.each([
    ['fp32', '7nm', 4.41, 1.28],
    ['fp32', '45nm', 12.46, 3.03],
    ['fp16', '7nm', 1.14, 0.54],
    ['fp16', '45nm', 3.7, 1.35],
  ] as const)("of a 6.7B model in %s at %s is the paper's", (format, technology, multiply, add) => {
    const energy = macEnergy(macs, format, technology)
    // The paper's two digits; 12.446 stands there as 12.46.
    expect(Math.abs(energy.multiply - multiply)).toBeLessThan(0.015)
    expect(Math.abs(energy.add - add)).toBeLessThan(0.015)
  })

  test("of a 6.7B model of 1-bit weights is the paper's, with its head and attention in fp16", () => {
    // 12 matrices of 4096 x 4096 in each of 32 layers, a vocabulary of 16 K, 256 positions on average.
    const costs = {
      ...COSTS,
      ternaryMacs: 12 * 4096 ** 2 * 32,
      headMacs: 16_384 * 4096,
      attentionMacsPerPosition: 2 * 32 * 4096,
    }
    const joulesOf = (technology: '45nm' | '7nm') =>
      512 * arithmeticEnergy(costs, 256, technology).joulesPerToken
    // Sums of two numbers with two digits each.
    expect(Math.abs(joulesOf('45nm') - 0.21)).toBeLessThan(0.01)
    expect(Math.abs(joulesOf('7nm') - 0.06)).toBeLessThan(0.01)
  })

  test('of int8 weights counts both bytes of an activation', () => {
    const costs = { ...COSTS, ternaryMacs: 0, denseMacs: 100, int8Macs: 100 }
    const { joulesPerToken } = arithmeticEnergy(costs, 0, '45nm')
    expect(joulesPerToken).toBeCloseTo(100 * 2 * 0.23e-12, 20)
  })

  test('of a ternary product at 7 nm is 71.4 times less (Ma et al. 2024)', () => {
    const ternaryOnly: ModelCosts = { ...COSTS, ternaryMacs: macs }
    const { joulesPerToken, fp16JoulesPerToken } = arithmeticEnergy(ternaryOnly, 0, '7nm')
    expect(fp16JoulesPerToken / joulesPerToken).toBeCloseTo(71.4, 1)
  })

  test('counts scales, head and attention in fp16', () => {
    const costs = {
      ...COSTS,
      ternaryMacs: 0,
      ternaryScalings: 7,
      headMacs: 10,
      attentionMacsPerPosition: 2,
    }
    const { add, multiply } = PICOJOULES['45nm'].fp16
    const picojoules = 7 * multiply + 30 * (add + multiply)
    const { joulesPerToken } = arithmeticEnergy(costs, 10, '45nm')
    expect(joulesPerToken).toBeCloseTo(picojoules * 1e-12, 20)
  })
})
