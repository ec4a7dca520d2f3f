/**
 * Joules that the processor packages and their memory have used, from the counters that Linux shows in
 * /sys/class/powercap. Intel's and AMD's processors have them under the same name; reading them needs
 * the rights of root on most systems, and virtual machines have none.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface PowerMeter {
  /** Names of what is counted, e.g. "package-0, dram". */
  readonly description: string
  /**
   * Joules since the meter was opened; undefined where it has stopped. Counters wrap after minutes: read
   * it at least once a minute.
   */
  readJoules(): number | undefined
  dispose?(): void
}

/** A machine has a handful of packages. */
const MAX_ZONES = 64

/** @returns the meter, or why there is none */
export function openPowerMeter(root = '/'): PowerMeter | { readonly reason: string } {
  const folder = join(root, 'sys/class/powercap')
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch {
    return { reason: 'this system shows no energy counters' }
  }
  const zones: { readonly name: string; readonly readJoules: () => number }[] = []
  let isForbidden = false
  for (const entry of names.sort().slice(0, MAX_ZONES)) {
    // intel-rapl:0 is a package, intel-rapl:0:1 a part of it, of which only memory is not in the sum.
    const level = /^intel-rapl:\d+(:\d+)?$/.exec(entry)
    if (level === null) continue
    const path = join(folder, entry)
    const name = readText(join(path, 'name')) ?? ''
    const isCounted = level[1] === undefined ? name.startsWith('package') : name === 'dram'
    if (!isCounted) continue
    const readJoules = openCounter(path)
    if (readJoules === undefined) isForbidden = true
    else zones.push({ name, readJoules })
  }
  if (zones.length === 0) {
    const reason = isForbidden
      ? 'the energy counters in /sys/class/powercap may only be read by root'
      : 'this processor shows no energy counters'
    return { reason }
  }
  return {
    description: zones.map((zone) => zone.name).join(', '),
    readJoules: () => zones.reduce((sum, zone) => sum + zone.readJoules(), 0),
  }
}

/** Gives a zone's joules since now; undefined where they may not be read. */
function openCounter(path: string): (() => number) | undefined {
  const first = readCount(join(path, 'energy_uj'))
  if (first === undefined) return undefined
  /** Where the counter starts again from 0, in microjoules. */
  const range = readCount(join(path, 'max_energy_range_uj')) ?? 0
  let [last, total] = [first, 0]
  return () => {
    const count = readCount(join(path, 'energy_uj')) ?? last
    total += count >= last ? count - last : count + range - last
    last = count
    return total / 1e6
  }
}

function readCount(path: string): number | undefined {
  const text = readText(path)
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
