/**
 * Evaluation on a mock engine: what is computed for shared contexts, that batching changes nothing, and
 * that a run which was killed goes on without asking for an item again.
 */
import { execFileSync } from 'node:child_process'
import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BackendError } from '../src/errors.ts'
import { type EvalSample, evaluateTask } from '../src/eval/evaluate.ts'
import { perplexity } from '../src/eval/perplexity.ts'
import { choiceItem, type LoadedTask } from '../src/eval/task.ts'
import { tasksNamed } from '../src/eval/tasks/all-tasks.ts'
import type { PassResults, PassWants, RowBatch } from '../src/model/engine.ts'
import { openJournal } from '../src/node/eval/journal.ts'
import { MockEngine } from './support/mock-engine.ts'
import { mockModel } from './support/mock-model.ts'

const ITEMS = 12
const CHOICES = 3
const TARGETS_PER_ITEM = 2 + 5 + 4

/** Invented questions: one context, continuations of 2, 5 and 4 bytes. */
const loaded: LoadedTask = {
  task: tasksNamed(['openbookqa'])[0],
  items: Array.from({ length: ITEMS }, (_, i) =>
    choiceItem(`Question number ${i} of the set`, ['x', `y${i % 10}yy`, 'zz?'], i % CHOICES),
  ),
}

class CountingEngine extends MockEngine {
  targets = 0

  override async step(batch: Omit<RowBatch, 'logitRows'>, wants: PassWants): Promise<PassResults> {
    const results = await super.step(batch, wants)
    this.targets += wants.scores.tokens.length
    return results
  }

  get rows(): number {
    return this.passes.reduce((sum, { rows }) => sum + rows, 0)
  }
}

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bitnet-eval-'))
  path = join(folder, 'journal.jsonl')
})

afterEach(() => rm(folder, { recursive: true }))

async function samplesOf(engine: MockEngine, task = loaded, numFewshot = 0): Promise<EvalSample[]> {
  const samples: EvalSample[] = []
  const onSample = (sample: EvalSample) => void samples.push(sample)
  await evaluateTask(mockModel(engine), task, { onSample, settings: { numFewshot } })
  return samples
}

describe('scoring', () => {
  test('gives the same numbers whatever shares a pass', async () => {
    const together = await samplesOf(new CountingEngine({ maxRows: 64 }))
    const narrow = await samplesOf(new CountingEngine({ maxRows: 3 }))
    const alone: EvalSample[] = []
    for (const item of loaded.items) {
      alone.push(...(await samplesOf(new CountingEngine(), { ...loaded, items: [item] })))
    }
    expect(together).toEqual(narrow)
    expect(together.map(({ loglikelihood }) => loglikelihood)).toEqual(
      alone.map(({ loglikelihood }) => loglikelihood),
    )
    expect(together.map(({ index }) => index)).toEqual(loaded.items.map((_, i) => i))
  })

  test('computes a context once for all choices', async () => {
    const engine = new CountingEngine()
    await samplesOf(engine)
    const contexts = loaded.items.map(({ requests }) => requests[0].context.length + 1)
    // A space is common to all choices; the last byte of a choice needs no row.
    const ownRows = 0 + 3 + 2 + 1
    const expected = contexts.reduce((sum, length) => sum + length + ownRows, 0)
    expect(engine.rows).toBe(expected)
    expect(engine.targets).toBe(ITEMS * TARGETS_PER_ITEM)
  })

  test('an examples prompt has other items only, and the same ones in every run', async () => {
    const first = await samplesOf(new CountingEngine(), loaded, 2)
    const again = await samplesOf(new CountingEngine({ maxRows: 5 }), loaded, 2)
    expect(again).toEqual(first)
    for (const [i, { contexts }] of first.entries()) {
      const parts = contexts[0].split('\n\n')
      expect(parts).toHaveLength(3)
      expect(parts[2]).toBe(loaded.items[i].requests[0].context)
      expect(parts.slice(0, 2).some((part) => part.startsWith(parts[2]))).toBe(false)
    }
  })
})

/** A damaged model: from some pass on, nothing it computes is a number. */
class BrokenEngine extends MockEngine {
  override async forward(batch: RowBatch): Promise<Float32Array> {
    const logits = await super.forward(batch)
    return this.passes.length > 2 ? logits.fill(Number.NaN) : logits
  }
}

describe('a model that gives no numbers', () => {
  const broken = () => mockModel(new BrokenEngine({ maxRows: 8 }))

  test('gets no accuracy, and leaves no such number in a journal', async () => {
    const journal = await openJournal(path, 'model A')
    const work = evaluateTask(broken(), loaded, { journal })
    await expect(work).rejects.toThrow('Expected finite log-likelihoods, got NaN')
    await expect(work).rejects.toThrow(BackendError)
    expect(await readFile(path, 'utf8')).not.toMatch(/NaN|null/)
  })

  test('gets no perplexity and no vectors', async () => {
    const text = 'a text that is long enough for some passes'
    await expect(perplexity(broken(), text)).rejects.toThrow(BackendError)
    const embedding = broken().embed([text])
    await expect(embedding).rejects.toThrow(
      'Expected finite numbers in the vector of text 1, got NaN',
    )
  })

  test('gets no vector of length one out of zeros', async () => {
    class ZeroEngine extends MockEngine {
      override async step(
        batch: Omit<RowBatch, 'logitRows'>,
        wants: PassWants,
      ): Promise<PassResults> {
        const results = await super.step(batch, wants)
        results.vectors.fill(0)
        return results
      }
    }
    const work = mockModel(new ZeroEngine()).embed(['one', 'two'])
    await expect(work).rejects.toThrow(/vector of text \d with a direction, got only zeros/)
  })
})

test('an examples prompt is refused where there are too few examples', async () => {
  const enough = await samplesOf(new CountingEngine(), loaded, ITEMS - 1)
  expect(enough[0].contexts[0].split('\n\n')).toHaveLength(ITEMS)
  await expect(samplesOf(new CountingEngine(), loaded, ITEMS)).rejects.toThrow(
    'Expected at least 12 solved examples for openbookqa, got 11',
  )
  const examples = loaded.items.slice(0, 2)
  const work = samplesOf(new CountingEngine(), { ...loaded, examples }, 3)
  await expect(work).rejects.toThrow('Expected at least 3 solved examples for openbookqa, got 2')
})

describe('a journal', () => {
  test('lets a killed run go on without asking for a finished item again', async () => {
    const whole = await evaluateTask(mockModel(new CountingEngine()), loaded)
    const killed = new CountingEngine({ maxRows: 8 })
    killed.beforePass = (pass) => {
      if (pass === 40) throw new Error('killed')
    }
    const options = { journal: await openJournal(path, 'model A') }
    await expect(evaluateTask(mockModel(killed), loaded, options)).rejects.toThrow('killed')
    const lines = (await readFile(path, 'utf8')).trim().split('\n').length - 1
    expect(lines).toBeGreaterThan(0)
    expect(lines).toBeLessThan(ITEMS)
    // The last line of a killed process may be cut off.
    await appendFile(path, '{"task":"openbookqa","index":3,"sco')

    const resumed = new CountingEngine()
    const metrics = await evaluateTask(mockModel(resumed), loaded, {
      journal: await openJournal(path, 'model A'),
    })
    expect(resumed.targets).toBe((ITEMS - lines) * TARGETS_PER_ITEM)
    expect(metrics).toEqual(whole)
    const entries = (await readFile(path, 'utf8')).trim().split('\n').slice(1)
    const indices = entries.map((line) => (JSON.parse(line) as { index: number }).index)
    expect(indices.toSorted((a, b) => a - b)).toEqual(loaded.items.map((_, i) => i))

    const idle = new CountingEngine()
    const journal = await openJournal(path, 'model A')
    expect(await evaluateTask(mockModel(idle), loaded, { journal })).toEqual(whole)
    expect(idle.passes).toEqual([])
  })

  /** The journal's lines as `damage` leaves them; the item of line 3 is the one that it is about. */
  async function damaged(damage: (line: string) => string): Promise<CountingEngine> {
    const first = { journal: await openJournal(path, 'model A') }
    const whole = await evaluateTask(mockModel(new CountingEngine()), loaded, first)
    const lines = (await readFile(path, 'utf8')).split('\n')
    const before = lines[3]
    lines[3] = damage(before)
    expect(lines[3]).not.toBe(before)
    await writeFile(path, lines.join('\n'))
    const engine = new CountingEngine()
    const again = { journal: await openJournal(path, 'model A') }
    expect(await evaluateTask(mockModel(engine), loaded, again)).toEqual(whole)
    return engine
  }

  test.each([
    ['a score less', (line: string) => line.replace(/\[\[[^\]]*\],/, '[')],
    ['a score more', (line: string) => line.replace('"scores":[', '"scores":[[-1,2,1],')],
    ['another number', (line: string) => line.replace(/"scores":\[\[-\d/, '"scores":[[-9')],
    ['another place', (line: string) => line.replace(/"index":\d+/, '"index":11')],
    ['no scores', (line: string) => line.replace(/"scores":.*"check"/, '"scores":[],"check"')],
    ['a score that is no list', (line: string) => line.replace(/\[\[[^\]]*\]/, '[7')],
    ['no JSON', (line: string) => line.slice(0, 30)],
  ])('with %s in a line computes that item again, and no other', async (_, damage) => {
    const engine = await damaged(damage)
    expect(engine.targets).toBe(TARGETS_PER_ITEM)
  })

  test('with line ends of Windows goes on as it is', async () => {
    const journal = async () => ({ journal: await openJournal(path, 'model A') })
    const whole = await evaluateTask(mockModel(new CountingEngine()), loaded, await journal())
    await writeFile(path, (await readFile(path, 'utf8')).replaceAll('\n', '\r\n'))
    const engine = new CountingEngine()
    expect(await evaluateTask(mockModel(engine), loaded, await journal())).toEqual(whole)
    expect(engine.passes).toEqual([])
  })

  test("that has another dataset's numbers of choices computes these items again", async () => {
    const shorter: LoadedTask = {
      ...loaded,
      items: loaded.items.map(({ requests, gold, choices }) => {
        return { requests: requests.slice(0, 2), gold: gold % 2, choices: choices.slice(0, 2) }
      }),
    }
    const whole = await evaluateTask(mockModel(new CountingEngine()), loaded)
    const journal = async () => ({ journal: await openJournal(path, 'model A') })
    await evaluateTask(mockModel(new CountingEngine()), shorter, await journal())
    const engine = new CountingEngine()
    expect(await evaluateTask(mockModel(engine), loaded, await journal())).toEqual(whole)
    expect(engine.targets).toBe(ITEMS * TARGETS_PER_ITEM)
  })

  test('of another model or settings is refused, and so is another file', async () => {
    await openJournal(path, 'model A')
    await expect(openJournal(path, 'model B')).rejects.toThrow('begun with others')
    await writeFile(path, 'Dear diary,\n')
    await expect(openJournal(path, 'model A')).rejects.toThrow('got another file')
    expect(await readFile(path, 'utf8')).toBe('Dear diary,\n')
  })

  test.skipIf(process.platform === 'win32')(
    'is no pipe, which would be waited for, and no giant (needs mkfifo)',
    async () => {
      const pipe = `${path}.pipe`
      execFileSync('mkfifo', [pipe])
      await expect(openJournal(pipe, 'model A')).rejects.toThrow('got another file')
      await writeFile(path, '')
      await truncate(path, 3 * 2 ** 30)
      await expect(openJournal(path, 'model A')).rejects.toThrow('got another file')
    },
  )
})

describe('perplexity', () => {
  test('counts tokens, words and bytes, documents apart', async () => {
    const model = mockModel(new CountingEngine())
    const report = await perplexity(model, 'one two<|end|>drei Wörter da', { separator: '<|end|>' })
    expect(report).toMatchObject({ tokens: 22, words: 5, bytes: 22, documents: 2 })
    expect(report.bits_per_byte).toBeCloseTo(Math.log2(report.token_perplexity), 9)
  })

  test('with a window of the whole text is the same as without one', async () => {
    const text = 'a text of some length'
    const model = mockModel(new CountingEngine())
    const whole = await perplexity(model, text)
    const windowed = await perplexity(model, text, { window: text.length + 1, stride: 4 })
    expect(windowed.token_perplexity).toBeCloseTo(whole.token_perplexity, 9)
    const short = await perplexity(model, text, { window: 3 })
    expect(short.tokens).toBe(whole.tokens)
    expect(short.token_perplexity).not.toBeCloseTo(whole.token_perplexity, 3)
  })

  test('of the paper packs lines and leaves long ones out', async () => {
    const model = mockModel(new CountingEngine({ contextLength: 16 }))
    const text = `0123456\n\n012345\nabc\n${'x'.repeat(15)}\n`
    const report = await perplexity(model, text, { preset: 'bitnet-paper' })
    // Lines with their end tokens have 8, 7 and 3; the first two fill a piece of 16 with its begin.
    expect(report).toMatchObject({ tokens: 8 + 7 + 3, documents: 2, skippedLines: 1 })
  })

  test('ends with the reason of an aborted signal', async () => {
    const controller = new AbortController()
    const engine = new CountingEngine({ maxRows: 4 })
    engine.beforePass = (pass) => void (pass === 2 && controller.abort())
    const work = perplexity(mockModel(engine), 'a text of some length', {
      signal: controller.signal,
    })
    await expect(work).rejects.toThrow('abort')
    expect(engine.cache.stats.sequences).toBe(0)
  })
})
