/** Results in OpenAI's words. */
import type { FinishReason, GenerateResult, TokenLogprobs } from '../../generate/options.ts'

export interface UsageBody {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
  readonly prompt_tokens_details: { readonly cached_tokens: number }
}

/** Of all answers to one prompt: it is counted once. */
export function usageOf(results: readonly GenerateResult[]): UsageBody {
  const [first] = results
  const prompt = first?.usage.promptTokens ?? 0
  const completion = results.reduce((sum, { usage }) => sum + usage.completionTokens, 0)
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: first?.usage.cachedTokens ?? 0 },
  }
}

/** An answer that was cut by the server's time limit has come as far as a length allows. */
export function finishReasonOf(reason: FinishReason): 'stop' | 'length' {
  return reason === 'stop' ? 'stop' : 'length'
}

/** Tokens with their probabilities, as chat completions have them; null where none were asked for. */
export function logprobsOf(logprobs: readonly TokenLogprobs[] | undefined) {
  if (logprobs === undefined) return null
  const entryOf = ({ token, logprob }: { token: string; logprob: number }) => ({
    token,
    logprob,
    bytes: [...new TextEncoder().encode(token)],
  })
  return {
    content: logprobs.map((one) => ({ ...entryOf(one), top_logprobs: one.top.map(entryOf) })),
  }
}
