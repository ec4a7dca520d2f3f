/** Several answers as they come, told apart by their numbers. */
import type { GenerateResult, TokenEvent } from '../../generate/options.ts'
import type { Answer } from '../desk.ts'

export interface Piece {
  readonly index: number
  readonly token?: TokenEvent
  /** With the last piece of an answer. */
  readonly result?: GenerateResult
}

/** Ends all answers when it is ended. */
export function merged(answers: readonly Answer[]): AsyncGenerator<Piece, void> {
  return answers.length === 1 ? alone(answers[0]) : raced(answers)
}

async function* raced(answers: readonly Answer[]): AsyncGenerator<Piece, void> {
  const next = async (index: number) => ({ index, ...(await answers[index].next()) })
  const pending = new Map(answers.map((_, index) => [index, next(index)]))
  try {
    while (pending.size > 0) {
      const { index, done, value } = await Promise.race(pending.values())
      if (done === true) {
        pending.delete(index)
        yield { index, result: value }
      } else {
        pending.set(index, next(index))
        yield { index, token: value }
      }
    }
  } finally {
    for (const one of pending.values()) one.catch(() => undefined)
    await Promise.all(
      answers.map((answer) => answer.return(undefined as never).catch(() => undefined)),
    )
  }
}

async function* alone(answer: Answer): AsyncGenerator<Piece, void> {
  try {
    for (;;) {
      const { done, value } = await answer.next()
      if (done === true) return yield { index: 0, result: value }
      yield { index: 0, token: value }
    }
  } finally {
    await answer.return(undefined as never).catch(() => undefined)
  }
}
