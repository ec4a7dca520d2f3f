/**
 * ggml's super-blocks of 256 elements, as laid out in ggml-common.h:
 *
 *   Q6_K  low nibbles [128], high bit pairs [64], int8 scales [16], d    w = d s (q - 32)
 *   Q4_K  d, dmin, 6-bit scales and minima [12], nibbles [128]           w = d s q - dmin m
 *
 * Q6_K has one scale for 16 elements, Q4_K one scale and one minimum for 32.
 */
import { float16Table, float32ToFloat16 } from '../kernels/float16.ts'
import { bitsOf, extremeOf } from './block-quants.ts'

const SUPER = 256
const GROUP = 16

export function decodeQ6_K(out: Float32Array, bytes: Uint8Array): void {
  const halves = float16Table()
  const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0, o = 0; o < out.length; at += 210, o += SUPER) {
    const d = halves[bytes[at + 208] | (bytes[at + 209] << 8)]
    for (let half = 0; half < 2; half++) {
      const low = at + 64 * half
      const high = at + 128 + 32 * half
      const scales = at + 192 + 8 * half
      const base = o + 128 * half
      for (let l = 0; l < 32; l++) {
        const group = scales + (l >> 4)
        const pairs = bytes[high + l]
        const a = bytes[low + l]
        const b = bytes[low + 32 + l]
        out[base + l] = d * signed[group] * (((a & 15) | ((pairs & 3) << 4)) - 32)
        out[base + 32 + l] = d * signed[group + 2] * (((b & 15) | ((pairs & 12) << 2)) - 32)
        out[base + 64 + l] = d * signed[group + 4] * (((a >> 4) | (pairs & 48)) - 32)
        out[base + 96 + l] = d * signed[group + 6] * (((b >> 4) | ((pairs & 192) >> 2)) - 32)
      }
    }
  }
}

/**
 * The inverse of {@link decodeQ6_K}, with scales searched for the least squared error. Rounding is
 * by truncation: Math.round and a function to clamp took two thirds of the time.
 */
export function encodeQ6_K(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / SUPER) * 210)
  const bits = bitsOf(values)
  const halves = float16Table()
  const steps = new Float64Array(SUPER / GROUP)
  const codes = new Uint8Array(SUPER)
  for (let at = 0, o = 0; o < values.length; at += 210, o += SUPER) {
    let extreme = 0
    for (let g = 0; g < steps.length; g++) {
      const step = bestStep(values, bits, o + g * GROUP)
      steps[g] = step
      if (Math.abs(step) > Math.abs(extreme)) extreme = step
    }
    // The step of largest magnitude becomes -128, so that the whole range of int8 is used.
    const halfBits = float32ToFloat16(extreme / -128)
    const d = halves[halfBits]
    bytes[at + 208] = halfBits
    bytes[at + 209] = halfBits >> 8
    for (let g = 0; g < steps.length; g++) {
      const scale = d === 0 ? 0 : Math.max(-128, Math.min(127, Math.round(steps[g] / d)))
      bytes[at + 192 + g] = scale
      const step = d * scale
      const inverse = step === 0 ? 0 : 1 / step
      const from = o + g * GROUP
      for (let i = 0; i < GROUP; i++) {
        const code = Math.floor(values[from + i] * inverse + 32.5)
        codes[g * GROUP + i] = Math.max(0, Math.min(63, code))
      }
    }
    storeQ6Codes(bytes, at, codes)
  }
  return bytes
}

function storeQ6Codes(bytes: Uint8Array, at: number, codes: Uint8Array): void {
  for (let half = 0; half < 2; half++) {
    for (let l = 0; l < 32; l++) {
      const e = 128 * half + l
      const [a, b, c, d] = [codes[e], codes[e + 32], codes[e + 64], codes[e + 96]]
      bytes[at + 64 * half + l] = (a & 15) | ((c & 15) << 4)
      bytes[at + 64 * half + 32 + l] = (b & 15) | ((d & 15) << 4)
      const pairs = (a >> 4) | ((b >> 4) << 2) | ((c >> 4) << 4) | ((d >> 4) << 6)
      bytes[at + 128 + 32 * half + l] = pairs
    }
  }
}

/**
 * The candidates for a step: extreme / -31, extreme / -31.7, extreme / -32.4. Seven of them, from -31.1
 * to -32.9, make the error 0.2 % smaller and take 1.5 times as long; one makes it 6 % larger.
 */
const DIVISORS = Float64Array.of(-31, -31.7, -32.4)

/**
 * The step that stores 16 values as step * q, q in [-32, 31], with the least squared error: for each
 * candidate the codes are rounded and the step that suits these codes best is found in closed form.
 */
function bestStep(values: Float32Array, bits: Int32Array, from: number): number {
  const extreme = values[extremeOf(bits, from, GROUP)]
  if (extreme === 0) return 0
  let best = extreme / -32
  let gain = 0
  for (let c = 0; c < DIVISORS.length; c++) {
    const inverse = DIVISORS[c] / extreme
    let valueCode = 0
    let codeCode = 0
    for (let i = from; i < from + GROUP; i++) {
      const value = values[i]
      // The extreme's code is at most 32.4 in magnitude, so no sum truncated here is negative.
      const q = Math.min(31, ((value * inverse + 64.5) | 0) - 64)
      valueCode += value * q
      codeCode += q * q
    }
    // With step = vq / qq the squared error is vv - vq^2 / qq.
    if (valueCode * valueCode > gain * codeCode) {
      gain = (valueCode * valueCode) / codeCode
      best = valueCode / codeCode
    }
  }
  return best
}

export function decodeQ4_K(out: Float32Array, bytes: Uint8Array): void {
  const halves = float16Table()
  for (let at = 0, o = 0; o < out.length; at += 144, o += SUPER) {
    const d = halves[bytes[at] | (bytes[at + 1] << 8)]
    const dmin = halves[bytes[at + 2] | (bytes[at + 3] << 8)]
    for (let page = 0; page < 4; page++) {
      const nibbles = at + 16 + 32 * page
      const base = o + 64 * page
      for (let part = 0; part < 2; part++) {
        const [s, m] = scaleAndMinimum(bytes, at + 4, 2 * page + part)
        const scale = Math.fround(d * s)
        const minimum = Math.fround(dmin * m)
        for (let l = 0; l < 32; l++) {
          const q = (bytes[nibbles + l] >> (4 * part)) & 15
          out[base + 32 * part + l] = scale * q - minimum
        }
      }
    }
  }
}

/**
 * The j-th of eight 6-bit pairs: the first four lie in the low bits of bytes j and j + 4; the others
 * have their low nibbles in byte j + 4 and their top bits above those of the first four.
 */
function scaleAndMinimum(bytes: Uint8Array, at: number, j: number): [number, number] {
  if (j < 4) return [bytes[at + j] & 63, bytes[at + j + 4] & 63]
  const low = bytes[at + j + 4]
  return [(low & 15) | ((bytes[at + j - 4] >> 6) << 4), (low >> 4) | ((bytes[at + j] >> 6) << 4)]
}
