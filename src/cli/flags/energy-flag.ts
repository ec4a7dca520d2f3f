/** --energy: what joules are measured of. */
import { Option } from 'commander'
import { ENERGY_SOURCES } from '../../node/energy/energy-meter.ts'
import { parseChoice } from './flag-values.ts'

export function energyFlag(): Option {
  const text = 'measure joules of the cpu (RAPL), the gpu (NVIDIA boards) or all (default: cpu)'
  return new Option('--energy <source>', text).argParser((name) =>
    parseChoice(name, ENERGY_SOURCES),
  )
}
