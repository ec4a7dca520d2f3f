/** How long a file may be that has what a model has computed. */
import type { LanguageModel } from '../../generate/language-model.ts'
import { MAX_DESCRIPTION_BYTES } from '../../generate/state/state-file.ts'

/** Bytes beside those of positions: what the file says of itself, with a whole conversation. */
const BESIDE = MAX_DESCRIPTION_BYTES + 4096

/** No state of a model is longer. */
export function mostStateBytes({ config, memory }: LanguageModel): number {
  const tokenBytes = 4 + memory.cacheBytesPerToken
  return BESIDE + Math.ceil((config.contextLength + 16) * tokenBytes)
}
