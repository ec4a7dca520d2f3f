/** Flags that some commands share, one by one. */
import { Option } from 'commander'
import { UsageError } from '../../errors.ts'
import type { BosRule } from '../../eval/encode-request.ts'
import { ENERGY_SOURCES } from '../../node/energy/energy-meter.ts'
import { parseChoice } from './flag-values.ts'
import type { ModelFlags } from './load-flags.ts'

const BOS_RULES: readonly BosRule[] = ['auto', 'always', 'never']

export const BOS_HELP = 'begin token: auto (as the tokenizer does), always or never (default: auto)'

export function parseBos(text: string): BosRule {
  return parseChoice(text, BOS_RULES)
}

/** @throws UsageError for a head whose logits are mostly near ones */
export function refuseNearHead({ head }: ModelFlags): void {
  if (head !== 'int4') return
  throw new UsageError(
    'Expected a head whose logits are all exact: int4 computes only the largest exactly, and ' +
      'evaluation asks for others too. Use --head f16 or --head int8.',
  )
}

/** --energy: what joules are measured of. */
export function energyFlag(): Option {
  const text = 'measure joules of the cpu (RAPL), the gpu (NVIDIA boards) or all (default: cpu)'
  return new Option('--energy <source>', text).argParser((name) =>
    parseChoice(name, ENERGY_SOURCES),
  )
}
