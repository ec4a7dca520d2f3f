/**
 * All ways between the formats, on disk: each tiny checkpoint through two formats one after the other
 * keeps every code and every scale, and generates the tokens of its source.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { compareFiles } from '../src/node/convert/compare-files.ts'
import { type ConversionOptions, convertFile } from '../src/node/convert/convert-file.ts'
import { openModelFile } from '../src/node/open-model.ts'
import { tinyModel } from './support/fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'round-trip-'))
afterAll(() => rmSync(folder, { recursive: true }))

const FORMATS = {
  I2_S: { weights: 'I2_S' },
  TQ1_0: { weights: 'TQ1_0' },
  TQ2_0: { weights: 'TQ2_0' },
  autobitlinear: { linearClass: 'autobitlinear' },
  bitlinear: { linearClass: 'bitlinear' },
} as const satisfies Record<string, ConversionOptions>

type Format = keyof typeof FORMATS
const names = Object.keys(FORMATS) as Format[]

/** Converts to a place of its own, once. */
const made = new Map<string, Promise<string>>()
function converted(source: string, id: string, format: Format): Promise<string> {
  const options = FORMATS[format]
  const target = join(folder, `${id}-${format}${'weights' in options ? '.gguf' : ''}`)
  const path = made.get(target) ?? convertFile(source, target, options).then(() => target)
  made.set(target, path)
  return path
}

describe.each(['bitnet-packed', 'bitnet-bf16', 'llama-bitlinear-packed'])('%s', (name) => {
  const pairs = names.flatMap((first) => names.map((second) => [first, second] as const))

  test.each(pairs)('to %s and from there to %s keeps codes and scales', async (first, second) => {
    const middle = await converted(tinyModel(name), name, first)
    const end = await converted(middle, `${name}-${first}`, second)
    // The TQ types keep scales in half precision: the first step into one of them rounds, no other.
    const exactFrom = first.startsWith('TQ') ? middle : tinyModel(name)
    const { ternary, ternaryTensors, dense } = await compareFiles(exactFrom, end)
    expect(ternaryTensors).toBe(14)
    const isRounded = second.startsWith('TQ') && !first.startsWith('TQ')
    expect(ternary.every(({ codes }) => codes === 0)).toBe(true)
    if (!isRounded) expect(ternary).toEqual([])
    const whole = await compareFiles(tinyModel(name), end)
    expect(whole.equalCodes).toBe(1)
    // A scale that a TQ type has rounded stays so in a type that need not have rounded it.
    if (!first.startsWith('TQ')) expect(whole.isWithinBounds).toBe(true)
    // bf16 values fit into f16 but for the smallest ones.
    expect(dense.every(({ relativeError }) => relativeError < 1e-6)).toBe(true)
  })
})

describe('a packed checkpoint', () => {
  test.each([
    ['bitnet-packed', 'autobitlinear'],
    ['llama-bitlinear-packed', 'bitlinear'],
  ] as const)('%s has the tensors of its source again after GGUF', async (name, linearClass) => {
    const gguf = await converted(tinyModel(name), name, 'I2_S')
    const back = await converted(gguf, `${name}-I2_S`, linearClass)
    const [source, result] = await Promise.all([tinyModel(name), back].map(openModelFile))
    expect([...result.file.tensors.keys()].sort()).toEqual([...source.file.tensors.keys()].sort())
    for (const [key, tensor] of source.file.tensors) {
      const other = result.file.tensors.get(key)
      // Tables went through F16, and stay in it.
      if (/embed_tokens|lm_head/.test(key)) {
        expect(other).toMatchObject({ type: 'F16', shape: tensor.shape })
        continue
      }
      expect(other, key).toMatchObject({ type: tensor.type, shape: tensor.shape })
      const bytes = await tensor.source.read(tensor.offset, tensor.byteLength)
      const otherBytes = await other?.source.read(other.offset, other.byteLength)
      expect(Buffer.compare(bytes, otherBytes ?? new Uint8Array(0)), key).toBe(0)
    }
    await source.file.close()
    await result.file.close()
  })

  test('is split where it is larger than a file may be, and opens again', async () => {
    const target = join(folder, 'sharded')
    await convertFile(tinyModel('bitnet-packed'), target, { shardBytes: 200_000 })
    const files = readdirSync(target).filter((file) => file.endsWith('.safetensors'))
    expect(files.length).toBeGreaterThan(3)
    expect(files[0]).toBe(`model-00001-of-0000${files.length}.safetensors`)
    const index = JSON.parse(readFileSync(join(target, 'model.safetensors.index.json'), 'utf8'))
    const whole = await openModelFile(tinyModel('bitnet-packed'))
    expect(Object.keys(index.weight_map).sort()).toEqual([...whole.file.tensors.keys()].sort())
    await whole.file.close()
    const { isWithinBounds, ternary, dense } = await compareFiles(
      tinyModel('bitnet-packed'),
      target,
    )
    expect({ isWithinBounds, ternary, dense }).toEqual({
      isWithinBounds: true,
      ternary: [],
      dense: [],
    })
    expect(existsSync(`${target}.partial`)).toBe(false)
  })

  test('says in config.json how its scales are meant', async () => {
    const gguf = await converted(
      tinyModel('llama-bitlinear-packed'),
      'llama-bitlinear-packed',
      'I2_S',
    )
    const target = await converted(gguf, 'llama-bitlinear-packed-I2_S', 'autobitlinear')
    const config = JSON.parse(readFileSync(join(target, 'config.json'), 'utf8'))
    const source = JSON.parse(
      readFileSync(join(tinyModel('llama-bitlinear-packed'), 'config.json'), 'utf8'),
    )
    const { quantization_config: quantization, ...rest } = config
    expect(quantization).toMatchObject({ quant_method: 'bitnet', linear_class: 'autobitlinear' })
    // A GGUF without vocabulary has no ids of special tokens.
    const {
      quantization_config: _other,
      bos_token_id: _bos,
      eos_token_id: _eos,
      pad_token_id: _pad,
      ...sourceRest
    } = source
    expect(rest).toEqual(sourceRest)
  })
})
