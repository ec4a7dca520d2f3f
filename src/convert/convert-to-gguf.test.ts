/**
 * Conversion of the tiny checkpoints, into memory, and of the full checkpoint where it is at hand.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { sharedPath, tinyModel } from '../../test/support/fixtures.ts'
import { FormatError, UsageError } from '../errors.ts'
import { memorySink } from '../formats/byte-sink.ts'
import { parseGguf } from '../formats/gguf/index.ts'
import { memorySource } from '../formats/memory-source.ts'
import { readConfig } from '../model/config/read-config.ts'
import { convertFile } from '../node/convert/convert-file.ts'
import { openModelFile } from '../node/open-model.ts'
import { tokenizerFromGguf } from '../tokenizer/open-tokenizer.ts'
import { tokenizerFilesOf } from './checkpoint-tokenizer.ts'
import {
  type ConversionInput,
  compareModels,
  convertToGguf,
  type GgufConversionOptions,
} from './index.ts'

const checkpoint = sharedPath('model-ja-en-58m')

async function convert(input: ConversionInput, options: GgufConversionOptions = {}) {
  const sink = memorySink()
  const report = await convertToGguf(input, sink, options)
  const file = await parseGguf(memorySource(sink.bytes(), 'converted.gguf'))
  expect(sink.bytes().length).toBe(report.bytesOut)
  return { report, file }
}

async function withTiny<T>(name: string, run: (input: ConversionInput) => Promise<T>): Promise<T> {
  const opened = await openModelFile(tinyModel(name))
  try {
    return await run(opened)
  } finally {
    await opened.file.close()
  }
}

describe('converting a checkpoint', () => {
  test.each([
    ['bitnet-packed', 'bitnet-b1.58', 24],
    ['bitnet-bf16', 'bitnet-b1.58', 24],
    ['llama-bitlinear-packed', 'llama', 21],
  ])('%s changes no code and no scale', async (name, architecture, tensors) => {
    await withTiny(name, async (input) => {
      for (const weights of ['I2_S', 'TQ2_0', 'TQ1_0'] as const) {
        const { report, file } = await convert(input, { weights })
        expect(report).toMatchObject({ architecture, tensors, ternaryTensors: 14 })
        const comparison = await compareModels(input.file, file)
        expect(comparison.ternaryWeights).toBe(report.ternaryWeights)
        const half = report.losses.filter(({ to }) => to === weights).map(({ tensor }) => tensor)
        // The TQ types keep scales in half precision: where that shows, the report says so.
        expect(comparison.ternary.map(({ tensor }) => tensor)).toEqual(half)
        expect(comparison.ternary.every(({ codes }) => codes === 0)).toBe(true)
        if (weights === 'I2_S') expect(half).toEqual([])
        expect(comparison.dense.every(({ relativeError }) => relativeError < 1e-7)).toBe(true)
      }
    })
  })

  test('a file with a head of its own is no file of the model without', async () => {
    await withTiny('bitnet-packed', async ({ file }) => {
      const table = file.tensors.get('model.embed_tokens.weight')
      if (file.format !== 'safetensors' || table === undefined) throw new Error('another fixture')
      const headed = {
        ...file,
        config: { ...file.config, tie_word_embeddings: false },
        tensors: new Map(file.tensors).set('lm_head.weight', { ...table, name: 'lm_head.weight' }),
      }
      await expect(compareModels(file, headed)).rejects.toThrow('two files of one model')
      await expect(compareModels(headed, file)).rejects.toThrow('two files of one model')
    })
  })

  test('there and back: a GGUF made from a GGUF has the same bytes', async () => {
    await withTiny('llama-bitlinear-packed', async (input) => {
      const first = memorySink()
      await convertToGguf(input, first)
      const file = await parseGguf(memorySource(first.bytes()))
      const second = memorySink()
      await convertToGguf({ file }, second)
      expect(Buffer.compare(first.bytes(), second.bytes())).toBe(0)
    })
  })

  test('gives the keys of the published file in its order, then its own', async () => {
    await withTiny('bitnet-packed', async ({ file }) => {
      const names = ['t0', '<s>', '</s>', '<|eot_id|>']
      const vocab = Object.fromEntries(
        Array.from({ length: 500 }, (_, id) => [names[id] ?? `t${id}`, id]),
      )
      const special = (id: number) => ({ id, content: names[id], special: true })
      const tokenizerFiles = {
        tokenizerJson: {
          added_tokens: [special(1), special(2), special(3)],
          model: { type: 'BPE', vocab, merges: [['t', '1'], 't 2'] },
        },
        tokenizerConfig: { add_bos_token: true, chat_template: 'Human: BITNETAssistant:' },
        generationConfig: { eos_token_id: [2, 3], temperature: 0.5, top_k: 40 },
      }
      const { metadata, valueTypes } = (await convert({ file, tokenizerFiles })).file
      const keys =
        'vocab_size context_length embedding_length block_count feed_forward_length rope.dimension_count attention.head_count attention.head_count_kv attention.layer_norm_rms_epsilon rope.freq_base'
      const ggml =
        'model tokens scores token_type merges bos_token_id eos_token_id padding_token_id'
      expect([...metadata.keys()].slice(0, 24)).toEqual([
        'general.architecture',
        'general.name',
        ...keys.split(' ').map((key) => `bitnet-b1.58.${key}`),
        'tokenizer.ggml.add_bos_token',
        'general.file_type',
        ...ggml.split(' ').map((key) => `tokenizer.ggml.${key}`),
        'tokenizer.chat_template',
        'general.quantization_version',
      ])
      expect(Object.fromEntries(metadata)).toMatchObject({
        'general.file_type': 40,
        'tokenizer.ggml.add_bos_token': true,
        'tokenizer.ggml.bos_token_id': 1,
        'tokenizer.ggml.eos_token_id': 2,
        'tokenizer.ggml.eot_token_id': 3,
        'tokenizer.ggml.merges': ['t 1', 't 2'],
        'tokenizer.chat_template': expect.stringContaining('eot_id'),
        'tokenizer.huggingface.json': JSON.stringify(tokenizerFiles.tokenizerJson),
        'general.sampling.temp': 0.5,
        'general.sampling.top_k': 40,
      })
      const chatTemplate = 'of its own file'
      const beside = await convert({ file, tokenizerFiles: { ...tokenizerFiles, chatTemplate } })
      expect(beside.file.metadata.get('tokenizer.chat_template')).toBe(chatTemplate)
      const tokens = metadata.get('tokenizer.ggml.tokens') as string[]
      const types = metadata.get('tokenizer.ggml.token_type') as Int32Array
      expect([tokens.length, tokens[0], tokens[2], tokens[511]]).toEqual([
        512,
        't0',
        '</s>',
        '[PAD511]',
      ])
      expect([types[0], types[2], types[511]]).toEqual([1, 3, 5])
      expect(valueTypes?.get('bitnet-b1.58.rope.freq_base')).toBe('f32')
    })
  })

  test('keeps what templates see: one for tools, the end token that is named, tokens named elsewhere', async () => {
    await withTiny('bitnet-packed', async ({ file }) => {
      const vocab = Object.fromEntries(Array.from({ length: 500 }, (_, id) => [`t${id}`, id]))
      const chat_template = { default: '{{ eos_token }}t4', tool_use: 't5{{ tools | length }}' }
      const tokenizerFiles = {
        tokenizerJson: {
          added_tokens: [],
          pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
          decoder: { type: 'ByteLevel' },
          model: {
            type: 'BPE',
            vocab: { ...vocab, t: 500, 4: 501, 5: 502 },
            merges: ['t 4', 't 5'],
          },
        },
        tokenizerConfig: { chat_template, eos_token: '<x>' },
        generationConfig: { eos_token_id: [2] },
      }
      const made = (await convert({ file, tokenizerFiles })).file
      const tokenizer = tokenizerFromGguf(made.metadata)
      const hello = { role: 'user', content: 'a' } as const
      expect(tokenizer.encodeChat([hello])).toEqual([503, 4])
      expect(tokenizer.encodeChat([hello], { tools: [{}] })).toEqual([5])
      expect(tokenizer.stopIds).toEqual([2, 503])
      const back = tokenizerFilesOf(made, readConfig(made))
      const config = back.find(({ name }) => name === 'tokenizer_config.json')
      expect(JSON.parse(new TextDecoder().decode(config?.bytes)).chat_template).toEqual([
        { name: 'default', template: chat_template.default },
        { name: 'tool_use', template: chat_template.tool_use },
      ])
    })
  })

  test('reports what an embedding of fewer bits loses', async () => {
    await withTiny('bitnet-packed', async (input) => {
      const { report, file } = await convert(input, { embedding: 'Q6_K' })
      const [loss] = report.losses
      expect(loss).toMatchObject({ tensor: 'token_embd.weight', from: 'BF16', to: 'Q6_K' })
      const { dense } = await compareModels(input.file, file)
      expect(dense).toHaveLength(1)
      expect(dense[0].relativeError).toBeCloseTo(loss.relativeError, 9)
    })
  })

  test('tells progress up to the last byte and stops when aborted', async () => {
    await withTiny('bitnet-packed', async (input) => {
      const seen: number[] = []
      let total = 0
      await convert(input, {
        onProgress: ({ writtenBytes, totalBytes }) => {
          seen.push(writtenBytes)
          total = totalBytes
        },
      })
      expect(seen).toHaveLength(24)
      expect(seen.at(-1)).toBe(total)
      const signal = AbortSignal.abort()
      await expect(convert(input, { signal })).rejects.toMatchObject({ name: 'AbortError' })
    })
  })
})

describe('what is refused', () => {
  test('a model that was not trained as ternary, unless forced', async () => {
    await withTiny('llama-dense-bf16', async (input) => {
      await expect(convert(input)).rejects.toBeInstanceOf(UsageError)
      const { report } = await convert(input, { force: true })
      expect(report.quantizedTensors).toBe(14)
    })
  })

  test('a tokenizer.json with ids beyond the embedding', async () => {
    await withTiny('bitnet-packed', async ({ file }) => {
      const tokenizerJson = { model: { type: 'BPE', vocab: { a: 512 }, merges: [] } }
      const tokenizerFiles = { tokenizerJson }
      await expect(convert({ file, tokenizerFiles })).rejects.toBeInstanceOf(FormatError)
    })
  })
})

describe('on disk', () => {
  test('a failed conversion leaves no file behind, and a source is never its own target', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'convert-'))
    const target = join(folder, 'out.gguf')
    await expect(convertFile(tinyModel('llama-dense-bf16'), target)).rejects.toThrow('ternary')
    expect(readdirSync(folder)).toEqual([])
    await convertFile(tinyModel('bitnet-packed'), target)
    expect(readdirSync(folder)).toEqual(['out.gguf'])
    await expect(convertFile(target, target)).rejects.toBeInstanceOf(UsageError)
    const nowhere = join(folder, 'no', 'x.gguf')
    const refusal = { code: 'ENOENT', path: nowhere }
    await expect(convertFile(target, nowhere)).rejects.toMatchObject(refusal)
    rmSync(folder, { recursive: true })
  })

  // Above, the tiny checkpoints go the same way; this one is not part of a clone.
  test.skipIf(!existsSync(checkpoint))(
    'converting the checkpoint to GGUF and back changes no ternary code and no scale',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'convert-'))
      const target = join(folder, 'out.gguf')
      const report = await convertFile(checkpoint, target)
      const [source, result] = [await openModelFile(checkpoint), await openModelFile(target)]
      const comparison = await compareModels(source.file, result.file)
      expect(comparison).toMatchObject({ ternaryTensors: 112, ternaryWeights: 50331648 })
      expect(comparison.ternary).toEqual([])
      expect(report.losses.every(({ relativeError }) => relativeError < 1e-7)).toBe(true)
      await source.file.close()
      await result.file.close()
      rmSync(folder, { recursive: true })
    },
  )
})
