/**
 * Which files of a repository make a model: lists as they are at the hub, and odd ones.
 */
import { describe, expect, test } from 'vitest'
import { ModelNotFoundError } from '../errors.ts'
import { chooseFiles } from './choose-files.ts'

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
    [['m-tl2.gguf', 'm-tq2_0-00001-of-00002.gguf', 'm-f16.gguf'], 'm-f16.gguf'],
  ])('with %j the file is %s', (paths, main) => {
    const chosen = choose(paths)
    expect(chosen).toMatchObject({ main, paths: [main] })
    expect(chosen.reason.startsWith(`${main}: `)).toBe(true)
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
