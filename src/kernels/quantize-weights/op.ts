import { padToTile, TILE } from '../../ternary/index.ts'
import { defineOp } from '../define-op.ts'
import { type TernaryMatrix, ternary } from '../matrices.ts'
import { floats } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { flatWorkgroups } from '../workgroups.ts'
import { quantizeWeights as reference, WEIGHT_MODES, type WeightMode } from './reference.ts'

/** Training's latent weights (rows, cols) as ternary codes, in tiles of 2 bits, with one scale for all. */
export interface QuantizeWeightsCommand {
  readonly op: 'quantize-weights'
  /** Those of `out`. */
  readonly rows: number
  readonly mode: WeightMode
  readonly latents: BufferSlice
  readonly out: TernaryMatrix
}

export const quantizeWeights = defineOp<QuantizeWeightsCommand>()({
  name: 'quantize-weights',
  operands: { latents: floats((c) => c.rows * c.out.cols), out: ternary('write') },
  check(check, { rows, mode, out }) {
    check.oneOf('mode', mode, WEIGHT_MODES)
    if (out.rows !== rows) check.fail('out.rows', `${rows}`, out.rows)
    if ((out.packing ?? '2bit') !== '2bit') check.fail('out.packing', '2bit', out.packing)
  },
  integers: { mode: (c) => WEIGHT_MODES.indexOf(c.mode) },
  // Two float64 a stripe, and two float32 for all.
  scratch: ({ rows }) => (padToTile(rows) / TILE) * 16 + 16,
  reference: (m, c) => reference(m.out, m.latents, c.mode),
  agreement: 'exact',
  constants: { WEIGHTS: WEIGHT_MODES },
  workgroups: ({ rows }) => [padToTile(rows) / TILE, 1],
  finish: ({ rows, out: { cols } }) => ({
    workgroups: flatWorkgroups((padToTile(rows) * padToTile(cols)) / TILE),
    betweenBytes: padToTile(rows),
  }),
})
