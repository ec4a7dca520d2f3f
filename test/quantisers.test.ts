/**
 * A two-layer model with the papers' quantisers in PyTorch: the logits of its first step with BitNet
 * b1.58, with BitNet b1 (signs around the mean) and with none.
 */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import type { JsonObject } from '../src/checks.ts'
import { decodeDense } from '../src/formats/dense-codecs.ts'
import { memorySource } from '../src/formats/memory-source.ts'
import type { SafetensorsFile, TensorInfo } from '../src/formats/model-file.ts'
import { openTernary } from '../src/formats/ternary/index.ts'
import { readConfig } from '../src/model/config/read-config.ts'
import { Decoder } from '../src/model/decoder.ts'
import { loadWeights } from '../src/model/weights/load-weights.ts'
import { largestDifference, promptBatch } from './support/engine.ts'
import { sequencesOf } from './support/sequences.ts'

const path = fileURLToPath(
  new URL('fixtures/quantisers/init-and-logits.safetensors', import.meta.url),
)
const file = readFileSync(path)
const headerBytes = Number(file.readBigUInt64LE(0))
const header = JSON.parse(file.subarray(8, 8 + headerBytes).toString('utf8'))

function bytesOf(name: string): Uint8Array {
  const [from, to] = header[name].data_offsets
  return file.subarray(8 + headerBytes + from, 8 + headerBytes + to)
}

function floatsOf(name: string): Float32Array {
  const bytes = bytesOf(name)
  const values = new Float32Array(bytes.length / 4)
  decodeDense('F32', bytes, values)
  return values
}

const NAMES: Readonly<Record<string, string>> = {
  n1: 'input_layernorm',
  n2: 'post_attention_layernorm',
  ns: 'self_attn.attn_sub_norm',
  nf: 'mlp.ffn_sub_norm',
  q: 'self_attn.q_proj',
  k: 'self_attn.k_proj',
  v: 'self_attn.v_proj',
  o: 'self_attn.o_proj',
  g: 'mlp.gate_proj',
  u: 'mlp.up_proj',
  d: 'mlp.down_proj',
}

function modelFile(quantization: JsonObject): SafetensorsFile {
  const tensors = new Map<string, TensorInfo>()
  for (const key of Object.keys(header)) {
    if (!key.startsWith('init.')) continue
    const [, layer, short] = key.split('.')
    const local = short === undefined ? layer.replace('embed', 'embed_tokens') : undefined
    const name = `model.${local ?? `layers.${layer}.${NAMES[short]}`}.weight`
    const bytes = new Uint8Array(bytesOf(key))
    const { shape } = header[key]
    const source = memorySource(bytes, 'quantisers')
    tensors.set(name, { name, type: 'F32', shape, source, offset: 0, byteLength: bytes.length })
  }
  const config = {
    model_type: 'bitnet',
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: 96,
    rope_theta: 10000,
    rms_norm_eps: 1e-5,
    max_position_embeddings: 32,
    tie_word_embeddings: true,
    quantization_config: { quant_method: 'bitnet', quantization_mode: 'online', ...quantization },
  }
  return { format: 'safetensors', name: 'quantisers', config, tensors, async close() {} }
}

/** Logits of both sequences, without the last token of each, which is only predicted. */
async function logitsOf(
  model: SafetensorsFile,
  linear: 'ternary' | 'dense',
): Promise<Float32Array> {
  const backend = createReferenceBackend()
  try {
    const config = { ...readConfig(model), linear }
    const weights = await loadWeights(backend, model, config)
    const exact = { cacheType: 'f32', matmulPrecision: 'highest' } as const
    const decoder = new Decoder(backend, config, weights, exact)
    const tokens = new Int32Array(new Uint8Array(bytesOf('tokens')).buffer)
    const logits: number[] = []
    for (const sequence of [0, 1]) {
      const ids = [...tokens.subarray(sequence * 25, sequence * 25 + 24)]
      const cache = sequencesOf(decoder, { slots: 1, capacity: 32 })
      logits.push(...(await decoder.forward(cache.place(promptBatch(ids, 'all')))))
    }
    return Float32Array.from(logits)
  } finally {
    backend.dispose()
  }
}

test.each([
  { kind: 'b158', linear: 'ternary', quantization: {} },
  { kind: 'b1', linear: 'ternary', quantization: { weight_bits: 1 } },
  { kind: 'none', linear: 'dense', quantization: {} },
] as const)('the logits of $kind are those of PyTorch', async ({ kind, linear, quantization }) => {
  const golden = floatsOf(`logits.${kind}`)
  const got = await logitsOf(modelFile(quantization), linear)
  const near = got.filter((v, i) => Math.abs(v - golden[i]) < 1e-4)
  // An int8 value that fell the other way moves the rows after it, and few do.
  expect(near.length).toBeGreaterThan(0.8 * got.length)
  expect(largestDifference(got, golden)).toBeLessThan(0.05)
})

test('the codes of b1 are signs, and its scale is the mean magnitude', async () => {
  const model = modelFile({ weight_bits: 1 })
  const tensor = model.tensors.get('model.layers.0.mlp.up_proj.weight')
  if (tensor === undefined) throw new Error('no up projection')
  const opened = await openTernary(model, tensor)
  const codes = new Int8Array(opened.rows * opened.cols)
  await opened.readCodes(0, opened.rows, codes)
  const weights = floatsOf('init.0.u')
  const mean = weights.reduce((sum, w) => sum + w, 0) / weights.length
  expect(codes).toEqual(Int8Array.from(weights, (w) => Math.sign(w - mean)))
  expect(opened.scale).toBeCloseTo(
    weights.reduce((sum, w) => sum + Math.abs(w), 0) / weights.length,
    7,
  )
})
