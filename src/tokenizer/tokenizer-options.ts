/**
 * The options of a tokenizer's calls: their names, in Python too, and what they take.
 */
import { checkOptions, type OptionRules, SWITCH, TOOLS } from '../option-checks.ts'
import type { TextTokenizer } from './text-tokenizer.ts'

type Call = 'encode' | 'decode' | 'stream' | 'encodeChat'
type OptionsOf<C extends Call> = NonNullable<
  Parameters<TextTokenizer[C]>[C extends 'stream' ? 0 : 1]
>

const RULES: { readonly [C in Call]: OptionRules<OptionsOf<C>> } = {
  encode: {
    addBos: { ...SWITCH, also: ['add_special_tokens', 'add_bos_token'] },
    addEnd: { ...SWITCH, also: ['add_eos_token'] },
    parseSpecial: { ...SWITCH, also: ['parse_special_tokens', 'allowed_special'] },
  },
  decode: { skipSpecial: { ...SWITCH, also: ['skip_special_tokens'] } },
  stream: { continues: { ...SWITCH, also: ['continue'] } },
  encodeChat: {
    addGenerationPrompt: { ...SWITCH, also: ['add_generation_prompt'] },
    tools: TOOLS,
  },
}

/** @throws UsageError naming the first option that the call has not, or whose value it does not take */
export function checkCall<C extends Call>(call: C, options: OptionsOf<C>): void {
  checkOptions<OptionsOf<C>>(`tokenizer.${call}`, options, RULES[call])
}
