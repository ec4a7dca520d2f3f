/**
 * An engine of random weights in the shape of a published model, for speed tests without its file. Which numbers
 * weights are makes no difference to how long products take, but for how much of the feed-forward is 0.
 */
import { type ModelShape, shapeNamed, ternaryWeights } from '../../../bench/shapes.ts'
import { modelBytes } from '../../../bench/token-time.ts'
import { planColumn } from '../../../compare/columns.ts'
import { UsageError } from '../../../errors.ts'
import { pickLoadSettings } from '../../../generate/load/load-options.ts'
import { Decoder } from '../../../model/decoder.ts'
import { leavesZerosOut } from '../../../model/weights/ffn-order.ts'
import { type RandomWeights, randomWeights } from '../../../model/weights/random-weights.ts'
import { choosePacking } from '../../../model/weights/ternary-packing.ts'
import { openBestBackend } from '../../../node/open-backend.ts'
import { expertWidth, mixtureNamed } from '../../../train/presets.ts'
import type { CommandContext } from '../../command-context.ts'
import type { ModelFlags } from '../../flags/load-flags.ts'

/** Positions that its cache has room for at least; none is used before a test reaches it. */
const CONTEXT = 8192

export interface RandomModelFlags extends ModelFlags {
  /** A name of bench/shapes.ts. */
  readonly size?: string
  /** "experts=8,top=2": as wide for a token as the one feed-forward. */
  readonly moe?: string
  /** Share of the feed-forward's gates that are off; unset: as chance has it. */
  readonly ffnSparsity?: number
}

function mixedShape(shape: ModelShape, moe: string | undefined): ModelShape {
  if (moe === undefined) return shape
  const { count, top } = mixtureNamed(moe)
  const experts = { count, top }
  return { ...shape, experts, ffnDim: expertWidth(shape.ffnDim, experts) }
}

/** @throws UsageError for a size that is unknown; BackendError without memory */
export async function openRandomEngine(
  size: string,
  { ffnSparsity, moe, ...flags }: RandomModelFlags,
  { status, signal }: CommandContext,
) {
  const began = performance.now()
  const shape = mixedShape(shapeNamed(size), moe)
  if (shape.experts && ffnSparsity !== undefined) {
    throw new UsageError('Expected --ffn-sparsity without --moe: of experts no zeros are left out.')
  }
  const settings = pickLoadSettings(flags)
  const { head, kv = 'f16', sparse = 'auto', matmulPrecision, cacheMemory: mebibytes } = settings
  const backend = await openBestBackend({ ...settings, expectedBytes: modelBytes(shape) })
  let weights: RandomWeights | undefined
  try {
    const packing = await choosePacking(backend, settings.weights ?? 'auto', ternaryWeights(shape))
    const column = planColumn('b1.58', shape, CONTEXT, { head, packing, kv })
    const config = { ...column.config, activation: 'relu2' } as const
    weights = await randomWeights(backend, config, {
      ...column,
      isSparse: leavesZerosOut(backend, config, sparse),
      ffnSparsity,
      onLayer: (done, all) => status.show(`${shape.title}: made ${done} of ${all} layers`),
      signal,
    })
    const made = weights
    const cacheMemory = mebibytes && mebibytes * 2 ** 20
    const decoder = new Decoder(backend, config, made, {
      matmulPrecision,
      cacheType: kv,
      cacheMemory,
    })
    return {
      backend,
      weights: made,
      decoder,
      loadMs: performance.now() - began,
      kept: undefined,
      async [Symbol.asyncDispose]() {
        decoder.dispose()
        made.dispose()
        await backend.dispose()
      },
    }
  } catch (error) {
    weights?.dispose()
    await backend.dispose()
    throw error
  }
}
