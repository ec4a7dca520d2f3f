/**
 * The decoder once more, as plainly as it can be said: whole float arrays, sums in float64 rounded to
 * float32, no cache, no packing, no backend. What the engine computes is checked against this, and
 * this against transformers.
 */
import { decodeDense } from '../src/formats/dense-codecs.ts'
import type { ModelFile, TensorInfo } from '../src/formats/model-file.ts'
import { openTernary } from '../src/formats/ternary/index.ts'
import { float16ToFloat32, float32ToFloat16 } from '../src/kernels/float16.ts'
import type { ModelConfig } from '../src/model/config.ts'
import { type MatrixPart, planWeights } from '../src/model/weight-plan.ts'
import { absmaxQuantize } from '../src/ternary/index.ts'

const f = Math.fround

/** y = W x for one token. */
type Linear = (x: Float32Array) => Float32Array

/**
 * Logits of all positions, (ids.length, vocabSize).
 *
 * @param cacheType precision of keys and values: the engine keeps them as f16, transformers here as f32
 */
export async function plainLogits(
  file: ModelFile,
  config: ModelConfig,
  ids: readonly number[],
  cacheType: 'f16' | 'f32',
): Promise<Float32Array> {
  const { dim, headDim, nHeads, nKvHeads, normEps, activation, vocabSize } = config
  const plan = planWeights(file, config)
  const embedding = await readValues(plan.embedding.tensor)
  const head = plan.head === undefined ? embedding : await readValues(plan.head.tensor)
  const kept = cacheType === 'f16' ? (v: number) => float16ToFloat32(float32ToFloat16(v)) : f
  const linear = (part: MatrixPart) => openLinear(file, config, part)
  const stream = ids.map((id) => embedding.slice(id * dim, (id + 1) * dim))

  for (const layer of plan.layers) {
    const [query, key, value] = await Promise.all(layer.qkv.map(linear))
    const [gate, up] = await Promise.all(layer.gateUp.map(linear))
    const [output, down] = [await linear(layer.output[0]), await linear(layer.down[0])]
    const norm = async (weight: TensorInfo | undefined) => {
      const w = weight === undefined ? undefined : await readValues(weight)
      return (x: Float32Array) => (w === undefined ? x : rmsNorm(x, w, normEps))
    }
    const attentionNorm = await norm(layer.attentionNorm)
    const attentionSubNorm = await norm(layer.attentionSubNorm)
    const ffnNorm = await norm(layer.ffnNorm)
    const ffnSubNorm = await norm(layer.ffnSubNorm)
    const keys: Float32Array[] = []
    const values: Float32Array[] = []
    for (const [position, x] of stream.entries()) {
      const a = attentionNorm(x)
      const rotate = (v: Float32Array) => rotated(v, position, headDim, config.ropeTheta)
      const q = rotate(query(a))
      keys.push(rotate(key(a)).map(kept))
      values.push(value(a).map(kept))
      const mixed = attention(q, keys, values, { headDim, group: nHeads / nKvHeads })
      add(x, output(attentionSubNorm(mixed)))

      const b = ffnNorm(x)
      const u = up(b)
      const hidden = gate(b).map((g, i) => {
        const act = activation === 'relu2' ? f(Math.max(g, 0) ** 2) : f(g / (1 + Math.exp(-g)))
        return act * u[i]
      })
      add(x, down(ffnSubNorm(hidden)))
    }
  }
  const finalNorm = await readValues(plan.finalNorm)
  const logits = new Float32Array(ids.length * vocabSize)
  for (const [position, x] of stream.entries()) {
    logits.set(matrixProduct(head, rmsNorm(x, finalNorm, normEps)), position * vocabSize)
  }
  return logits
}

async function readValues(tensor: TensorInfo): Promise<Float32Array> {
  const values = new Float32Array(tensor.shape.reduce((a, b) => a * b, 1))
  decodeDense(tensor.type, await tensor.source.read(tensor.offset, tensor.byteLength), values)
  return values
}

async function openLinear(
  file: ModelFile,
  config: ModelConfig,
  { tensor, rows, cols }: MatrixPart,
): Promise<Linear> {
  if (config.linear === 'dense') {
    const weights = await readValues(tensor)
    return (x) => matrixProduct(weights, x)
  }
  const ternary = await openTernary(file, tensor, { rows })
  const codes = new Int8Array(rows * cols)
  await ternary.readCodes(0, rows, codes)
  return (x) => {
    const { q, scale } = absmaxQuantize(x)
    return matrixProduct(codes, q).map((dot) => f(dot * f(scale * ternary.scale)))
  }
}

/** w (rows, x.length) times x, each sum exact or in float64. */
function matrixProduct(w: Float32Array | Int8Array, x: Float32Array | Int8Array): Float32Array {
  const out = new Float32Array(w.length / x.length)
  for (let r = 0; r < out.length; r++) {
    let sum = 0
    for (let c = 0; c < x.length; c++) sum += w[r * x.length + c] * x[c]
    out[r] = sum
  }
  return out
}

function rmsNorm(x: Float32Array, weight: Float32Array, eps: number): Float32Array {
  const mean = x.reduce((sum, v) => sum + v * v, 0) / x.length
  const inverse = f(1 / Math.sqrt(f(mean) + eps))
  return x.map((v, i) => f(v * inverse) * weight[i])
}

function rotated(x: Float32Array, position: number, headDim: number, theta: number): Float32Array {
  const half = headDim / 2
  return x.map((v, i) => {
    const d = i % headDim
    const angle = position * theta ** (-(d % half) / half)
    const [cos, sin] = [f(Math.cos(angle)), f(Math.sin(angle))]
    return d < half ? f(v * cos) - f(x[i + half] * sin) : f(v * cos) + f(x[i - half] * sin)
  })
}

function attention(
  q: Float32Array,
  keys: readonly Float32Array[],
  values: readonly Float32Array[],
  { headDim, group }: { headDim: number; group: number },
): Float32Array {
  const out = new Float32Array(q.length)
  for (let h = 0; h < q.length / headDim; h++) {
    const from = h * headDim
    const kv = Math.floor(h / group) * headDim
    const scores = keys.map((k) => {
      let dot = 0
      for (let d = 0; d < headDim; d++) dot += q[from + d] * k[kv + d]
      return dot / Math.sqrt(headDim)
    })
    const max = Math.max(...scores)
    const weights = scores.map((score) => Math.exp(score - max))
    const total = weights.reduce((a, b) => a + b, 0)
    for (let d = 0; d < headDim; d++) {
      let sum = 0
      for (const [p, v] of values.entries()) sum += weights[p] * v[kv + d]
      out[from + d] = sum / total
    }
  }
  return out
}

function add(x: Float32Array, y: Float32Array): void {
  for (let i = 0; i < x.length; i++) x[i] += y[i]
}
