/**
 * Datasets from the hub's parquet files and from a folder of JSONL give the same prompts. The parquet
 * files hold invented items in the columns of ARC and BoolQ.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FormatError } from '../src/errors.ts'
import { tasksNamed } from '../src/eval/tasks/all-tasks.ts'
import { detokenized, wikitextPages } from '../src/eval/tasks/wikitext.ts'
import { loadTask } from '../src/node/eval/datasets.ts'

const fixture = (name: string) =>
  fileURLToPath(new URL(`fixtures/eval/${name}.parquet`, import.meta.url))

/** A byte of the fixture of BoolQ whose change keeps the library that reads parquet busy for ever. */
const HANGING = { at: 19, value: 0 }

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bitnet-datasets-'))
})

afterEach(() => rm(folder, { recursive: true }))

async function fromFolder(
  name: string,
  file: string,
  data: string | Uint8Array,
  signal?: AbortSignal,
) {
  await writeFile(join(folder, file), data)
  const fetchFile = () => Promise.reject(new Error('A folder needs no hub.'))
  return loadTask(tasksNamed([name])[0], { dataDir: folder, examples: false, fetchFile, signal })
}

describe('a parquet file of the hub', () => {
  test.each([
    {
      name: 'arc_easy',
      asked: ['allenai/ai2_arc', 'refs/convert/parquet', 'ARC-Easy/test/0000.parquet'],
      rows: [
        {
          query: 'Question: Which of these is a colour?',
          choices: ['stone', 'blue', 'run'],
          gold: 1,
        },
        {
          query: 'Question: What do fish live in?',
          choices: ['water', 'sand', 'trees', 'air'],
          gold: 0,
        },
      ],
    },
    {
      name: 'boolq',
      asked: ['aps/super_glue', 'refs/convert/parquet', 'boolq/validation/0000.parquet'],
      rows: [
        {
          query: 'Passage: A wheel is round. It turns.\nQuestion: does a wheel turn?',
          choices: ['no', 'yes'],
          gold: 1,
        },
      ],
    },
  ])('of $name gives the prompts of the same items as JSONL', async ({ name, asked, rows }) => {
    const requests: string[][] = []
    const hub = await loadTask(tasksNamed([name])[0], {
      examples: false,
      fetchFile: async (...request) => {
        requests.push(request.slice(0, 3) as string[])
        return fixture(name)
      },
    })
    const lines = rows.map((row) => JSON.stringify(row)).join('\n')
    expect(hub.items).toEqual((await fromFolder(name, `${name}.jsonl`, lines)).items)
    expect(requests).toEqual([asked])
  })
})

describe('a folder', () => {
  test('without the file, or with a damaged one, says what was expected', async () => {
    await expect(fromFolder('arc_easy', 'other.jsonl', '')).rejects.toThrow('arc_easy.jsonl')
    const row = '{"query":"q","choices":["a"],"gold":1}'
    await expect(fromFolder('arc_easy', 'arc_easy.jsonl', row)).rejects.toThrow(
      'Expected "gold" of a dataset\'s row to be a number from 0 to 0',
    )
    await expect(fromFolder('boolq', 'boolq.jsonl', '{}\nno json')).rejects.toThrow('line 2')
    const many = `{"a":[${'{},'.repeat(1 << 20)}{}]}`
    await expect(fromFolder('boolq', 'boolq.jsonl', many)).rejects.toThrow('line 1')
    await expect(fromFolder('boolq', 'boolq.parquet', 'PAR1')).rejects.toThrow()
  })

  test('ends the reading of a damaged parquet file that would never be done', async () => {
    const bytes = await readFile(fixture('boolq'))
    bytes[HANGING.at] = HANGING.value
    const work = fromFolder('boolq', 'boolq.parquet', bytes)
    await expect(work).rejects.toThrow(/cannot be read: it is not done after \d+ s/)
    await expect(work).rejects.toThrow(FormatError)
  }, 60_000)

  test('lets a signal end that reading at once', async () => {
    const bytes = await readFile(fixture('boolq'))
    bytes[HANGING.at] = HANGING.value
    const controller = new AbortController()
    const work = fromFolder('boolq', 'boolq.parquet', bytes, controller.signal)
    setTimeout(() => controller.abort(new Error('enough')), 50)
    await expect(work).rejects.toThrow('enough')
  })

  test('has HellaSwag as six lines an item', async () => {
    const text = 'Cooking: A pot boils. it\n2\nflies.\nsings.\nsteams.\nreads.\n'
    const { items } = await fromFolder('hellaswag', 'hellaswag.txt', text)
    expect(items).toHaveLength(1)
    expect(items[0].requests[2]).toEqual({
      context: 'Cooking: A pot boils. it',
      continuation: ' steams.',
    })
    await expect(fromFolder('hellaswag', 'hellaswag.txt', `${text}more\n`)).rejects.toThrow(
      '6 lines',
    )
  })

  test.each([
    [
      'hellaswag',
      'hellaswag.txt',
      'Cooking: A pot boils. it\n2\nflies.\nsings.\nsteams.\nreads.\n',
    ],
    ['wikitext', 'wiki.test.raw', ' = One = \n\n Text . \n = = Part = = \n More\n'],
    ['arc_easy', 'arc_easy.jsonl', '{"query":"Question: q","choices":["a","b"],"gold":1}\n'],
  ])(
    'of %s is the same with a byte-order mark and the line ends of Windows',
    async (name, file, text) => {
      const { items } = await fromFolder(name, file, text)
      expect(items).toHaveLength(1)
      const windows = await fromFolder(name, file, `\ufeff${text.replaceAll('\n', '\r\n')}`)
      expect(windows.items).toEqual(items)
    },
  )
})

describe('prompts', () => {
  test('of HellaSwag from the hub are cleaned, with a capital after the first part', () => {
    const { requests } = tasksNamed(['hellaswag'])[0].parse({
      activity_label: 'Sewing',
      ctx_a: 'A cloth [step] lies  there [title] Needle',
      ctx_b: 'THE thread',
      endings: ['breaks [sic].', 'holds.'],
      label: '1',
    })
    expect(requests[0]).toEqual({
      context: 'Sewing: A cloth lies there. Needle The thread',
      continuation: ' breaks .',
    })
  })

  test('of WinoGrande put each option before the gap and score the rest', () => {
    const item = tasksNamed(['winogrande'])[0].parse({
      sentence: 'The cup did not fit the box as _ was too big.',
      option1: 'the cup',
      option2: 'the box',
      answer: '1',
    })
    expect(item.gold).toBe(0)
    expect(item.requests[1]).toEqual({
      context: 'The cup did not fit the box as the box',
      continuation: ' was too big.',
    })
  })

  test('of WikiText are pages in ordinary spelling', () => {
    const pages = wikitextPages(' = One = \n\n Text . \n = = Part = = \n More\n = Two = \n End')
    expect(pages).toEqual([' = One = \n\n Text . \n = = Part = = \n More', ' = Two = \n End'])
    expect(detokenized('It cost 1 @,@ 000 , she said . ( see " notes " )')).toBe(
      'It cost 1,000, she said. (see "notes")',
    )
    expect(detokenized("( a [ b ) ] ' c ' { } \" \t d")).toBe("(a [b)] 'c' {} \" \t d")
  })

  test('with marks that open and never close take time in proportion', { timeout: 60_000 }, () => {
    // Looked for anew from each mark, what closes would take hours.
    for (const mark of ['(', '[', '{', '"', '( ', '[ ']) {
      const page = mark.repeat(1_000_000)
      expect(detokenized(page).length).toBeGreaterThan(400_000)
    }
    const task = tasksNamed(['hellaswag'])[0]
    const row = { query: `a [b] c ${'['.repeat(1_000_000)}\n]`, choices: ['[x] y', 'z'], gold: 0 }
    const asked = {
      ctx: row.query,
      activity_label: 'A',
      endings: ['[x] y', 'z', 'z', 'z'],
      label: '0',
    }
    const item = task.parse({ ...row, ...asked, ctx_a: row.query, ctx_b: '' })
    expect(item.requests[0].continuation).toBe('  y')
  })
})
