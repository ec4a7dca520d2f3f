/**
 * Penalties on tokens that have occurred: the repetition penalty (Keskar et al. 2019, section 4.1) on
 * those of prompt and answer, then the frequency and presence penalties on those of the answer.
 */
import type { SamplingSettings } from '../validate-options.ts'

export class TokenPenalties {
  readonly #settings: SamplingSettings
  /** How often each token occurs in the answer; 0 for those that only the prompt has. */
  readonly #counts = new Map<number, number>()

  constructor(settings: SamplingSettings) {
    this.#settings = settings
  }

  /** False if no penalty changes any logit. */
  get active(): boolean {
    const { repetitionPenalty, frequencyPenalty, presencePenalty } = this.#settings
    return repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0
  }

  /** Penalties that go on from here by themselves. */
  copy(): TokenPenalties {
    const copy = new TokenPenalties(this.#settings)
    for (const [id, count] of this.#counts) copy.#counts.set(id, count)
    return copy
  }

  addPrompt(ids: ArrayLike<number>): void {
    if (!this.active) return
    for (let i = 0; i < ids.length; i++) {
      if (!this.#counts.has(ids[i])) this.#counts.set(ids[i], 0)
    }
  }

  addAnswer(id: number): void {
    if (this.active) this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1)
  }

  /** Changes `logits` (vocabSize) in place. */
  apply(logits: Float32Array): void {
    const { repetitionPenalty, frequencyPenalty, presencePenalty } = this.#settings
    for (const [id, count] of this.#counts) {
      if (id >= logits.length) continue
      let logit = logits[id]
      logit = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty
      if (count > 0) logit -= count * frequencyPenalty + presencePenalty
      logits[id] = logit
    }
  }
}
