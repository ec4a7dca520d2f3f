/**
 * Files written here, opened by the ecosystem's own readers: @huggingface/gguf and @huggingface/hub.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gguf } from '@huggingface/gguf'
import { parseSafetensorsMetadata } from '@huggingface/hub'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GGUF_TYPE_IDS } from '../src/formats/gguf/type-ids.ts'
import type { GgufFile } from '../src/formats/model-file.ts'
import { convertFile } from '../src/node/convert/convert-file.ts'
import { openModelFile } from '../src/node/open-model.ts'
import { tinyModel } from './support/fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'ecosystem-'))
afterAll(() => rmSync(folder, { recursive: true }))

const embedded = fileURLToPath(new URL('../models/bitnet-ja-en-58m.gguf', import.meta.url))

/** Numbers and texts as both readers can be compared: typed arrays and bigints as plain numbers. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (ArrayBuffer.isView(value)) return Array.from(value as Float32Array, Number)
  return Array.isArray(value) ? value.map(plain) : value
}

describe('GGUF as @huggingface/gguf reads it', () => {
  test.each([
    ['bitnet-packed', 'I2_S', 'F16'],
    ['bitnet-bf16', 'TQ1_0', 'Q6_K'],
    ['llama-bitlinear-packed', 'TQ2_0', 'Q8_0'],
    ['bitnet-packed', 'TQ2_0', 'Q4_0'],
  ] as const)(
    '%s as %s with %s has the same keys and tensors',
    async (name, weights, embedding) => {
      const target = join(folder, `${name}-${weights}-${embedding}.gguf`)
      await convertFile(tinyModel(name), target, { weights, embedding })
      await expectSameHeader(target)
    },
  )

  test('a file with a vocabulary has all of its pieces and merges', async () => {
    const target = join(folder, 'embedded.gguf')
    await convertFile(embedded, target, { embedding: 'Q6_K' })
    await expectSameHeader(target)
  })
})

async function expectSameHeader(path: string): Promise<void> {
  const { file } = await openModelFile(path)
  const ours = file as GgufFile
  const theirs = await gguf(path, { allowLocalFile: true })
  const { version, tensor_count: tensors, kv_count: keys, ...metadata } = theirs.metadata
  expect([version, Number(tensors), Number(keys)]).toEqual([
    3,
    ours.tensors.size,
    ours.metadata.size,
  ])
  for (const [key, value] of ours.metadata) {
    expect(plain(metadata[key as keyof typeof metadata]), key).toEqual(plain(value))
  }
  const list = theirs.tensorInfos.map(({ name, shape, dtype, offset }) => ({
    name,
    shape: shape.map(Number).reverse(),
    type: dtype,
    offset: Number(theirs.tensorDataOffset) + Number(offset),
  }))
  expect(list).toEqual(
    [...ours.tensors.values()].map(({ name, shape, type, offset }) => ({
      name,
      shape,
      type: GGUF_TYPE_IDS[type as keyof typeof GGUF_TYPE_IDS],
      offset,
    })),
  )
  await file.close()
}

describe("safetensors as @huggingface/hub's parser reads it", () => {
  let single = ''
  let sharded = ''
  beforeAll(async () => {
    single = join(folder, 'single')
    sharded = join(folder, 'sharded')
    await convertFile(tinyModel('bitnet-packed'), single, { linearClass: 'bitlinear' })
    await convertFile(tinyModel('bitnet-bf16'), sharded, { shardBytes: 200_000 })
  })

  test('one file has the same tensors', async () => {
    const found = await parseSafetensorsMetadata({
      repo: 'owner/name',
      fetch: serve(single),
    })
    if (found.sharded) throw new Error('expected one file')
    await expectTensors(single, [found.header])
  })

  test('several files have the same tensors together', async () => {
    const found = await parseSafetensorsMetadata({
      repo: 'owner/name',
      fetch: serve(sharded),
    })
    if (!found.sharded) throw new Error('expected several files')
    expect(Object.keys(found.headers).length).toBeGreaterThan(3)
    await expectTensors(sharded, Object.values(found.headers))
  })
})

type Header = Record<string, unknown>

async function expectTensors(path: string, headers: readonly Header[]): Promise<void> {
  const { file } = await openModelFile(path)
  const entries = headers.flatMap((header) =>
    Object.entries(header).filter(([name]) => name !== '__metadata__'),
  )
  expect(headers[0]['__metadata__']).toEqual({ format: 'pt' })
  expect(entries.map(([name]) => name).sort()).toEqual([...file.tensors.keys()].sort())
  for (const [name, entry] of entries) {
    const tensor = file.tensors.get(name)
    expect(entry, name).toMatchObject({ dtype: tensor?.type, shape: tensor?.shape })
  }
  await file.close()
}

/** The hub's answers for the files of a folder: whole, or the range asked for. */
function serve(path: string): typeof fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : String(input))
    const name = url.pathname.split('/').at(-1) ?? ''
    let bytes: Buffer
    try {
      bytes = readFileSync(join(path, name))
    } catch {
      return new Response('Entry not found', { status: 404 })
    }
    const headers = { etag: '"x"', 'content-length': String(bytes.length) }
    if (init?.method === 'HEAD') return new Response(null, { headers })
    const range = /bytes=(\d+)-(\d+)/.exec(new Headers(init?.headers).get('range') ?? '')
    if (range === null) return new Response(new Uint8Array(bytes))
    const [from, to] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)]
    return new Response(new Uint8Array(bytes.subarray(from, to + 1)), {
      status: 206,
      headers: {
        etag: '"x"',
        'content-range': `bytes ${from}-${to}/${bytes.length}`,
        'content-length': String(to - from + 1),
      },
    })
  }
}
