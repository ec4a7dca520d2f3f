/**
 * Makes a decoder's weights part by part, in the order of the table in layers.ts, and puts them where
 * forward.ts looks for them: whatever is behind them, a file, random numbers or nothing.
 */
import type { DenseMatrix, TernaryMatrix } from '../../kernels/matrices.ts'
import type { DeviceBuffer } from '../../kernels/slice.ts'
import type { DenseType } from '../../kernels/storage.ts'
import type { DecoderWeights } from '../forward.ts'
import { type Part, STACK_TITLES } from '../layers.ts'

/** How a ternary matrix lies in memory. */
export type TernaryForm = Pick<TernaryMatrix, 'packing' | 'order'>

/** How matrices are held in memory, by the parts that they are made of. */
export interface WeightForms<P> {
  readonly table: (part: P) => DenseType
  readonly linear: (stack: readonly P[]) => DenseType | TernaryForm
}

/** How each is made; the parts of a matrix are stacked in their order. */
export interface WeightMakers<P, Dense, Ternary, Norm> {
  readonly dense: (parts: readonly P[], type: DenseType, label: string) => Dense
  readonly ternary: (parts: readonly P[], form: TernaryForm, label: string) => Ternary
  readonly norm: (part: P) => Norm
}

type Made = DenseMatrix | TernaryMatrix | DeviceBuffer

/** All at once. */
export function buildWeights<P extends Part>(
  parts: readonly P[],
  forms: WeightForms<P>,
  makers: WeightMakers<P, DenseMatrix, TernaryMatrix, DeviceBuffer>,
): DecoderWeights {
  const groups = groupsOf(parts)
  const made = groups.map((group) => make(group, forms, makers))
  return arranged(groups, made)
}

/**
 * One after the other.
 *
 * @param onLayer told of the layers that are done
 */
export async function buildWeightsInTurn<P extends Part>(
  parts: readonly P[],
  forms: WeightForms<P>,
  makers: WeightMakers<P, Promise<DenseMatrix>, Promise<TernaryMatrix>, Promise<DeviceBuffer>>,
  onLayer?: (done: number) => void,
): Promise<DecoderWeights> {
  const groups = groupsOf(parts)
  const made: Made[] = []
  for (const [i, group] of groups.entries()) {
    made.push(await make(group, forms, makers))
    const { layer } = group[0]
    if (layer !== undefined && groups[i + 1]?.[0].layer !== layer) onLayer?.(layer + 1)
  }
  return arranged(groups, made)
}

/** The matrices of each stack, and everything else alone. */
function groupsOf<P extends Part>(parts: readonly P[]): P[][] {
  const groups = new Map<string, P[]>()
  for (const part of parts) {
    const key = `${part.layer} ${part.stack ?? part.role}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [part])
    else group.push(part)
  }
  return [...groups.values()]
}

function make<P extends Part, Dense, Ternary, Norm>(
  group: readonly P[],
  forms: WeightForms<P>,
  { dense, ternary, norm }: WeightMakers<P, Dense, Ternary, Norm>,
): Dense | Ternary | Norm {
  const [part] = group
  if (part.kind === 'norm') return norm(part)
  if (part.kind === 'router') return dense(group, 'f32', `layer ${part.layer} router`)
  if (part.stack === undefined) return dense(group, forms.table(part), part.role)
  const label = `layer ${part.layer} ${STACK_TITLES[part.stack]}`
  const form = forms.linear(group)
  return typeof form === 'string' ? dense(group, form, label) : ternary(group, form, label)
}

/** The table of layers has a part for every place. */
function arranged(groups: readonly (readonly Part[])[], made: readonly Made[]): DecoderWeights {
  const whole: Record<string, unknown> = {}
  const layers: Record<string, unknown>[] = []
  for (const [i, [{ role, layer, stack }]] of groups.entries()) {
    const value = made[i]
    if (layer === undefined) {
      whole[role] = value
      continue
    }
    layers[layer] ??= {}
    if (stack === undefined) layers[layer][role] = value
    else layers[layer][stack] = { kind: 'type' in value ? 'dense' : 'ternary', matrix: value }
  }
  const { embedding, finalNorm, head = embedding } = whole
  return { embedding, layers, finalNorm, head } as unknown as DecoderWeights
}
