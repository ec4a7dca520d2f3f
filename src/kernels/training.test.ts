/**
 * The operations of training against what defines them: gradients against finite differences of the forward,
 * the rest against the same in float64 or on plain arrays.
 */
import { describe, expect, test } from 'vitest'
import {
  absmeanQuantize,
  packedByteLength,
  padToTile,
  signQuantize,
  unpackTernary as unpackCodes,
} from '../ternary/index.ts'
import { ADAMW_NUMBERS, adamw } from './adamw/reference.ts'
import { axpy } from './axpy/reference.ts'
import { causalAttention } from './causal-attention/reference.ts'
import { causalAttentionBackward } from './causal-attention-backward/reference.ts'
import { crossEntropy } from './cross-entropy/reference.ts'
import { expertMatmulBackward } from './expert-matmul-backward/reference.ts'
import { expertSum } from './expert-sum/reference.ts'
import { expertSumBackward } from './expert-sum-backward/reference.ts'
import { ACTIVATIONS, gatedActivation } from './gated-activation/reference.ts'
import { gatedActivationBackward } from './gated-activation-backward/reference.ts'
import { matmul } from './matmul/reference.ts'
import { quantizeWeights } from './quantize-weights/reference.ts'
import { rmsNorm } from './rms-norm/reference.ts'
import { rmsNormBackward } from './rms-norm-backward/reference.ts'
import { rope } from './rope/reference.ts'
import { route } from './route/reference.ts'
import { routeBackward } from './route-backward/reference.ts'
import { rotationTable, Seeded } from './testing/conformance-cases.ts'
import { expectSlopes, inner } from './testing/slopes.ts'

const seeded = new Seeded(5)

describe('gradients', () => {
  test('of an RMSNorm, to its input and to its weight', () => {
    const [rows, cols, eps] = [3, 21, 1e-5]
    const x = seeded.floats(rows * cols, 2)
    const weight = seeded.floats(cols, 2)
    const dOut = seeded.floats(rows * cols)
    const dx = new Float32Array(rows * cols)
    const dWeight = new Float32Array(cols)
    rmsNormBackward({ x, weight, dOut, dx, dWeight }, { rows, cols, eps })
    const out = new Float32Array(rows * cols)
    const loss = () => {
      rmsNorm(out, x, weight, rows, cols, eps)
      return inner(out, dOut)
    }
    expectSlopes(dx, x, loss)
    expectSlopes(dWeight, weight, loss)
  })

  test.each(ACTIVATIONS)('of a gate with %s', (activation) => {
    const [rows, cols] = [2, 19]
    const gateUp = seeded.floats(rows * 2 * cols, 3)
    const dOut = seeded.floats(rows * cols)
    const dGateUp = new Float32Array(gateUp.length)
    gatedActivationBackward({ gateUp, dOut, dGateUp }, { rows, cols, activation })
    const out = new Float32Array(rows * cols)
    expectSlopes(dGateUp, gateUp, () => {
      gatedActivation(out, gateUp, activation, rows, cols)
      return inner(out, dOut)
    })
  })

  test('of causal attention with grouped queries, to queries, keys and values', () => {
    const shape = { rows: 14, length: 7, nHeads: 4, nKvHeads: 2, headDim: 6 }
    const qkv = seeded.floats(14 * 8 * 6, 1.5)
    const dOut = seeded.floats(14 * 24)
    const forward = { qkv, out: new Float32Array(14 * 24), softmax: new Float32Array(14 * 8) }
    const loss = () => {
      causalAttention(forward, shape)
      return inner(forward.out, dOut)
    }
    loss()
    const dQkv = new Float32Array(qkv.length)
    causalAttentionBackward({ ...forward, dOut, dQkv }, shape)
    expectSlopes(dQkv, qkv, loss)
  })

  test('of cross-entropy, and none of rows that do not count', () => {
    const [rows, cols] = [3, 20]
    const logits = seeded.floats(rows * cols, 2)
    const targets = Int32Array.of(4, 19, 0)
    const weights = Float32Array.of(0.5, 0, 0.25)
    const gradient = logits.slice()
    crossEntropy(
      { logits: gradient, targets, weights, losses: new Float32Array(rows) },
      { rows, cols },
    )
    expectSlopes(gradient, logits, () => {
      const losses = new Float32Array(rows)
      crossEntropy({ logits: logits.slice(), targets, weights, losses }, { rows, cols })
      return losses.reduce((sum, loss) => sum + loss, 0)
    })
    expect([...gradient.subarray(cols, 2 * cols)].every((d) => d === 0)).toBe(true)
  })

  test('of a router, through the weights of the chosen and the loss of uneven use', () => {
    const shape = { rows: 9, experts: 6, top: 3, balance: 0.7 }
    const [rows, experts, top] = [9, 6, 3]
    // Far enough apart that a step of the differences chooses no other expert.
    const logits = Float32Array.from({ length: rows * experts }, (_, i) => ((i * 7) % 11) / 5)
    const counts = seeded.positive(rows)
    const dWeights = seeded.floats(rows * top)
    const indices = () => new Int32Array(rows * top)
    const routes = { weights: new Float32Array(rows * top), places: indices(), sources: indices() }
    const chosen = indices()
    const loss = () => {
      route({ ...routes, chosen }, logits, shape)
      let total = inner(routes.weights, dWeights)
      for (let row = 0; row < rows; row++) {
        const powers = Array.from(logits.slice(row * experts, (row + 1) * experts), Math.exp)
        const sum = powers.reduce((a, b) => a + b)
        for (const [expert, power] of powers.entries()) {
          const share = chosen.filter((id) => id === expert).length / (rows * top)
          total += counts[row] * shape.balance * share * (power / sum)
        }
      }
      return total
    }
    loss()
    const dLogits = new Float32Array(rows * experts)
    routeBackward({ ...routes, chosen, logits, dWeights, counts, dLogits }, shape)
    expectSlopes(dLogits, logits, loss)
  })

  test("of a mixture's sum, to the experts' results and their weights", () => {
    const shape = { rows: 3, cols: 21, top: 2 }
    const x = seeded.floats(6 * 21)
    const weights = seeded.positive(6)
    const places = Int32Array.of(4, 0, 2, 5, 1, 3)
    const dOut = seeded.floats(3 * 21)
    const [dx, dWeights] = [new Float32Array(6 * 21), new Float32Array(6)]
    expertSumBackward({ x, weights, places, dOut, dx, dWeights }, shape)
    const loss = () => {
      const out = new Float32Array(3 * 21)
      expertSum({ out, x, weights, places }, shape)
      return inner(out, dOut)
    }
    expectSlopes(dx, x, loss)
    expectSlopes(dWeights, weights, loss)
  })

  test("of experts' products, to their rows and to their weights", () => {
    const shape = { rows: 5, cols: 7, count: 4 }
    const chosen = Int32Array.of(0, 2, 2, 2, 3)
    const x = seeded.floats(5 * 7)
    const weights = seeded.floats(4 * 4 * 7)
    const dOut = seeded.floats(5 * 4)
    const [dx, dWeights] = [new Float32Array(x.length), new Float32Array(weights.length)]
    expertMatmulBackward({ x, weights, chosen, dOut, dx, dWeights }, shape)
    const loss = () => {
      let total = 0
      for (const [row, expert] of chosen.entries()) {
        for (let i = 0; i < 4; i++) {
          const w = weights.subarray((expert * 4 + i) * 7, (expert * 4 + i + 1) * 7)
          total += dOut[row * 4 + i] * inner(w, x.subarray(row * 7, (row + 1) * 7))
        }
      }
      return total
    }
    expectSlopes(dx, x, loss)
    expectSlopes(dWeights, weights, loss)
  })

  test('of a rotation, which is the rotation back', () => {
    const shape = { rows: 5, length: 5, nHeads: 2, nKvHeads: 1, headDim: 6 }
    const qkv = seeded.floats(5 * 24)
    const rotations = rotationTable(5, 6, 100)
    const gradient = seeded.floats(5 * 24)
    const dOut = gradient.slice()
    rope(gradient, rotations, shape, true)
    expectSlopes(gradient, qkv, () => {
      const out = qkv.slice()
      rope(out, rotations, shape)
      return inner(out, dOut)
    })
  })
})

test.each([
  [false, false],
  [false, true],
  [true, false],
  [true, true],
])('a product, transposed %s and %s, is the sum of products', (transposeA, transposeB) => {
  const [rows, cols, size] = [3, 4, 300]
  const a = seeded.floats(rows * size)
  const b = seeded.floats(size * cols)
  const out = new Float32Array(rows * cols).fill(2)
  matmul(out, a, b, { rows, cols, inner: size, transposeA, transposeB, accumulate: true })
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      let sum = 2
      for (let k = 0; k < size; k++) {
        const x = transposeA ? a[k * rows + row] : a[row * size + k]
        sum += x * (transposeB ? b[col * size + k] : b[k * cols + col])
      }
      expect(out[row * cols + col]).toBeCloseTo(sum, 4)
    }
  }
})

describe('latent weights', () => {
  function quantized(latents: Float32Array, rows: number, mode: 'absmean' | 'sign') {
    const cols = latents.length / rows
    const bytes = new Uint8Array(packedByteLength(rows, cols))
    const scales = new Float32Array(padToTile(rows))
    quantizeWeights({ rows, cols, bytes, scales }, latents, mode)
    return { codes: unpackCodes({ rows, cols, bytes }), scale: scales[0] }
  }

  test.each([
    ['absmean', absmeanQuantize],
    ['sign', signQuantize],
  ] as const)('by %s have the codes and the scale of the plain quantiser', (mode, plain) => {
    const latents = seeded.floats(37 * 19, 0.05)
    expect(quantized(latents, 37, mode)).toEqual(plain(latents))
  })

  test('at exactly half of the scale become 0, and above it 1', () => {
    // Mean magnitude 1.
    const latents = Float32Array.of(0.5, -0.5, 0.5 + 2 ** -24, -1.5, 1.5, 1.5, -1.5, 1)
    latents[7] = 8 - [...latents.subarray(0, 7)].reduce((sum, w) => sum + Math.abs(w), 0)
    const { codes, scale } = quantized(latents, 2, 'absmean')
    expect(scale).toBe(1)
    expect([...codes.subarray(0, 4)]).toEqual([0, 0, 1, -1])
  })
})

test.each([1, 2 ** 15])(
  'AdamW follows its formula, with clipping, decay and a loss times %d',
  (lossScale) => {
    const [lr, beta1, beta2, eps, decay, maxNorm, t] = [1e-2, 0.9, 0.95, 1e-8, 0.1, 1, 3]
    const gradients = seeded.floats(20, 2)
    const norm = Math.hypot(...gradients)
    expect(norm).toBeGreaterThan(maxNorm)
    const [p, m, v] = [seeded.floats(20), seeded.floats(20, 0.1), seeded.positive(20, 0.1)]
    const expected = Array.from(p, (value, i) => {
      const g = (gradients[i] * maxNorm) / norm
      const mean = (beta1 * m[i] + (1 - beta1) * g) / (1 - beta1 ** t)
      const square = (beta2 * v[i] + (1 - beta2) * g * g) / (1 - beta2 ** t)
      return value * (1 - lr * decay) - (lr * mean) / (Math.sqrt(square) + eps)
    })
    const numbers = Float32Array.of(
      lr / (1 - beta1 ** t),
      1 - lr * decay,
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      1 / Math.sqrt(1 - beta2 ** t),
      eps,
      maxNorm,
      1 / lossScale,
    )
    expect(numbers).toHaveLength(ADAMW_NUMBERS.length)
    const scaled = gradients.map((value) => value * lossScale)
    const memory = { parameters: p, gradients: scaled, means: m, squares: v, numbers }
    adamw({ ...memory, squareSum: Float32Array.of((norm * lossScale) ** 2) }, 20)
    for (const [i, value] of expected.entries()) expect(p[i]).toBeCloseTo(value, 6)
    const before = [p, m, v].map((x) => x.slice())
    for (const squareSum of [Number.NaN, Infinity]) {
      adamw({ ...memory, squareSum: Float32Array.of(squareSum) }, 20)
    }
    expect([p, m, v]).toEqual(before)
  },
)

test('a factor of 0 writes zeros whatever is there', () => {
  const x = Float32Array.of(Number.NaN, Infinity, 1)
  axpy(x, x, { rows: 1, cols: 3, scale: 0 })
  expect([...x]).toEqual([0, 0, 0])
})
