/**
 * Experts' matrices as GGUF has them: all of one name as one tensor of three dimensions. TQ types keep a scale in each
 * block. I2_S has one scale a tensor, so that it is 1 there, and each expert's stands in a tensor beside it, as other
 * types of GGUF have them ("ffn_up_exps.scale").
 */
import type { GgufTensorToWrite } from '../formats/gguf/index.ts'
import type { TernaryTensor } from '../formats/model-file.ts'
import { encodeCodes, i2sTail, storedScale } from '../formats/ternary/index.ts'
import type { WeightStorage } from './gguf-metadata.ts'
import type { NamedTensor } from './named-tensors.ts'
import { type StreamContext, ternaryStream } from './tensor-streams.ts'

/** Entries by their names in GGUF, in the order in which these come up. */
export function byGgufName(named: readonly NamedTensor[]): NamedTensor[][] {
  const groups = new Map<string, NamedTensor[]>()
  for (const entry of named) {
    const group = groups.get(entry.name)
    if (group === undefined) groups.set(entry.name, [entry])
    else group.push(entry)
  }
  return [...groups.values()]
}

/**
 * The tensors of GGUF for one kind of matrix of all experts of a layer.
 *
 * @param bytesOf of a tensor of the type and of this shape
 */
export function stackedTensors(
  entries: readonly NamedTensor[],
  type: WeightStorage,
  bytesOf: (shape: readonly number[]) => number,
  context: StreamContext,
): GgufTensorToWrite[] {
  const [{ name, shape: one }] = entries
  const shape = [entries.length, ...one]
  const isApart = type === 'I2_S'
  const scales = new Float32Array(entries.length)
  const target = {
    type,
    encode: (tensor: TernaryTensor) => encodeCodes(type, tensor),
    storedScale: (scale: number) => storedScale(type, scale),
  }
  async function* data() {
    for (const [expert, entry] of entries.entries()) {
      const open: StreamContext['open'] = async (asked) => {
        const opened = await context.open(asked)
        scales[expert] = opened.scale
        return opened
      }
      yield* ternaryStream(entry, target, { ...context, open })
    }
    if (isApart) yield i2sTail(1)
  }
  const weights = { name, type, shape, byteLength: bytesOf(shape), data }
  if (!isApart) return [weights]
  const scaleName = `${name.slice(0, -'weight'.length)}scale`
  const bytes = () => [new Uint8Array(scales.buffer)]
  return [
    weights,
    {
      name: scaleName,
      type: 'F32',
      shape: [scales.length],
      byteLength: scales.byteLength,
      data: bytes,
    },
  ]
}
