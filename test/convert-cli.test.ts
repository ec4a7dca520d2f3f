/**
 * `bitnet convert` as a person or a script uses it: what it writes, refuses, compares and leaves behind.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import type { Surroundings } from '../src/cli/console/surroundings.ts'
import { runCli } from '../src/cli/program.ts'
import { convertFile } from '../src/node/convert/convert-file.ts'
import { loadModel } from '../src/node/load-model.ts'
import { tinyModel } from './support/fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'convert-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))

const embedded = fileURLToPath(new URL('../models/bitnet-ja-en-58m.gguf', import.meta.url))

async function bitnet(...args: string[]) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const unused = () => Promise.reject(new Error('a conversion loads no model'))
  const surroundings: Surroundings = {
    stdin,
    stdout,
    stderr,
    env: {},
    loadModel: unused,
    loadEngine: unused,
    onInterrupt: () => () => {},
  }
  const code = await runCli(args, surroundings)
  const text = (stream: PassThrough): string => String(stream.read() ?? '')
  return { code, out: text(stdout), err: text(stderr) }
}

describe('bitnet convert', () => {
  test('reports types, zeros and scales of each kind, and that nothing was lost', async () => {
    const target = join(folder, 'report.gguf')
    const { code, out } = await bitnet(
      'convert',
      tinyModel('bitnet-packed'),
      target,
      '--type',
      'i2_s',
    )
    expect(code).toBe(0)
    expect(out).toMatch(/types +\d+ F16 .*14 I2_S/)
    expect(out).toMatch(/attn_q +2 +131,072 +\d+\.\d %/)
    const json = await bitnet('convert', target, join(folder, 'report'), '--json')
    const report = JSON.parse(json.out)
    expect(report).toMatchObject({ format: 'safetensors', ternaryTensors: 14, losses: [] })
    expect(report.kinds).toHaveLength(7)
  })

  test('tells what quantising masters and rounding an embedding changed', async () => {
    const target = join(folder, 'masters.gguf')
    const args = [tinyModel('bitnet-bf16'), target, '--embedding', 'q4_0', '--json']
    const { quantization, losses } = JSON.parse((await bitnet('convert', ...args)).out)
    expect(quantization.tensors).toBe(14)
    expect(quantization.meanError).toBeGreaterThan(0.1)
    expect(quantization.largestError).toBeLessThan(1)
    expect(losses[0]).toMatchObject({ tensor: 'token_embd.weight', to: 'Q4_0' })
    expect(losses[0].largestError).toBeGreaterThan(losses[0].rmsError)
  })

  test('refuses an ordinary model with the error as evidence, and does it when forced', async () => {
    const target = join(folder, 'dense')
    const refused = await bitnet('convert', tinyModel('llama-dense-bf16'), target)
    expect(refused.code).toBe(2)
    expect(refused.err).toMatch(/changes it by \d+ %.*--force/)
    expect(readdirSync(folder).filter((name) => name.startsWith('dense'))).toEqual([])
    expect((await bitnet('convert', tinyModel('llama-dense-bf16'), target, '--force')).code).toBe(0)
  })

  test.each([
    [['a.gguf', '--linear-class', 'bitlinear'], 'safetensors only'],
    [['a.gguf', '--embedding', 'bf16'], 'Expected an embedding of F16'],
    [['a', '--type', 'tq2_0'], 'ends in .gguf'],
    [['a', '--verify', '--force'], '--verify alone'],
  ])('refuses %j', async ([target, ...flags], message) => {
    const { code, err } = await bitnet('convert', tinyModel('bitnet-packed'), target, ...flags)
    expect(code).toBe(2)
    expect(err).toContain(message)
  })

  test('replaces a folder only when asked, and removes no file but old weights', async () => {
    const target = join(folder, 'taken')
    mkdirSync(target)
    writeFileSync(join(target, 'notes.txt'), 'mine')
    writeFileSync(join(target, 'model-00001-of-00002.safetensors'), 'old')
    const refused = await bitnet('convert', tinyModel('bitnet-packed'), target)
    expect(refused.code).toBe(2)
    expect(refused.err).toContain('exists')
    const done = await bitnet('convert', tinyModel('bitnet-packed'), target, '--overwrite')
    expect(done.code, done.err).toBe(0)
    expect(readdirSync(target).sort()).toEqual(['config.json', 'model.safetensors', 'notes.txt'])
    expect(existsSync(`${target}.partial`)).toBe(false)
  })

  test('leaves nothing behind when it is stopped', async () => {
    for (const target of [join(folder, 'stopped'), join(folder, 'stopped.gguf')]) {
      const controller = new AbortController()
      const running = convertFile(tinyModel('bitnet-packed'), target, {
        signal: controller.signal,
        onProgress: () => controller.abort(),
      })
      await expect(running).rejects.toMatchObject({ name: 'AbortError' })
    }
    expect(readdirSync(folder).filter((name) => name.startsWith('stopped'))).toEqual([])
  })
})

describe('bitnet convert --verify', () => {
  test('accepts the same model in other types, and tells how near they are', async () => {
    const target = join(folder, 'near.gguf')
    await convertFile(tinyModel('bitnet-packed'), target, { weights: 'TQ1_0', embedding: 'Q6_K' })
    const { code, out } = await bitnet('convert', '--verify', tinyModel('bitnet-packed'), target)
    expect(code).toBe(0)
    expect(out).toContain('100 % of')
    expect(out).toContain('every difference is rounding')
  })

  test.each(['F16', 'Q8_0', 'Q6_K', 'Q4_0'] as const)('%s stays within its bound', async (type) => {
    const target = join(folder, `bound-${type}.gguf`)
    await convertFile(tinyModel('bitnet-packed'), target, { embedding: type })
    const { code, out } = await bitnet(
      'convert',
      '--verify',
      tinyModel('bitnet-packed'),
      target,
      '--json',
    )
    expect(JSON.parse(out)).toMatchObject({ equalCodes: 1, ternary: [], isWithinBounds: true })
    expect(code).toBe(0)
  })

  test('fails with exit code 1 where a code or an embedding differs', async () => {
    const target = join(folder, 'differs')
    await convertFile(tinyModel('bitnet-packed'), target)
    const weights = join(target, 'model.safetensors')
    const bytes = readFileSync(weights)
    const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString())
    const at = (name: string) => 8 + Number(bytes.readBigUInt64LE(0)) + header[name].data_offsets[0]
    const codes = at('model.layers.1.mlp.up_proj.weight')
    bytes[codes] = bytes[codes] === 0 ? 1 : 0
    // The exponent of a bf16 number: another number altogether.
    bytes[at('model.embed_tokens.weight') + 1] ^= 0x3f
    writeFileSync(weights, bytes)
    const { code, out } = await bitnet('convert', '--verify', tinyModel('bitnet-packed'), target)
    expect(code).toBe(1)
    expect(out).toMatch(/blk\.1\.ffn_up\.weight +[1-4] .* no/)
    expect(out).toMatch(/token_embd\.weight .* no/)
  })

  test('refuses two different models', async () => {
    const { code, err } = await bitnet(
      'convert',
      '--verify',
      tinyModel('bitnet-packed'),
      tinyModel('llama-bitlinear-packed'),
    )
    expect(code).toBe(1)
    expect(err).toContain('two files of one model')
  })
})

test('a folder made from GGUF generates the tokens of its source', async () => {
  const target = join(folder, 'model')
  // Without rounding: the head as the source has it.
  await convertFile(embedded, target, { embedding: 'F32' })
  const results: (readonly number[])[] = []
  for (const source of [embedded, target]) {
    await using model = await loadModel(source, { head: 'f16' })
    const { result } = model.generate('Once upon a time', { maxTokens: 8, temperature: 0 })
    results.push((await result).tokenIds)
  }
  expect(results[0]).toHaveLength(8)
  expect(results[1]).toEqual(results[0])
})
