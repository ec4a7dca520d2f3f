/**
 * How a token is drawn from a row of logits, as callers say it and as the operations take it.
 */
import { PENALTY_FLOATS } from '../kernels/adjust-logits/reference.ts'
import { SETTING, SETTING_WORDS, TOP_P_ONE, WIDEST_GAP } from '../kernels/sample/reference.ts'

/** As in the options of a generation, which say what each means. */
export interface DrawSettings {
  readonly temperature: number
  readonly topK: number
  readonly topP: number
  readonly minP: number
  readonly repetitionPenalty: number
  readonly frequencyPenalty: number
  readonly presencePenalty: number
}

/** What one row of logits is drawn from, and with which random numbers. */
export interface TokenDraw {
  readonly settings: DrawSettings
  /** From 0 to 2^53 - 1. With the position and `sequence` it decides all random numbers. */
  readonly seed: number
  /** Unset: 0. Sequences of one seed draw independently of each other. */
  readonly sequence?: number
  /** The position of the first token of the answer, for penalties. */
  readonly answerStart: number
  /** Added to the logits of tokens, before penalties. */
  readonly biases?: ReadonlyMap<number, number> | undefined
  /** A bit a token, the lowest of the first word first: 1 where it may be drawn. Unset: all may. */
  readonly allowed?: Uint32Array | undefined
}

/** A token and the natural logarithm of its probability, as the model itself has it. */
export interface TokenLogProb {
  readonly id: number
  readonly logProb: number
}

/** What the model held of a drawn token, and of the likeliest ones in its place, the likeliest first. */
export interface TokenOdds extends TokenLogProb {
  readonly likeliest: readonly TokenLogProb[]
}

/** One entry a row of logits. */
export interface DrawnTokens {
  /** -1 where there was nothing to draw from: no finite logit that is allowed, or one that is no number. */
  readonly ids: Int32Array
  /** If they were asked for. */
  readonly odds?: readonly TokenOdds[]
}

const SMALLEST_NORMAL = 2 ** -126
const LARGEST_FLOAT = (2 - 2 ** -23) * 2 ** 127
const MAX_INT = 2 ** 31 - 1

/** The words that sample's `settings` has for a row. */
export function settingWords({ settings, seed, sequence = 0 }: TokenDraw): Int32Array {
  const { temperature, topK, topP, minP } = settings
  const words = new Int32Array(SETTING_WORDS)
  const floats = new Float32Array(words.buffer)
  const inverse = Math.min(Math.max(1 / temperature, SMALLEST_NORMAL), LARGEST_FLOAT)
  floats[SETTING.inverse] = inverse
  floats[SETTING.widest] = minP > 0 ? Math.min(-Math.log(minP), WIDEST_GAP) : WIDEST_GAP
  words[SETTING.topK] = temperature === 0 ? 1 : Math.min(topK, MAX_INT)
  words[SETTING.topP] = Math.max(1, Math.round(topP * TOP_P_ONE))
  words[SETTING.seedLow] = seed
  words[SETTING.seedHigh] = Math.floor(seed / 2 ** 32)
  words[SETTING.sequence] = sequence
  return words
}

/** Whether two rows are drawn alike but for what is allowed. */
export function isDrawnAlike(a: TokenDraw, b: TokenDraw): boolean {
  const names = ['settings', 'seed', 'sequence', 'answerStart', 'biases'] as const
  return names.every((name) => a[name] === b[name])
}

/** Whether a row's penalties change any logit. */
export function isPenalised({ settings }: TokenDraw): boolean {
  const { repetitionPenalty, frequencyPenalty, presencePenalty } = settings
  return repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0
}

/** The floats that adjust-logits has for a row's penalties. */
export function penaltyFloats({ settings, answerStart }: TokenDraw): Float32Array {
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = settings
  const floats = new Float32Array(PENALTY_FLOATS)
  floats.set([repetitionPenalty, presencePenalty, frequencyPenalty, answerStart])
  return floats
}
