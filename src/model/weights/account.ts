/**
 * Every tensor of a file is accounted for: it is a part of the decoder, belongs to one, or is known to
 * change nothing. Whatever else is there would be left out of the computation without a word, and the
 * result be that of another model, so it is refused by name.
 */
import { FormatError } from '../../errors.ts'
import { decodeDense, isDense } from '../../formats/dense-codecs.ts'
import type { ModelFile, TensorInfo } from '../../formats/model-file.ts'
import { quantizationOf, ReadWindow, scaleNameOf } from '../../formats/ternary/index.ts'
import type { ModelConfig } from '../config/config.ts'
import { type Part, tensorNames } from '../layers.ts'

/** A part of the decoder, and where the file has it. */
interface Located extends Pick<Part, 'role' | 'kind'> {
  readonly tensor: TensorInfo
}

type Config = Pick<ModelConfig, 'architecture' | 'linear' | 'nLayers' | 'tiedHead'>

/** Tables of rotations that checkpoints of older programs hold; everybody computes them anew. */
const COMPUTED = /(^|\.)rotary_emb\.inv_freq$/
/** Counts and positions. Inside a layer they belong to weights in some packing that is not known. */
const INTEGERS = /^(BOOL|[IU](8|16|32|64))$/
const IN_LAYER = /^(?:blk|(?:model\.)?layers)\.(\d+)\./

interface Rest {
  readonly name: string
  readonly type: string
  readonly shape: readonly number[]
}

/** Tensors of a file that its model does not use and need not use, as {@link refuseRest} has checked. */
export function leftOutTensors(
  file: ModelFile,
  config: Config,
  planned: readonly Located[],
): string[] {
  return restOf(file, config, planned).map(({ name }) => name)
}

/** @throws FormatError naming a tensor that may not be left out */
export function refuseRest(file: ModelFile, config: Config, planned: readonly Located[]): void {
  const copies = headCopies(file, config)
  for (const rest of restOf(file, config, planned)) {
    if (!mayBeLeftOut(rest) && !copies.includes(rest.name)) throw unexpected(file, config, rest)
  }
}

/**
 * A head that a file has although its configuration says that the embedding is the head: harmless if
 * it is the embedding once more.
 *
 * @throws FormatError if it is another matrix
 */
export async function checkHeadCopy(
  file: ModelFile,
  config: Config,
  planned: readonly Located[],
): Promise<void> {
  const embedding = planned.find(({ role }) => role === 'embedding')?.tensor
  for (const name of headCopies(file, config)) {
    const head = file.tensors.get(name)
    if (head === undefined || embedding === undefined || (await areEqual(head, embedding))) continue
    throw new FormatError(
      `Expected "${name}" of ${file.name} to be the embedding once more, as tie_word_embeddings ` +
        'says, got another matrix. Set tie_word_embeddings to false if the file is right.',
      { field: name, path: file.name },
    )
  }
}

function headCopies(file: ModelFile, { tiedHead }: Config): string[] {
  if (!tiedHead) return []
  return tensorNames(file.format, { role: 'head' }).filter((name) => file.tensors.has(name))
}

/** What no part of the decoder is made of, in the file's order. */
function restOf(file: ModelFile, config: Config, planned: readonly Located[]): Rest[] {
  const used = new Set<string>()
  for (const { tensor, kind } of planned) {
    used.add(tensor.name)
    const scale = kind === 'linear' && config.linear === 'ternary' && scaleNameOf(file, tensor)
    if (scale) used.add(scale)
  }
  return [...file.tensors.values(), ...(file.unread?.values() ?? [])].filter(
    ({ name }) => !used.has(name),
  )
}

function mayBeLeftOut({ name, type, shape }: Rest): boolean {
  if (shape.includes(0) || COMPUTED.test(name)) return true
  return INTEGERS.test(type) && !IN_LAYER.test(name)
}

function unexpected(
  file: ModelFile,
  { architecture, nLayers }: Config,
  { name, type, shape }: Rest,
): FormatError {
  const layer = IN_LAYER.exec(name)?.[1]
  const why =
    layer !== undefined && Number(layer) >= nLayers
      ? `its configuration has ${nLayers} layers`
      : `a model of architecture "${architecture}" has no such tensor here`
  return new FormatError(
    `Expected no tensor "${name}" (${type} of [${shape}]) in ${file.name}, as ${why}. Left out, it ` +
      'would make another model of it, so the file cannot be run.',
    { field: name, path: file.name },
  )
}

/** Value by value, as the two may be of different types. */
async function areEqual(a: TensorInfo, b: TensorInfo): Promise<boolean> {
  const isAlike = a.shape.length === 2 && a.shape.every((n, i) => n === b.shape[i])
  if (!isAlike || !isDense(a.type) || !isDense(b.type)) return false
  const [readA, readB] = [rowReader(a), rowReader(b)]
  for (let row = 0; row < a.shape[0]; row++) {
    const other = await readB(row)
    if ((await readA(row)).some((value, i) => value !== other[i])) return false
  }
  return true
}

function rowReader(tensor: TensorInfo): (row: number) => Promise<Float32Array> {
  const window = new ReadWindow(tensor)
  const values = new Float32Array(tensor.shape[1])
  const rowBytes = tensor.byteLength / tensor.shape[0]
  return async (row) => {
    decodeDense(tensor.type, await window.bytes(row * rowBytes, rowBytes), values)
    return values
  }
}

/**
 * @throws FormatError if a tensor is of a type that its place cannot be read from, or packed in a way
 *   that the file does not tell
 */
export function checkType(
  file: ModelFile,
  { linear }: Config,
  kind: Part['kind'],
  { name, type, shape }: TensorInfo,
): void {
  const isTernary = kind === 'linear' && linear === 'ternary'
  if (type === 'U8' && kind === 'linear' && Object.keys(quantizationOf(file)).length === 0) {
    throw new FormatError(
      `Expected a quantization_config in the config.json of ${file.name}, as "${name}" holds packed ` +
        'ternary weights: its weight_scale multiplies or divides, and only the linear_class there ' +
        'tells which. Fetch the config.json that belongs to these weights.',
      { field: 'quantization_config', path: file.name },
    )
  }
  if (isTernary || isDense(type)) return
  throw new FormatError(
    `Expected "${name}" of ${file.name} to hold plain numbers, got ${type} of [${shape}]. The file ` +
      'is damaged or of a kind that is not supported.',
    { field: name, path: file.name },
  )
}
