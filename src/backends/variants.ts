/**
 * Kernel variants: the same kernels for one instruction set each.
 */
import { BackendError } from '../errors.ts'

export interface KernelVariant<Isa extends string = string> {
  readonly isa: Isa
  readonly supported: boolean
  /** What is missing, where it is not supported. */
  readonly reason?: string
}

/**
 * The variant of this name.
 *
 * @param kind of what, for the message
 * @throws BackendError naming those there are, if it is none of them or does not run here
 */
export function variantNamed<Isa extends string>(
  variants: readonly KernelVariant<Isa>[],
  wanted: string | undefined,
  kind: string,
): Isa {
  const variant = variants.find(({ isa }) => isa === wanted)
  if (variant?.supported) return variant.isa
  const known = variants.map((v) => v.isa + (v.supported ? '' : ` (${v.reason})`)).join(', ')
  throw new BackendError(`Expected a ${kind} variant that runs here, got "${wanted}": ${known}.`)
}
