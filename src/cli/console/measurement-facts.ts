/**
 * What reports of measurements say of the machine and of the model that was loaded.
 */
import type { MachineLimits } from '../../bench/machine-limits.ts'
import type { ImageReport } from '../../model/weights/weight-images.ts'
import type { EnergyMeter } from '../../node/energy/energy-meter.ts'
import type { HostFacts } from './host-facts.ts'
import type { Language } from './language.ts'
import { formatByteRate, formatBytes, formatMacRate, formatMilliseconds } from './quantities.ts'
import type { Fact } from './table.ts'

/** Where figures come from. */
export interface MeasuredOn {
  readonly host: HostFacts
  /** Of the last minute, at the end. */
  readonly loadAverageAfter: number
}

/** Whether other work has made the figures lower. */
export function machineLoad(
  { host, loadAverageAfter }: MeasuredOn,
  language: Language = 'en',
): Fact {
  const [before, after] = [host.loadAverage, loadAverageAfter].map((load) => load.toFixed(2))
  return language === 'ja'
    ? ['負荷', `測定前 ${before}、測定後 ${after}`]
    : ['load', `${before} before, ${after} after`]
}

/** Why a system's own counters are not read; what else stands in the way keeps its words. */
const NO_COUNTERS: Readonly<Record<string, string>> = {
  'this system shows no energy counters': 'このシステムには電力量を数える機能がありません',
  'this processor shows no energy counters': 'このプロセッサーには電力量を数える機能がありません',
  'the energy counters in /sys/class/powercap may only be read by root':
    '/sys/class/powercap の電力量はrootだけが読めます',
}

export function energyFact(counted: EnergyMeter['counted'], language: Language = 'en'): Fact {
  const isMeasured = 'counters' in counted
  const what = isMeasured ? counted.counters : counted.reason
  if (language === 'ja') {
    const how = isMeasured
      ? `実測（同時に動くものをすべて含む）: ${what}`
      : `実測なし: ${NO_COUNTERS[what] ?? what}`
    return ['エネルギー', how]
  }
  const how = isMeasured
    ? `measured: ${what}, whatever else runs included`
    : `not measured: ${what}`
  return ['energy', how]
}

/** What shares are of. */
export function limitFacts(limits: MachineLimits | undefined): Fact[] {
  if (limits === undefined) return [['limits', 'not measured: this backend is not compiled code']]
  return [
    ['memory reads', `${formatByteRate(limits.readBytesPerSecond)} measured with the same threads`],
    [
      'integer peak',
      `${formatMacRate(limits.macsPerSecond)} of int8 measured in registers with the same ` +
        'instructions',
    ],
  ]
}

/** Why shares of memory are above 1, where some are. */
export function cacheNote(shares: readonly number[]): string[] {
  if (shares.every((share) => share <= 1)) return []
  return ['', "* More than memory gives: what is read stays in the processor's cache."]
}

/** "120.0 ms, weights mapped from a packed image of 750.8 MB", or why there is none. */
export function loadFact(loadMs: number, image: ImageReport | undefined): string {
  const time = formatMilliseconds(loadMs)
  if (image === undefined) return `${time}, packed images are turned off`
  const { state, byteLength = 0, reason } = image
  const why = reason === undefined ? '' : ` (${reason})`
  if (state === 'mapped') {
    return `${time}, weights mapped from a packed image of ${formatBytes(byteLength)}`
  }
  if (state === 'writing') return `${time}, a packed image is being written for the next start`
  if (state === 'none') return `${time}, no packed image${why}`
  return `${time}, a packed image of ${formatBytes(byteLength)} written for the next start${why}`
}
