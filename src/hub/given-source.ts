/**
 * What a caller gives as a model, told apart: a text, an address, or bytes that are there already.
 */
import { bytesOf, isA } from '../checks.ts'
import { UsageError } from '../errors.ts'
import { memorySource } from '../formats/memory-source.ts'
import type { ByteSource } from '../formats/model-file.ts'
import type { ModelSource } from '../generate/load/load-options.ts'
import { blobSource } from './blob-source.ts'

export type GivenSource =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'url'; readonly url: URL }
  | { readonly kind: 'bytes'; readonly bytes: ByteSource }

/**
 * @param advice what to give where nothing is given
 * @throws UsageError for what is no model
 */
export function givenSource(source: ModelSource, advice = ''): GivenSource {
  if (typeof source === 'string' && source !== '') return { kind: 'text', text: source }
  if (isA<URL>('URL', source)) return { kind: 'url', url: source }
  if (isA<Blob>('Blob', source) || isA<File>('File', source)) {
    return { kind: 'bytes', bytes: blobSource(source) }
  }
  const bytes = bytesOf(source)
  if (bytes !== undefined) return { kind: 'bytes', bytes: memorySource(bytes) }
  const got = source === '' ? 'an empty text' : nameOf(source)
  throw new UsageError(
    `Expected a model as a path, a name, a URL, bytes, a File or a Blob, got ${got}.${advice}`,
  )
}

function nameOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (typeof value !== 'object') return `a ${typeof value}`
  return Object.prototype.toString.call(value).slice('[object '.length, -1)
}
