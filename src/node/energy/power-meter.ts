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
  const zones: Zone[] = []
  let isForbidden = false
  for (const name of names.sort().slice(0, MAX_ZONES)) {
    // intel-rapl:0 is a package, intel-rapl:0:1 a part of it, of which only memory is not in the sum.
    const level = /^intel-rapl:\d+(:\d+)?$/.exec(name)
    if (level === null) continue
    const zone = new Zone(join(folder, name))
    const isCounted =
      level[1] === undefined ? zone.name.startsWith('package') : zone.name === 'dram'
    if (!isCounted) continue
    if (zone.isReadable) zones.push(zone)
    else isForbidden = true
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

class Zone {
  readonly name: string
  readonly isReadable: boolean
  readonly #path: string
  /** Where the counter starts again from 0, in microjoules. */
  readonly #range: number
  #last: number
  #total = 0

  constructor(path: string) {
    this.#path = path
    this.name = readText(join(path, 'name')) ?? ''
    this.#range = readCount(join(path, 'max_energy_range_uj')) ?? 0
    const first = readCount(join(path, 'energy_uj'))
    this.isReadable = first !== undefined
    this.#last = first ?? 0
  }

  readJoules(): number {
    const count = readCount(join(this.#path, 'energy_uj')) ?? this.#last
    this.#total += count >= this.#last ? count - this.#last : count + this.#range - this.#last
    this.#last = count
    return this.#total / 1e6
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
