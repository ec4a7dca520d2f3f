/**
 * The built `bitnet` program, end to end, as a person or a script runs it.
 */
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GenerateResult } from '../src/generate/options.ts'
import {
  bitnet,
  buildProgram,
  hasEmbeddedModel,
  ROOT,
  startBitnet,
  untilBusy,
} from './support/built-program.ts'

let folder: string
beforeAll(async () => {
  await buildProgram()
  folder = await mkdtemp(join(tmpdir(), 'bitnet-cli-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function fileWith(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}

async function generateJson(...args: string[]): Promise<GenerateResult> {
  const { code, out, err } = await bitnet(['generate', '--json', ...args])
  expect(code, err).toBe(0)
  return JSON.parse(out) as GenerateResult
}

describe('without a model', () => {
  test('--version prints the version of the package, then what was built and runs', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const { code, out, err } = await bitnet(['--version'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out.split('\n')[0]).toBe(version)
    expect(out).toMatch(/^native /m)
  })

  test.each([
    [[]],
    [['generate']],
    [['chat']],
    [['bench']],
    [['inspect']],
    [['doctor']],
    [['convert']],
  ])('help of %j has examples', async (command) => {
    const { code, out, err } = await bitnet([...command, '--help'])
    expect(code).toBe(0)
    expect(out).toContain('Examples:\n  $ bitnet')
    expect(err).toBe('')
  })

  test.each([
    [[], 'Usage: bitnet'],
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['generate'], 'Expected a prompt'],
    [['generate', 'two', 'texts'], 'too many arguments'],
    [['chat', 'bitnet-2b', '--lang', 'en'], 'A model is named after -m'],
    [['chat', 'bitnet-2b', '--lang', 'ja'], 'モデルは -m で指定し'],
    [['bench', 'bitnet-2b'], 'A model is named after -m'],
    [['generate', '-p'], 'argument missing'],
    [['generate', '-p', 'a', '--frob'], "unknown option '--frob'"],
    [['generate', '-p', 'a', '--batch', 'b'], 'cannot be used with'],
    [['generate', '-p', 'a', '-n', '12abc'], 'Expected a whole number >= 1'],
    [['generate', '-p', 'a', '-n', '0'], 'Expected a whole number >= 1'],
    [['generate', '-p', 'a', '--temperature', '-1'], 'Expected a number >= 0'],
    [['generate', '-p', 'a', '--top-k', '1.5'], 'Expected a whole number >= 0'],
    [['generate', '-p', 'a', '--top-p', '0'], 'Expected a number > 0 and <= 1'],
    [['generate', '-p', 'a', '--min-p', '1'], 'Expected a number >= 0 and < 1'],
    [['generate', '-p', 'a', '--repetition-penalty', '0'], 'Expected a number > 0'],
    [['generate', '-p', 'a', '--frequency-penalty', 'x'], 'Expected a number.'],
    [['generate', '-p', 'a', '--presence-penalty', ''], 'Expected a number.'],
    [['generate', '-p', 'a', '--seed', '1e3'], 'Expected a whole number >= 0'],
    [['generate', '-p', 'a', '--threads', '0'], 'Expected a whole number >= 1'],
    [['generate', '-p', 'a', '--threads', '100000'], 'Expected at most'],
    [['generate', '-p', 'a', '--logprobs', '21'], 'Expected a whole number >= 0 and <= 20'],
    [['perplexity', 'missing.txt'], 'Cannot read missing.txt'],
    [['generate', '-p', 'a', '--stop', ''], 'at least one character'],
    [['generate', '-p', 'a', '--head', 'q4'], 'Expected one of f16, int8'],
    [['generate', '-p', 'a', '--kv', 'q8'], 'Expected one of f32, f16, int8, int4'],
    [['generate', '-p', 'a', '--backend', 'gpu'], 'auto, native, webgpu, wasm, reference'],
    [['generate', '--messages', '[{"role":"x"}]'], 'Expected message 1'],
    [['generate', '--messages', 'missing.json'], 'Cannot read missing.json'],
    [['generate', '--batch', 'missing.txt'], 'Cannot read missing.txt'],
    [['bench', '--runs', 'many'], 'Expected a whole number >= 1'],
    [['inspect', 'no-such-model.gguf'], 'no-such-model.gguf'],
    [['generate', '-p', 'a', '-m', 'no-such-model'], 'no-such-model'],
    [['chat', '-m', ROOT], 'model.safetensors'],
    [['convert', 'a'], "missing required argument 'target'"],
    [['convert', 'no-such-model', 'b.gguf'], 'no-such-model'],
    [['convert', 'a', 'b.gguf', '--type', 'Q4_K'], 'Expected one of I2_S, TQ1_0'],
  ])('%j is wrong usage: exit 2, a sentence, no stack trace', async (args, message) => {
    const { code, out, err } = await bitnet(args)
    expect(err).toContain(message)
    expect(err).not.toMatch(/\n\s+at /)
    expect(code).toBe(2)
    expect(out).toBe('')
  })

  test('DEBUG=1 adds the stack trace', async () => {
    const args = ['generate', '-p', 'a', '-m', 'no-such-model']
    const { code, err } = await bitnet(args, { env: { DEBUG: '1' } })
    expect(code).toBe(2)
    expect(err).toMatch(/\n\s+at /)
  })

  test('a damaged file is a failure: exit 1, and --json keeps standard output empty', async () => {
    const path = await fileWith('damaged.gguf', 'GGUF but no more than that')
    const { code, out, err } = await bitnet(['generate', '-p', 'a', '-m', path, '--json'])
    expect(err).toMatch(/^bitnet: Expected /)
    expect(err).not.toMatch(/\n\s+at /)
    expect(code).toBe(1)
    expect(out).toBe('')
  })
})

describe.skipIf(!hasEmbeddedModel())('generate, with the embedded model', () => {
  test('writes text to standard output, and speed and backend to standard error', async () => {
    const { code, out, err } = await bitnet(['generate', '-p', 'Once upon a time', '-n', '8'])
    expect(code).toBe(0)
    expect(out).toMatch(/\S.*\n$/s)
    expect(err).toMatch(/^\d+ tokens, [\d.]+ tokens\/s · prompt \d+ tokens, .*\n$/)
    expect(err).toMatch(/native|reference/)
  })

  test('--json prints the whole result', async () => {
    const result = await generateJson('-p', 'むかしむかし、', '-n', '6', '--seed', '5')
    expect(result.tokenIds.length).toBe(result.usage.completionTokens)
    expect(result.usage.completionTokens).toBeLessThanOrEqual(6)
    expect(result.seed).toBe(5)
    expect(result.backend.description).not.toBe('')
    expect(result.timings.decodeTokensPerSecond).toBeGreaterThan(0)
    expect(['stop', 'length']).toContain(result.finishReason)
  })

  test('temperature 0 and equal seeds repeat a text; standard input equals -p', async () => {
    const args = ['-p', 'むかしむかし、あるところに', '-n', '8']
    const greedy = await generateJson(...args, '--temperature', '0')
    expect(await generateJson(...args, '--temperature', '0')).toMatchObject({ text: greedy.text })
    const piped = await bitnet(['generate', '-p', '-', '-n', '8', '--temperature', '0'], {
      input: 'むかしむかし、あるところに\n',
    })
    expect(piped.out.trimEnd()).toBe(greedy.text.trimEnd())
    const drawn = await generateJson(...args, '--seed', '3')
    expect(await generateJson(...args, '--seed', '3')).toMatchObject({ text: drawn.text })
  })

  test('all sampling and loading flags work together', async () => {
    const flags =
      '--top-k 40 --top-p 0.9 --min-p 0.01 --repetition-penalty 1.1 --seed 1 --threads 1'
    const more = '--frequency-penalty 0.1 --presence-penalty -0.1 --temperature 0.8 --head int8'
    const kv = '--kv int4'
    const args = ['-p', 'The sea', '--max-tokens', '4', ...`${flags} ${more} ${kv}`.split(' ')]
    expect((await generateJson(...args)).backend.threads).toBe(1)
  })

  test('--backend reference runs, and is what the result names', async () => {
    const result = await generateJson('-p', 'The', '-n', '2', '--backend', 'reference')
    expect(result.backend).toMatchObject({ name: 'reference', isa: 'typescript' })
  })

  test('an instruction set that does not exist is refused', async () => {
    const { code, err } = await bitnet(['generate', '-p', 'a', '--isa', 'vax'])
    expect(code).not.toBe(0)
    expect(err).toMatch(/vax|native addon/)
  })

  test('--stop ends before the text it names', async () => {
    const args = ['-p', 'Once upon a time', '-n', '24', '--temperature', '0']
    const whole = await generateJson(...args)
    const stop = whole.text.slice(8, 11)
    const cut = await generateJson(...args, '--stop', '@@@@', '--stop', stop)
    expect(cut.finishReason).toBe('stop')
    expect(cut.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)))
  })

  test('--messages answers a conversation from text and from a file', async () => {
    const messages = JSON.stringify([{ role: 'user', content: 'こんにちは。' }])
    const args = ['-n', '8', '--temperature', '0', '--messages']
    const fromText = await generateJson(...args, messages)
    const fromFile = await generateJson(...args, await fileWith('messages.json', messages))
    expect(fromFile.text).toBe(fromText.text)
    expect(fromText.promptTokenIds.length).toBeGreaterThan(4)
  })

  test('--batch gives each prompt what it gets alone', async () => {
    const batch = await fileWith('prompts.txt', 'The sea was\n\n森の中で\n')
    const args = ['--json', '-n', '5', '--temperature', '0']
    const { code, out } = await bitnet(['generate', '--batch', batch, ...args])
    expect(code).toBe(0)
    const { results } = JSON.parse(out) as { results: GenerateResult[] }
    expect(results).toHaveLength(2)
    const alone = await generateJson('-p', '森の中で', '-n', '5', '--temperature', '0')
    expect(results[1].tokenIds).toEqual(alone.tokenIds)
  })

  test('a prompt longer than the context fails with its length', async () => {
    const { code, err } = await bitnet(['generate', '-p', '-'], { input: 'word '.repeat(3000) })
    expect(code).toBe(1)
    expect(err).toMatch(/^bitnet: .*2,?048/)
  })

  test.each([[[]], [['--json']]])('Ctrl-C keeps what there is: exit 130 %j', async (more) => {
    // Greedy and without penalties the model goes round in circles and does not end by itself.
    const endless = '-n 2000 --temperature 0 --repetition-penalty 1'.split(' ')
    const args = ['generate', '-p', 'Once upon a time', ...endless, ...more]
    const { child, outcome, waitFor } = startBitnet(args)
    if (more.length === 0) await waitFor(/\S/)
    // With --json nothing is seen of an answer: it has begun when more work is done than loading is.
    else await untilBusy(child)
    child.kill('SIGINT')
    const { code, out, err } = await outcome
    expect(code).toBe(130)
    if (more.length === 0) expect(err).toMatch(/ · stopped · /)
    else if (out !== '') expect(JSON.parse(out).finishReason).toBe('cancelled')
  })

  test('a closed pipe ends it in silence', async () => {
    const { child, outcome, waitFor } = startBitnet(['generate', '-p', 'Once', '-n', '1500'])
    await waitFor(/\S/)
    child.stdout?.destroy()
    const { code, err } = await outcome
    expect(code).toBe(0)
    expect(err).not.toMatch(/EPIPE|unexpected/)
  })

  test('no colour codes go into pipes', async () => {
    const { out, err } = await bitnet(['generate', '-p', 'a', '-n', '2'])
    expect(out + err).not.toContain('\u001b')
  })
})

describe.skipIf(!hasEmbeddedModel())('chat, over a pipe', () => {
  const FLAGS = ['chat', '-n', '6', '--temperature', '0']

  test('answers line by line and ends at 終了', async () => {
    const { code, out, err } = await bitnet(FLAGS, {
      input: 'こんにちは。\nHello!\n終了\nno more\n',
    })
    expect(code).toBe(0)
    expect(out.split('\n').filter((line) => line !== '').length).toBeGreaterThanOrEqual(2)
    expect(out).not.toContain('>')
    expect(err).toMatch(/^2 answers, \d+ tokens/m)
  })

  test('ends at the end of the input, too', async () => {
    const { code, err } = await bitnet(FLAGS, { input: 'Hi' })
    expect(code).toBe(0)
    expect(err).toContain('1 answer,')
  })

  test('saves, loads, resets and explains, in Japanese where the locale is', async () => {
    const path = join(folder, 'saved.json')
    const input = `こんにちは。\n/save ${path}\n/reset\n/load ${path}\n/stats\n/what\nquit\n`
    const { code, out, err } = await bitnet(FLAGS, { input, env: { LANG: 'ja_JP.UTF-8' } })
    expect(code).toBe(0)
    const saved = JSON.parse(await readFile(path, 'utf8')) as { messages: { content: string }[] }
    expect(saved.messages).toHaveLength(2)
    expect(saved.messages[0].content).toBe('こんにちは。')
    expect(out).toContain('回答数: 1')
    expect(err).toContain('会話を忘れました')
    expect(err).toContain('/what というコマンドはありません')
  })

  test('Ctrl-C stops the answer; a second one, while idle, leaves', async () => {
    const { child, outcome, waitFor } = startBitnet(['chat', '-n', '1500', '--seed', '1'])
    child.stdin?.write('Tell me a story about the sea.\n')
    await waitFor(/\S/)
    child.kill('SIGINT')
    await waitFor('\n')
    child.kill('SIGINT')
    const { code, err } = await outcome
    expect(code).toBe(0)
    expect(err).toContain('1 answer,')
  })
})

describe.skipIf(!hasEmbeddedModel())('the other commands', () => {
  test('bench reports every run', async () => {
    const { code, out } = await bitnet(['bench', '--runs', '2', '-n', '5', '--json'])
    expect(code).toBe(0)
    const report = JSON.parse(out)
    expect(report).toMatchObject({ runs: 2, requestedTokens: 5, completionTokens: [5, 5] })
    expect(report.elapsedMs.mean).toBeGreaterThanOrEqual(report.elapsedMs.min)
    expect(report.peakMemoryBytes).toBeGreaterThan(report.ternaryBytes)
    const table = await bitnet(['bench', '--runs', '1', '-n', '3'])
    expect(table.out).toMatch(/^decode, tokens\/s +[\d.]+ +- /m)
    expect(table.out).toContain('3 tokens in each run')
  })

  test('inspect shows architecture, weights, tokenizer and memory', async () => {
    const { code, out } = await bitnet(['inspect', '--json'])
    expect(code).toBe(0)
    const report = JSON.parse(out)
    expect(report.parameters.ternary).toBe(50_331_648)
    for (const { minus, zero, plus } of report.layers) expect(minus + zero + plus).toBeCloseTo(1)
    expect(report.tokenizer.chatTemplate).toContain('<|')
    const text = await bitnet(['inspect'])
    expect(text.out).toMatch(/^ +0 +[\d.]+ % .*-+\.+\++$/m)
  })

  test('convert writes a file that generates the same text', async () => {
    const source = join(ROOT, 'models', 'bitnet-ja-en-58m.gguf')
    const target = join(folder, 'converted.gguf')
    const { code, out, err } = await bitnet(['convert', source, target, '--json'])
    expect(code, err).toBe(0)
    expect(JSON.parse(out).tensors).toBeGreaterThan(0)
    const args = ['-p', 'Once upon', '-n', '4', '--temperature', '0']
    const converted = await generateJson(...args, '-m', target)
    expect(converted.tokenIds).toEqual((await generateJson(...args)).tokenIds)
    const again = await bitnet(['convert', source, target])
    expect(again.code).toBe(2)
    expect(again.err).toContain('exists')
  })
})
