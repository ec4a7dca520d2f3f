/**
 * Which energy is measured: the processor's (RAPL), that of NVIDIA boards (NVML), or both.
 */
import { type BoardMeterOptions, openBoardMeter } from './board-power.ts'
import { openPowerMeter, type PowerMeter } from './power-meter.ts'

export const ENERGY_SOURCES = ['cpu', 'gpu', 'all'] as const
export type EnergySource = (typeof ENERGY_SOURCES)[number]

export interface EnergyMeter extends Disposable {
  /** What was counted for measured joules, or why nothing was. */
  readonly counted: { readonly counters: string } | { readonly reason: string }
  /** Undefined where nothing is counted; gives undefined when a meter has stopped. */
  readonly readJoules: (() => number | undefined) | undefined
}

/** 'all' measures with the meters that there are, and says which. */
export async function openEnergyMeter(
  source: EnergySource,
  options: BoardMeterOptions & { readonly root?: string } = {},
): Promise<EnergyMeter> {
  const found = [
    ...(source === 'gpu' ? [] : [openPowerMeter(options.root)]),
    ...(source === 'cpu' ? [] : [await openBoardMeter(options)]),
  ]
  const meters = found.filter((meter) => 'readJoules' in meter)
  const reason = found.flatMap((meter) => ('reason' in meter ? [meter.reason] : [])).join('; ')
  return {
    counted:
      meters.length === 0
        ? { reason }
        : { counters: meters.map(({ description }) => description).join(', ') },
    readJoules: meters.length === 0 ? undefined : () => sumOf(meters),
    [Symbol.dispose]: () => {
      for (const meter of meters) meter.dispose?.()
    },
  }
}

function sumOf(meters: readonly PowerMeter[]): number | undefined {
  const sum = meters.reduce((joules, meter) => joules + (meter.readJoules() ?? Number.NaN), 0)
  return Number.isNaN(sum) ? undefined : sum
}
