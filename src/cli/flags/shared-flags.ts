/** Flags that some commands share, one by one. */
import type { Option } from 'commander'
import { UsageError } from '../../errors.ts'
import type { BosRule } from '../../eval/encode-request.ts'
import { ENERGY_SOURCES } from '../../node/energy/energy-meter.ts'
import { choiceFlag } from './flag-values.ts'
import type { ModelFlags } from './load-flags.ts'

const BOS_RULES: readonly BosRule[] = ['auto', 'always', 'never']

/** --bos: the begin token of what is scored. */
export function bosFlag(): Option {
  const text = 'begin token: auto (as the tokenizer does), always or never (default: auto)'
  return choiceFlag('--bos <rule>', text, BOS_RULES)
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
  return choiceFlag('--energy <source>', text, ENERGY_SOURCES)
}
