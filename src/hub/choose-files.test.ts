/**
 * Which files of a repository make a model: lists as they are at the hub, and odd ones.
 */
import { describe, expect, test } from 'vitest'
import { ModelNotFoundError } from '../errors.ts'
import { chooseFiles, withShards } from './choose-files.ts'

const list = (...paths: string[]) => paths.map((path, i) => ({ path, size: 1000 + i }))
const choose = (paths: string[], wanted?: string) => chooseFiles(list(...paths), 'o/n', wanted)

const CHECKPOINT = ['README.md', 'config.json', 'tokenizer.json', 'model.safetensors']
const SHARDS = [1, 2, 3].map((n) => `model-0000${n}-of-00003.safetensors`)
const INDEX = 'model.safetensors.index.json'

describe('of a repository', () => {
  test.each([
    [['ggml-model-i2_s.gguf'], 'ggml-model-i2_s.gguf'],
    [['m-TQ1_0.gguf', 'm-TQ2_0.gguf', 'm-f16.gguf'], 'm-TQ2_0.gguf'],
    [['m-tq1_0.gguf', 'm-i2_s.gguf', 'm-tl1.gguf'], 'm-i2_s.gguf'],
    [['Bonsai-Q1_0.gguf', 'Bonsai-f16.gguf'], 'Bonsai-Q1_0.gguf'],
    [['deep/er/m-i2_s.gguf', 'deep/m-i2_s.gguf'], 'deep/m-i2_s.gguf'],
    [[...CHECKPOINT, 'm-i2_s.gguf'], 'm-i2_s.gguf'],
    [['m-f16.gguf', 'mmproj-f16.gguf'], 'm-f16.gguf'],
    [['m-Q4_0_4_8.gguf', 'm-Q8_0.gguf'], 'm-Q8_0.gguf'],
    [['README.md', 'Model-I2_S.GGUF'], 'Model-I2_S.GGUF'],
    [['IMATRIX.GGUF', 'm-TQ2_0.GGUF', 'm-tq1_0.gguf'], 'm-TQ2_0.GGUF'],
    [['m-tl2.gguf', 'm-tq2_0-00001-of-00002.gguf', 'm-f16.gguf'], 'm-f16.gguf'],
  ])('with %j the file is %s', (paths, main) => {
    const chosen = choose(paths)
    expect(chosen).toMatchObject({ main, paths: [main] })
    expect(chosen.reason.startsWith(`${main}: `)).toBe(true)
  })

  test.each(
    [
      ...[
        'imatrix.gguf',
        'm-imatrix.gguf',
        'm.imatrix.gguf',
        'mmproj-m-f16.gguf',
        'ggml-vocab-llama.gguf',
      ],
      ...[
        'm-Q5_K_M.gguf',
        'm-Q2_K.gguf',
        'm-q3_k_l.gguf',
        'm-IQ4_XS.gguf',
        'm-iq2_xxs.gguf',
        'm-Q4_1.gguf',
      ],
      ...[
        'm.Q5_1.gguf',
        'm-MXFP4_MOE.gguf',
        'm-q4_k_s.gguf',
        'm-lora-f16.gguf',
        'm-i2_s-imatrix.gguf',
      ],
    ].map((name) => [name]),
  )('%s is never chosen, and named where there is nothing else', (name) => {
    expect(choose([name, 'model-f16-large.gguf']).main).toBe('model-f16-large.gguf')
    expect(() => choose([name])).toThrow(name)
    expect(() => choose([name])).toThrow('types that are not read')
    expect(choose([name], name).main).toBe(name)
  })

  test.each([
    'm-Q4_K_M.gguf',
    'm-Q6_K.gguf',
    'm-Q8_0.gguf',
    'm-Q4_0.gguf',
    'm-BF16.gguf',
    'Loretta.gguf',
  ])('%s can be chosen', (name) => expect(choose([name]).main).toBe(name))

  test('a model in parts comes whole, or not at all', () => {
    const parts = [1, 2].map((n) => `sub/m-i2_s-0000${n}-of-00002.gguf`)
    expect(choose(['m-f16.gguf', ...parts.toReversed()])).toMatchObject({
      main: parts[0],
      paths: parts,
    })
    expect(choose(parts, parts[1])).toMatchObject({ main: parts[1], paths: parts })
    expect(choose(['m-f16.gguf', parts[0]]).main).toBe('m-f16.gguf')
    expect(() => choose([parts[0]], parts[0])).toThrow(`has no ${parts[1]}`)
  })

  test('shards have the names and numbers that they have', () => {
    const names = [
      'model.safetensors-00001-of-000002.safetensors',
      'model.safetensors-00002-of-000002.safetensors',
    ]
    const files = list('config.json', INDEX, ...names, 'other.safetensors')
    const chosen = chooseFiles(files, 'o/n')
    expect(chosen).toMatchObject({ index: INDEX })
    const map = { a: names[1], b: 'other.safetensors', c: '../x.safetensors', d: 7 }
    expect(withShards(chosen, { weight_map: map }, files, 'o/n')).toMatchObject({
      main: undefined,
      paths: ['config.json', INDEX, names[1], 'other.safetensors'],
      reason: expect.stringContaining('2 safetensors files'),
    })
    const more = { weight_map: { ...map, e: 'model-3.safetensors' } }
    expect(() => withShards(chosen, more, files, 'o/n')).toThrow('has no model-3.safetensors')
    for (const damaged of [{}, [], 7, { weight_map: {} }]) {
      expect(() => withShards(chosen, damaged, files, 'o/n')).toThrow(ModelNotFoundError)
    }
  })

  test('the smallest of equals is taken', () => {
    const files = [
      { path: 'large-i2_s.gguf', size: 9 },
      { path: 'small-i2_s.gguf', size: 3 },
    ]
    expect(chooseFiles(files, 'o/n').main).toBe('small-i2_s.gguf')
  })

  test('a checkpoint comes with what lies beside it, before a GGUF file of floats', () => {
    const chosen = choose([...CHECKPOINT, 'chat_template.jinja', 'm-f16.gguf', 'pytorch.bin'])
    expect(chosen.main).toBeUndefined()
    expect(chosen.paths).toEqual([
      'config.json',
      'chat_template.jinja',
      'tokenizer.json',
      'model.safetensors',
    ])
  })

  test('masters in shards come whole, in order, after their index', () => {
    const chosen = choose(['config.json', ...SHARDS.toReversed(), INDEX])
    expect(chosen.paths).toEqual(['config.json', INDEX, ...SHARDS])
    expect(chosen.reason).toContain('3 safetensors files')
  })

  test.each([
    ['nothing', [], 'no .gguf and no .safetensors'],
    ['pickles', ['config.json', 'pytorch_model.bin'], 'pickles'],
    ['layouts that say nothing of themselves', ['m-tl1.gguf'], 'm-tl1.gguf'],
    ['a shard that is missing', ['config.json', INDEX, ...SHARDS.slice(1)], 'none that can be run'],
    ['no index', ['config.json', ...SHARDS], 'none that can be run'],
    ['no configuration', ['model.safetensors'], 'config.json'],
  ])('with %s there is no model', (_, paths, text) => {
    expect(() => choose(paths)).toThrow(ModelNotFoundError)
    expect(() => choose(paths)).toThrow(text)
  })
})

describe('of what somebody names', () => {
  test('a GGUF file goes alone, whatever its type', () => {
    expect(choose([...CHECKPOINT, 'm-tl1.gguf'], 'm-tl1.gguf').paths).toEqual(['m-tl1.gguf'])
  })

  test('safetensors go with the files of their own folder', () => {
    const paths = [...CHECKPOINT, 'sub/config.json', 'sub/model.safetensors']
    expect(choose(paths, 'sub/model.safetensors')).toMatchObject({
      main: 'sub/model.safetensors',
      paths: ['sub/config.json', 'sub/model.safetensors'],
    })
  })

  test('a shard of a folder means all shards of that folder', () => {
    const inFolder = ['config.json', INDEX, ...SHARDS].map((name) => `sub/${name}`)
    const paths = ['config.json', 'model.safetensors', ...inFolder]
    for (const wanted of [`sub/${INDEX}`, `sub/${SHARDS[2]}`]) {
      expect(choose(paths, wanted)).toMatchObject({ main: `sub/${SHARDS[0]}`, paths: inFolder })
    }
  })

  test('an index or a shard means all shards', () => {
    const paths = ['config.json', 'model.safetensors', INDEX, ...SHARDS]
    for (const wanted of [INDEX, SHARDS[1]]) {
      expect(choose(paths, wanted).paths).toEqual(['config.json', INDEX, ...SHARDS])
    }
  })

  test.each([
    ['missing.gguf', 'no such file'],
    ['README.md', 'Expected a .gguf or .safetensors file'],
  ])('%s is refused', (wanted, text) => {
    expect(() => choose(CHECKPOINT, wanted)).toThrow(text)
  })
})
