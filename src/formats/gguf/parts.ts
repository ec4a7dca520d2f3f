/**
 * GGUF models that were split into several files, as gguf-split of llama.cpp does: each has a directory
 * of its own tensors, the first has the metadata of all.
 */
import { FormatError } from '../../errors.ts'
import type { GgufFile, TensorInfo, UnreadTensor } from '../model-file.ts'

const PART_NAME = /^(.*-)(\d{1,6})(-of-)(\d{1,6})(\.gguf|\.safetensors)$/i
/** Whether a file is GGUF by its name, in capitals too. */
export function isGgufName(path: string): boolean {
  return /\.gguf$/i.test(path)
}

/** The largest models come in under 200 files. */
const MAX_PARTS = 1024

/** How many files a model was split into, by the metadata of one of them; 1 if it was not. */
export function partCount({ metadata }: Pick<GgufFile, 'metadata'>): number {
  const count = metadata.get('split.count')
  return typeof count === 'number' && count > 1 ? count : 1
}

/**
 * The names of all parts, by the name of one: "m-00001-of-00002.gguf" and its neighbour, and so with shards of
 * safetensors. Undefined for a name that is none of a part, or of a whole that has only one.
 */
export function partNames(name: string): string[] | undefined {
  const [, start, number, of, total, end] = PART_NAME.exec(name) ?? []
  const count = Number(total)
  if (start === undefined || !(count > 1 && count <= MAX_PARTS)) return undefined
  const own = Number(number)
  if (own < 1 || own > count) return undefined
  const digits = (part: number) => String(part).padStart(number.length, '0')
  return Array.from({ length: count }, (_, i) => `${start}${digits(i + 1)}${of}${total}${end}`)
}

/**
 * One model of all its parts, in order.
 *
 * @throws FormatError if they are not the parts of one model
 */
export function joinParts(parts: readonly GgufFile[]): GgufFile {
  const [first] = parts
  const tensors = new Map<string, TensorInfo>()
  const unread = new Map<string, UnreadTensor>()
  for (const [i, part] of parts.entries()) {
    const number = part.metadata.get('split.no') ?? i
    const count = partCount(part)
    if (number !== i || count !== parts.length) {
      throw damaged(
        part,
        'split.no',
        `part ${i + 1} of ${parts.length}`,
        `part ${Number(number) + 1} of ${count}`,
      )
    }
    for (const tensor of [...part.tensors.values(), ...(part.unread?.values() ?? [])]) {
      if (!tensors.has(tensor.name) && !unread.has(tensor.name)) continue
      throw damaged(part, tensor.name, `tensor "${tensor.name}" in one part`, 'it again')
    }
    for (const tensor of part.tensors.values()) tensors.set(tensor.name, tensor)
    for (const tensor of part.unread?.values() ?? []) unread.set(tensor.name, tensor)
  }
  const stated = first.metadata.get('split.tensors.count')
  const found = tensors.size + unread.size
  if (stated !== undefined && stated !== found) {
    throw damaged(first, 'split.tensors.count', `${stated} tensors in all parts`, `${found}`)
  }
  const close = async (): Promise<void> => {
    for (const part of parts) await part.close()
  }
  return { ...first, tensors, unread, close }
}

function damaged(part: GgufFile, field: string, expected: string, got: string): FormatError {
  return new FormatError(
    `Expected ${expected}, got ${got} in ${part.name}. The parts are not of one model; fetch them again.`,
    { field, path: part.name },
  )
}
