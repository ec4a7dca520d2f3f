/** Options of a run in YAML: what is read, and what is refused with its line. */
import { expect, test } from 'vitest'
import { UsageError } from '../../errors.ts'
import { configText, readConfigText } from './config-file.ts'
import { TRAIN_OPTIONS } from './train.ts'

const read = (text: string) => readConfigText(text, 'run.yaml', TRAIN_OPTIONS)

test('options are read by the names of flags and of the library, and JSON is YAML', () => {
  const text = `# a run
data:
  - book.txt=2,1
  - 猫.txt
eval-every: 50
sampleTokens: 8
lr: 1e-3
resume: true
sample-prompts: ["Once: upon", 'a # time']
`
  const options = {
    data: ['book.txt=2,1', '猫.txt'],
    ...{ evalEvery: 50, sampleTokens: 8, lr: 1e-3, resume: true },
    samplePrompts: ['Once: upon', 'a # time'],
  }
  expect(read(text)).toEqual(options)
  expect(read(JSON.stringify(options))).toEqual(options)
  expect(read(JSON.stringify(options, null, '\t'))).toEqual(options)
  expect(read('')).toEqual({})
  expect(read('# nothing\n')).toEqual({})
})

test('what is written is read again, without functions and what is unset', () => {
  const options = {
    ...{ data: ['no', '1e3', 'a: b=2'], out: '~/x', preset: 'tiny', lr: 0.0027, sampleEvery: 0 },
    ...{ samplePrompts: ['- line\nanother', '猫'], moe: 'experts=4,top=2', quantizationWarmup: 7 },
  } as const
  const text = configText({ ...options, steps: undefined, onEvent: () => {} }, TRAIN_OPTIONS)
  expect(text).toContain('quantization-warmup: 7\n')
  expect(read(text)).toEqual(options)
})

const alias = Array.from({ length: 20 }, (_, i) => `- &a${i + 1} [${`*a${i},`.repeat(9)}]`)

test.each([
  ['an unknown option', 'steps: 5\nstep: 6\n', /^run\.yaml, line 2: .*"step".*steps/],
  ['another type', '\n\nlr: fast\n', /line 3: Expected lr to be a number above 0, got "fast"/],
  ['a number as text', 'steps: "5"', /line 1: .*steps.*"5" \(string\)/],
  ['a fraction', 'steps: 1.5', /line 1: .*steps/],
  ['no number', 'lr: .nan', /line 1: .*lr/],
  ['nothing', 'steps:\n', /line 1: Expected a value for steps, got none/],
  ['an option twice', 'lr: 1\nlr: 2', /line 2: .*unique/],
  ['an option by both names', 'eval-every: 1\nevalEvery: 2', /line 2: .*once/],
  ['a list', '- 1\n- 2', /line 1: Expected options/],
  ['a text', 'hello', /line 1: Expected options/],
  ['a damaged text', 'data: [a\nsteps: 4', /line 2: Expected YAML/],
  ['two documents', 'steps: 4\n---\nsteps: 5', /line 2: Expected YAML/],
  ['a tag', 'steps: !!js/function "x"', /line 1: Expected YAML/],
  ['an alias', 'data: &a [x]\nout: *a', /line 2: .*alias/],
  ['many aliases', `out:\n- &a0 [lol]\n${alias.join('\n')}`, /line 3: .*alias/],
  ['depth', `out: ${'['.repeat(100_000)}`, /line 1: Expected at most/],
  ['depth by lines', `out:\n${'- '.repeat(100_000)}`, /line 2: Expected at most/],
  ['depth in the first line', '- '.repeat(100_000), /line 1: Expected/],
  ['size', `#${' '.repeat(2 ** 20)}`, /line 1: Expected at most/],
  ['a function', 'on-event: print', /line 1: .*onEvent/],
  ['a prototype', '__proto__: {steps: 4}', /line 1: .*__proto__/],
  ['a key that is a list', '? [a]\n: 1', /line 1: /],
])('%s is refused with its line', (_, text, message) => {
  expect(() => read(text)).toThrow(UsageError)
  expect(() => read(text)).toThrow(message)
})
