/** What a sequence knows of the grammar that its answer is held to. */

/** Holds answers to something. */
export interface AnswerGrammar {
  /** For one answer of at most so many tokens. */
  matcher(maxTokens: number): AnswerMatcher
}

/** Is asked of the tokens of an answer, from its first on, guesses behind them included. */
export interface AnswerMatcher {
  /** What may follow, a bit a token (see TokenDraw); undefined for anything. */
  allowed(answer: readonly number[]): Uint32Array | undefined
  /** Whether the answer is whole, and nothing can follow. */
  isDone(answer: readonly number[]): boolean
  /** Whether the answer is whole, even if something could follow. */
  isWhole(answer: readonly number[]): boolean
}
