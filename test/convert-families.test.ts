/**
 * Conversion of the BitNet embedding models: masters to GGUF, and from there to a packed checkpoint,
 * keep every code, scale and norm, and `embed` gives the same vectors from all three.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { createReferenceBackend } from '../src/backends/reference/index.ts'
import type { JsonObject } from '../src/checks.ts'
import { compareModels, convertToCheckpoint, convertToGguf } from '../src/convert/index.ts'
import { memorySink } from '../src/formats/byte-sink.ts'
import { parseGguf } from '../src/formats/gguf/index.ts'
import { memorySource } from '../src/formats/memory-source.ts'
import type { OpenedModel } from '../src/formats/model-file.ts'
import { loadModelAt } from '../src/generate/load/loading.ts'
import { readConfig } from '../src/model/config/read-config.ts'
import { openModelFile } from '../src/node/open-model.ts'
import { mastersFile, seededValues } from './support/family-model.ts'
import { type Extras, huggingFaceShapes } from './support/family-shapes.ts'

const folder = mkdtempSync(join(tmpdir(), 'convert-families-'))
afterAll(() => rmSync(folder, { recursive: true }))

const TEXTS = ['abcab', 'c', 'bbbbbbbbbbbbbba']
const SIZES = { dim: 128, ffn: 256, heads: 4, vocab: 8, kvHeads: 1, headDim: 64 }

/** Over a, b and c; every text ends in token 6. */
const TOKENIZER: JsonObject = {
  added_tokens: [{ id: 6, content: '<end>', special: true }],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ Sequence: { id: 'A' } }, { SpecialToken: { id: '<end>' } }],
    special_tokens: { '<end>': { id: '<end>', ids: [6], tokens: ['<end>'] } },
  },
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: { a: 0, b: 1, c: 2, ab: 3, d: 4, e: 5 }, merges: [['a', 'b']] },
}

function opened(layers: number, extras: Extras, json: JsonObject): OpenedModel {
  const values = seededValues(huggingFaceShapes({ ...SIZES, layers }, { ...extras, bare: true }))
  const config = {
    hidden_size: SIZES.dim,
    intermediate_size: SIZES.ffn,
    num_hidden_layers: layers,
    num_attention_heads: SIZES.heads,
    num_key_value_heads: SIZES.kvHeads,
    head_dim: SIZES.headDim,
    vocab_size: SIZES.vocab,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-6,
    rope_theta: 1e6,
    eos_token_id: 6,
    ...json,
  }
  const tokenizerFiles = { tokenizerJson: TOKENIZER }
  return { file: mastersFile(config, values, 'F16'), tokenizerFiles }
}

async function embed(model: OpenedModel): Promise<readonly Float32Array[]> {
  const place = { open: async () => model, openBackend: async () => createReferenceBackend() }
  const loaded = await loadModelAt(place, undefined, {})
  try {
    return await loaded.embed(TEXTS)
  } finally {
    await loaded.dispose()
  }
}

async function toGguf(model: OpenedModel): Promise<OpenedModel> {
  const sink = memorySink()
  await convertToGguf(model, sink)
  const file = await parseGguf(memorySource(sink.bytes(), 'converted.gguf'))
  return { file, tokenizerFiles: {} }
}

/** On disk, as files of a checkpoint are found by their names. */
async function toCheckpoint(model: OpenedModel): Promise<OpenedModel> {
  const target = mkdtempSync(join(folder, 'packed-'))
  const sinks = new Map<string, ReturnType<typeof memorySink>>()
  const file = async (name: string) => {
    const sink = memorySink()
    sinks.set(name, sink)
    return sink
  }
  await convertToCheckpoint(model, { file })
  for (const [name, sink] of sinks) await writeFile(join(target, name), sink.bytes())
  return openModelFile(target)
}

const MODELS = [
  {
    name: 'a Qwen 3 body with yarn',
    architecture: 'qwen3',
    model: opened(
      2,
      { embedding: true, headNorms: true },
      {
        model_type: 'qwen3',
        architectures: ['Qwen3Model'],
        hidden_act: 'silu',
        rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 16 },
      },
    ),
  },
  {
    name: 'a Gemma 3 body with windows',
    architecture: 'gemma3',
    model: opened(
      6,
      { embedding: true, headNorms: true, postNorms: true },
      {
        model_type: 'gemma3_text',
        architectures: ['Gemma3TextModel'],
        rope_local_base_freq: 5e3,
        sliding_window: 5,
        hidden_activation: 'gelu_pytorch_tanh',
        query_pre_attn_scalar: 64,
      },
    ),
  },
]

describe.each(MODELS)('$name', ({ model, architecture }) => {
  const gguf = toGguf(model)
  const packed = gguf.then(toCheckpoint)
  afterAll(async () => (await packed).file.close())

  test('keeps codes, scales and norms through GGUF to a packed checkpoint', async () => {
    const { file } = await gguf
    for (const other of [file, (await packed).file]) {
      expect(await compareModels(model.file, other)).toMatchObject({
        equalCodes: 1,
        ternary: [],
        dense: [],
        isWithinBounds: true,
      })
    }
  })

  test('has its keys and names of tensors in GGUF', async () => {
    const { file } = await gguf
    if (file.format !== 'gguf') throw new Error('not GGUF')
    const { metadata, tensors } = file
    expect(metadata.get('general.architecture')).toBe(architecture)
    expect(metadata.get(`${architecture}.pooling_type`)).toBe(3)
    expect(metadata.get('tokenizer.ggml.add_eos_token')).toBe(true)
    expect(tensors.get('blk.0.attn_q.weight')?.type).toBe('I2_S')
    expect(tensors.has('blk.1.ffn_down_norm_in.weight')).toBe(true)
    expect(tensors.has('output.weight')).toBe(false)
  })

  test('is described alike by all three', async () => {
    const { architecture: _a, name: _n, shiftedNorms: _s, ...rest } = readConfig(model.file)
    const ofGguf = readConfig((await gguf).file)
    // GGUF keeps numbers as float32.
    expect(ofGguf).toMatchObject({ ...rest, normEps: Math.fround(rest.normEps) })
    expect(readConfig((await packed).file)).toMatchObject(rest)
  })

  test('embeds texts to the same vectors from all three', async () => {
    const expected = await embed(model)
    expect(await embed(await gguf)).toEqual(expected)
    expect(await embed(await packed)).toEqual(expected)
  })
})
