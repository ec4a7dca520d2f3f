/**
 * The decoder once more, as plainly as it can be said: whole float arrays, sums in float64 rounded to
 * float32, no cache, no packing, no backend. What the engine computes is checked against this, and
 * this against transformers.
 */
import { decodeDense } from '../../src/formats/dense-codecs.ts'
import type { ModelFile, TensorInfo } from '../../src/formats/model-file.ts'
import { openTernary } from '../../src/formats/ternary/index.ts'
import { float16ToFloat32, float32ToFloat16 } from '../../src/kernels/float16.ts'
import { shortFloat } from '../../src/kernels/float32.ts'
import type { ModelConfig } from '../../src/model/config/config.ts'
import type { Role } from '../../src/model/layers.ts'
import { type PlannedPart, planWeights } from '../../src/model/weights/weight-plan.ts'
import { absmaxQuantize } from '../../src/ternary/index.ts'
import { rotated } from './plain-rotation.ts'

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
  const find = partFinder(file, config)
  const head = await readValues((find('head') ?? find('embedding'))?.tensor)
  const vectors = await plainVectors(file, config, ids, cacheType)
  const short = shortening(cacheType)
  const logits = new Float32Array(ids.length * config.vocabSize)
  for (const [position, vector] of vectors.entries()) {
    logits.set(matrixProduct(head, vector.map(short)), position * config.vocabSize)
  }
  return logits
}

/** What the head of a model turns into logits: (dim) for each position, after the final norm. */
export async function plainVectors(
  file: ModelFile,
  config: ModelConfig,
  ids: readonly number[],
  cacheType: 'f16' | 'f32',
): Promise<Float32Array[]> {
  const { dim, headDim, nHeads, nKvHeads, normEps, localAttention } = config
  const find = partFinder(file, config)
  const embedding = await readValues(find('embedding')?.tensor)
  const kept = cacheType === 'f16' ? (v: number) => float16ToFloat32(float32ToFloat16(v)) : f
  const short = shortening(cacheType)
  const factor = f(config.embeddingFactor ?? 1)
  const stream = ids.map((id) =>
    embedding.slice(id * dim, (id + 1) * dim).map((v) => f(v * factor)),
  )
  const none = (x: Float32Array) => x

  for (let i = 0; i < config.nLayers; i++) {
    const isLocal = localAttention?.layers.includes(i) ?? false
    const rotation =
      isLocal && localAttention ? { headDim, ropeTheta: localAttention.ropeTheta } : config
    const window = (isLocal ? localAttention?.window : undefined) ?? Number.POSITIVE_INFINITY
    const linear = (role: Role, expert?: number) =>
      openLinear(file, config, find(role, i, expert), short)
    const [query, key, value] = [await linear('query'), await linear('key'), await linear('value')]
    const output = await linear('output')
    const experts = Array.from(
      { length: config.experts?.count ?? 1 },
      (_, e) => config.experts && e,
    )
    const ffns = await Promise.all(
      experts.map(async (e) => ({
        gate: await linear('gate', e),
        up: await linear('up', e),
        down: await linear('down', e),
      })),
    )
    const router = config.experts && (await readValues(find('router', i)?.tensor))
    const norm = async (role: Role, shift = 0) => {
      const part = find(role, i)
      if (part === undefined) return none
      const w = (await readValues(part.tensor)).map((v) => f(v + shift))
      return (x: Float32Array) => eachHead(x, w.length, (part) => rmsNorm(part, w, normEps))
    }
    const shift = config.shiftedNorms ? 1 : 0
    const attentionNorm = await norm('attentionNorm', shift)
    const queryInput = await norm('queryInputNorm')
    const keyInput = await norm('keyInputNorm')
    const valueInput = await norm('valueInputNorm')
    const queryHeads = await norm('queryHeadNorm', shift)
    const keyHeads = await norm('keyHeadNorm', shift)
    const attentionPostNorm = await norm('attentionPostNorm', shift)
    const gateInput = await norm('gateInputNorm')
    const upInput = await norm('upInputNorm')
    const ffnPostNorm = await norm('ffnPostNorm', shift)
    const attentionSubNorm = await norm('attentionSubNorm')
    const ffnNorm = await norm('ffnNorm', shift)
    const ffnSubNorm = await norm('ffnSubNorm')
    const keys: Float32Array[] = []
    const values: Float32Array[] = []
    for (const [position, x] of stream.entries()) {
      const a = attentionNorm(x)
      const rotate = (v: Float32Array) => rotated(v, position, rotation)
      const q = rotate(queryHeads(query(queryInput(a))))
      keys.push(rotate(keyHeads(key(keyInput(a)))).map(kept))
      values.push(value(valueInput(a)).map(kept))
      const from = Math.max(0, position + 1 - window)
      const shape = { headDim, group: nHeads / nKvHeads, short }
      const mixed = attention(q, keys.slice(from), values.slice(from), shape)
      add(x, attentionPostNorm(output(attentionSubNorm(mixed))))

      const b = ffnNorm(x)
      const activate = ACTIVATIONS[config.activation]
      const through = ({ gate, up, down }: (typeof ffns)[number]) => {
        const u = up(upInput(b))
        const hidden = gate(gateInput(b)).map((g, i) => f(activate(g)) * u[i])
        return ffnPostNorm(down(ffnSubNorm(hidden)))
      }
      if (router === undefined) add(x, through(ffns[0]))
      else
        add(
          x,
          mixture(matrixProduct(router, b), config.experts?.top ?? 0, (e) => through(ffns[e])),
        )
    }
  }
  const stored = await readValues(find('finalNorm')?.tensor)
  const finalNorm = stored.map((v) => (config.shiftedNorms ? v + 1 : v))
  return stream.map((x) => rmsNorm(x, finalNorm, normEps))
}

/** What multiplies halves is rounded too, of the cache and of weights; see shortFloat. */
function shortening(cacheType: 'f16' | 'f32'): (v: number) => number {
  return cacheType === 'f16' ? shortFloat : f
}

const ACTIVATIONS: Record<ModelConfig['activation'], (gate: number) => number> = {
  relu2: (g) => Math.max(g, 0) ** 2,
  silu: (g) => g / (1 + Math.exp(-g)),
  gelu: (g) => (g / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (g + 0.044715 * g ** 3))),
}

/** A function of `width` elements on each such part of x. */
function eachHead(
  x: Float32Array,
  width: number,
  run: (part: Float32Array) => Float32Array,
): Float32Array {
  const out = new Float32Array(x.length)
  for (let at = 0; at < x.length; at += width) out.set(run(x.subarray(at, at + width)), at)
  return out
}

/** Softmax of all logits, the largest of them divided by their sum: as Mixtral's code says it. */
function mixture(
  logits: Float32Array,
  top: number,
  result: (expert: number) => Float32Array,
): Float32Array {
  const all = Array.from(logits, (logit, expert) => ({ expert, p: Math.exp(logit) }))
  const chosen = all.sort((a, b) => b.p - a.p || a.expert - b.expert).slice(0, top)
  const sum = chosen.reduce((total, { p }) => total + p, 0)
  const parts = chosen.map(({ expert, p }) => result(expert).map((v) => v * f(p / sum)))
  return parts.reduce((total, part) => total.map((v, i) => v + part[i]))
}

type FindPart = (role: Role, layer?: number, expert?: number) => PlannedPart | undefined

function partFinder(file: ModelFile, config: ModelConfig): FindPart {
  const plan = planWeights(file, config)
  return (role, layer, expert) =>
    plan.find((part) => part.role === role && part.layer === layer && part.expert === expert)
}

async function readValues(tensor: TensorInfo | undefined): Promise<Float32Array> {
  if (tensor === undefined) throw new Error('a tensor is missing')
  const values = new Float32Array(tensor.shape.reduce((a, b) => a * b, 1))
  decodeDense(tensor.type, await tensor.source.read(tensor.offset, tensor.byteLength), values)
  // Engines hold what blocks decode to as halves.
  const isFloat = ['F32', 'F16', 'BF16'].includes(tensor.type)
  return isFloat ? values : values.map((v) => float16ToFloat32(float32ToFloat16(v)))
}

async function openLinear(
  file: ModelFile,
  config: ModelConfig,
  part: PlannedPart | undefined,
  short: (v: number) => number,
): Promise<Linear> {
  if (part?.kind !== 'linear') throw new Error('a projection is missing')
  const { tensor, rows, cols } = part
  if (config.linear === 'dense') {
    const weights = await readValues(tensor)
    return (x) => matrixProduct(weights, x.map(short))
  }
  const ternary = await openTernary(file, tensor, { rows, rowScales: true })
  const codes = new Int8Array(rows * cols)
  await ternary.readCodes(0, rows, codes)
  return (x) => {
    const { q, scale } = absmaxQuantize(x)
    const { rowScales } = ternary
    return matrixProduct(codes, q).map((dot, r) =>
      f(dot * f(scale * (rowScales?.[r % rows] ?? ternary.scale))),
    )
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

function attention(
  q: Float32Array,
  keys: readonly Float32Array[],
  values: readonly Float32Array[],
  { headDim, group, short }: { headDim: number; group: number; short: (v: number) => number },
): Float32Array {
  const out = new Float32Array(q.length)
  for (let h = 0; h < q.length / headDim; h++) {
    const from = h * headDim
    const kv = Math.floor(h / group) * headDim
    const scores = keys.map((k) => {
      let dot = 0
      for (let d = 0; d < headDim; d++) dot += short(q[from + d]) * k[kv + d]
      return dot / Math.sqrt(headDim)
    })
    const max = Math.max(...scores)
    const weights = scores.map((score) => short(f(Math.exp(score - max))))
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
