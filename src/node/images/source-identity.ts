/**
 * What a packed image was made of, so that it is never used for anything else: the model's files as
 * the system knows them, their headers, what this version reads from them, and what was asked for.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isObject } from '../../checks.ts'
import type { ByteSource, ModelFile } from '../../formats/model-file.ts'
import { leavesZerosOut } from '../../model/weights/ffn-order.ts'
import { BASE3_ISAS } from '../../model/weights/ternary-packing.ts'
import type { WeightRequest } from '../../model/weights/weight-images.ts'
import { planWeights } from '../../model/weights/weight-plan.ts'

export interface ImageIdentity {
  /** The same for all images of these files with these settings, however the files changed. */
  readonly name: string
  /** Equal only if nothing changed. */
  readonly text: string
  readonly source: string
  readonly settings: string
}

/** A vocabulary of 256,000 tokens with its merges takes 15 MB. */
const MAX_HEADER_BYTES = 64 << 20

/** @returns undefined if a tensor comes from something else than a file on disk */
export async function imageIdentity(request: WeightRequest): Promise<ImageIdentity | undefined> {
  const { file, config } = request
  const settings = settingsOf(request)
  const files: object[] = []
  const paths: string[] = []
  for (const [source, headerBytes] of headersOf(file)) {
    const facts = await stat(source.name, { bigint: true }).catch(() => undefined)
    if (facts === undefined) return undefined
    const header = await source.read(0, Math.min(headerBytes, MAX_HEADER_BYTES))
    const path = await realpath(source.name)
    paths.push(path)
    files.push({
      path,
      size: String(facts.size),
      modified: String(facts.mtimeNs),
      changed: String(facts.ctimeNs),
      device: String(facts.dev),
      inode: String(facts.ino),
      header: createHash('sha256').update(header).digest('hex'),
    })
  }
  const key = JSON.stringify([paths, settings])
  return {
    name: `${config.name.replaceAll(/[^\w.-]+/g, '-').slice(0, 60)}-${digest(key)}`,
    text: JSON.stringify({ version: packageVersion(), settings, files, plan: planDigest(request) }),
    source: resolve(file.name),
    settings,
  }
}

/** Each source with the bytes before its first tensor. */
function headersOf(file: ModelFile): Map<ByteSource, number> {
  const headers = new Map<ByteSource, number>()
  for (const { source, offset } of file.tensors.values()) {
    headers.set(source, Math.min(offset, headers.get(source) ?? offset))
  }
  return headers
}

/**
 * The options that change what lies in memory. Which packing 'auto' takes is measured where there is a
 * choice, and depends on the machine then; the variant does not matter otherwise.
 */
function settingsOf({ backend, config, options }: WeightRequest): string {
  const { head = 'default', weights = 'auto', sparse = 'auto' } = options
  const isMeasured = weights === 'auto' && BASE3_ISAS.includes(backend.isa)
  const choice = isMeasured ? `auto on ${backend.isa}, ${backend.threads} threads` : weights
  const order = leavesZerosOut(backend, config, sparse) ? ', zeros left out' : ''
  return `head ${head}, weights ${choice === 'auto' ? '2bit' : choice}${order}`
}

/**
 * Of what is read from the file: another reading of the same file must not find the old image. In which order
 * fields were set is nothing that was read.
 */
function planDigest({ file, config }: WeightRequest): string {
  const plan = planWeights(file, config)
  return digest(
    JSON.stringify([config, plan], (key, value: unknown) => {
      if (key === 'source') return undefined
      return isObject(value) ? Object.fromEntries(Object.entries(value).sort(byName)) : value
    }),
  )
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

/** Three folders up both from src/node/images/ and from dist/node/images/. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
