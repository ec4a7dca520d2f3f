/** `bitnet export`: a checkpoint in the three forms that others take, with the names and types that transformers has. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Surroundings } from '../src/cli/console/surroundings.ts'
import { runCli } from '../src/cli/program.ts'
import { loadModel } from '../src/node/load-model.ts'
import { type TrainOptions, train } from '../src/node/train/train.ts'
import { PRESETS } from '../src/train/presets.ts'

const folder = mkdtempSync(join(tmpdir(), 'export-cli-'))
const text = join(folder, 'text.txt')
const run = join(folder, 'run')
afterAll(() => rmSync(folder, { recursive: true }))

function trained(out: string, options: Partial<TrainOptions> = {}) {
  const small = { steps: 4, saveEvery: 2, batch: 2, length: 32, threads: 1, sampleEvery: 0 }
  return train({ data: [text], out, ...small, ...options })
}

beforeAll(async () => {
  writeFileSync(text, 'The owl is in the forest, and the hen is in the house.\n'.repeat(200))
  await trained(run)
})

async function bitnet(...args: string[]) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const unused = () => Promise.reject(new Error('an export loads no model'))
  const surroundings: Surroundings = {
    ...{ stdin, stdout, stderr, env: {}, loadModel: unused, loadEngine: unused },
    onInterrupt: () => () => {},
  }
  const code = await runCli(args, surroundings)
  const text = (stream: PassThrough): string => String(stream.read() ?? '')
  return { code, out: text(stdout), err: text(stderr) }
}

function safetensorsOf(path: string) {
  const bytes = readFileSync(join(path, 'model.safetensors'))
  const length = Number(bytes.readBigUInt64LE(0))
  const { __metadata__, ...tensors } = JSON.parse(bytes.toString('utf8', 8, 8 + length))
  const dataOf = (name: string): Buffer => {
    const [from, to] = tensors[name].data_offsets
    return bytes.subarray(8 + length + from, 8 + length + to)
  }
  return { metadata: __metadata__, tensors, dataOf }
}

const configOf = (path: string) => JSON.parse(readFileSync(join(path, 'config.json'), 'utf8'))

/** What BitNetForCausalLM of transformers has in these sizes; packed, norms and scales keep all their bits. */
function expectedShapes(vocabSize: number, packed: boolean) {
  const { dim, nLayers, nHeads, nKvHeads, ffnDim } = PRESETS.tiny
  const kv = (dim / nHeads) * nKvHeads
  const exact = packed ? 'F32' : 'BF16'
  const shapes: Record<string, [string, number[]]> = {
    'model.embed_tokens.weight': ['BF16', [vocabSize, dim]],
    'model.norm.weight': [exact, [dim]],
  }
  const linears: Record<string, [number, number]> = {
    'self_attn.q_proj': [dim, dim],
    'self_attn.k_proj': [kv, dim],
    'self_attn.v_proj': [kv, dim],
    'self_attn.o_proj': [dim, dim],
    'mlp.gate_proj': [ffnDim, dim],
    'mlp.up_proj': [ffnDim, dim],
    'mlp.down_proj': [dim, ffnDim],
  }
  const norms: Record<string, number> = {
    ...{ input_layernorm: dim, post_attention_layernorm: dim },
    ...{ 'self_attn.attn_sub_norm': dim, 'mlp.ffn_sub_norm': ffnDim },
  }
  for (let layer = 0; layer < nLayers; layer++) {
    const at = `model.layers.${layer}.`
    for (const [name, size] of Object.entries(norms))
      shapes[`${at}${name}.weight`] = [exact, [size]]
    for (const [name, [rows, cols]] of Object.entries(linears)) {
      shapes[`${at}${name}.weight`] = packed ? ['U8', [rows / 4, cols]] : ['BF16', [rows, cols]]
      if (packed) shapes[`${at}${name}.weight_scale`] = [exact, [1]]
    }
  }
  return shapes
}

function shapesOf(path: string) {
  const { tensors } = safetensorsOf(path)
  return Object.fromEntries(
    Object.entries<{ dtype: string; shape: number[] }>(tensors).map(([name, { dtype, shape }]) => [
      name,
      [dtype, shape],
    ]),
  )
}

test('a run is packed from its newest checkpoint, as transformers has it', async () => {
  const packed = join(folder, 'packed')
  const { code, out, err } = await bitnet('export', run, packed, '--embedding', 'bf16')
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(/21 of them ternary/)
  const config = configOf(packed)
  expect(shapesOf(packed)).toEqual(expectedShapes(config.vocab_size, true))
  expect(safetensorsOf(packed).metadata).toMatchObject({ format: 'pt' })
  expect(config).toMatchObject({
    ...{ architectures: ['BitNetForCausalLM'], model_type: 'bitnet', hidden_act: 'relu2' },
    quantization_config: { quant_method: 'bitnet', quantization_mode: 'offline' },
  })
  expect(readdirSync(packed)).not.toContain('optimizer.safetensors')
})

test('masters are the float weights, each rounded to BF16', async () => {
  const masters = join(folder, 'masters')
  const { code, out, err } = await bitnet('export', join(run, 'step-000002'), masters, '--masters')
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(/step-000002/)
  const config = configOf(masters)
  expect(shapesOf(masters)).toEqual(expectedShapes(config.vocab_size, false))
  expect(config).toMatchObject({
    torch_dtype: 'bfloat16',
    quantization_config: { quant_method: 'bitnet', quantization_mode: 'online' },
  })
  const [own, given] = [safetensorsOf(masters), safetensorsOf(join(run, 'step-000002'))]
  for (const name of Object.keys(own.tensors)) {
    const [halves, wholes] = [own.dataOf(name), given.dataOf(name)]
    expect(halves.byteLength * 2).toBe(wholes.byteLength)
    for (let i = 0; i < halves.byteLength / 2; i++) {
      const bits = wholes.readUInt32LE(4 * i)
      const nearest = (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
      if (halves.readUInt16LE(2 * i) !== nearest) expect.fail(`${name}, value ${i}`)
    }
  }
  const kept = readdirSync(masters)
  expect(kept).toEqual(expect.arrayContaining(['tokenizer.json', 'config.json']))
  expect(kept.filter((name) => /optimizer|trainer/.test(name))).toEqual([])
  await using model = await loadModel(masters, { backend: 'wasm', threads: 1 })
  const { result } = model.generate('The owl', { maxTokens: 4, temperature: 0 })
  expect((await result).usage.completionTokens).toBe(4)
})

test('a target that ends in .gguf is that', async () => {
  const target = join(folder, 'model.gguf')
  const { code, out } = await bitnet('export', run, target, '--type', 'i2_s', '--json')
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ target, format: 'gguf', ternaryTensors: 21 })
  expect(readFileSync(target).toString('latin1', 0, 4)).toBe('GGUF')
})

test('what is no checkpoint, taken or does not go together is refused, and nothing is written', async () => {
  const target = join(folder, 'refused')
  const float = join(folder, 'float')
  await trained(float, { quant: 'none', steps: 1 })
  const cases: readonly (readonly [args: readonly string[], said: RegExp])[] = [
    [[folder, target], /Expected a checkpoint of `bitnet train`.*bitnet convert/s],
    [[run, folder], /exists.*--overwrite/s],
    [[run, `${target}.gguf`, '--masters'], /a folder for --masters/],
    [[run, target, '--masters', '--type', 'i2_s'], /--masters alone/],
    [[float, target], /got a float one\. Add --masters/],
  ]
  for (const [args, said] of cases) {
    const { code, err } = await bitnet('export', ...args)
    expect(code, args.join(' ')).toBe(2)
    expect(err.replace(/\s+/g, ' ')).toMatch(said)
  }
  expect(existsSync(target)).toBe(false)
  expect((await bitnet('export', float, target, '--masters')).code).toBe(0)
  expect(configOf(target)).not.toHaveProperty('quantization_config')
})

test('a body that no file could name is refused, and one that GGUF has no name for stays a checkpoint', async () => {
  const none = trained(join(folder, 'no-name'), { quant: 'none', subNorms: true })
  await expect(none).rejects.toThrow(/sub-norms with ternary or binary/)
  const out = join(folder, 'llama-like')
  const { checkpoint } = await trained(out, { steps: 1, subNorms: false })
  expect(configOf(checkpoint)).toMatchObject({ model_type: 'llama', hidden_act: 'relu2' })
  const onward = trained(join(folder, 'onward'), { init: checkpoint, gate: 'silu' })
  await expect(onward).rejects.toThrow(/Expected gate with a preset/)
  const { code, err } = await bitnet('export', out, join(folder, 'relu2.gguf'))
  expect(code).not.toBe(0)
  expect(err).toMatch(/relu2\s+and\s+no\s+sub-norms/)
})
