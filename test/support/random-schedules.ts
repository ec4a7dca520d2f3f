/**
 * For tests: random schedules of everything that runs on a model, on a mock engine whose answers are a
 * function of the tokens alone. Whatever comes when, is cancelled or loses its memory, each result must be
 * what it is when nothing else runs, nothing may be left behind, and all must end.
 */
import type { GenerateOptions, GenerateResult } from '../../src/generate/options.ts'
import { MockEngine } from './mock-engine.ts'
import { LeaningEngine, mockModel } from './mock-model.ts'

/** Numbers below a bound, from a seed: the high bits of a linear congruential generator. */
function randomFrom(seed: number): (below: number) => number {
  let state = (Math.imul(seed, 0x9e3779b9) ^ 0x85ebca6b) >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

type Random = ReturnType<typeof randomFrom>

/** A request, as a function of a model. */
interface Plan {
  readonly kind: 'generate' | 'batch' | 'chat' | 'embed'
  readonly texts: readonly string[]
  readonly options: GenerateOptions
  /** Who guesses: the model itself, or one that leans another way. */
  readonly draft: 'none' | 'self' | 'other'
  /** After so many passes it comes, and after so many more it is given up. */
  readonly arrival: number
  readonly patience: number | undefined
  /** Whether its text is read, how slowly, and after how many pieces reading breaks off. */
  readonly reading: { readonly pause: number; readonly pieces: number } | undefined
}

type Answer = Pick<GenerateResult, 'text' | 'tokenIds' | 'finishReason'>

const WORDS = ['ab', 'tea', 'x', 'the same long beginning of many prompts, ', 'why', 'zebra ', '']

function planFrom(random: Random): Plan {
  const pick = <T>(from: readonly T[]): T => from[random(from.length)]
  const textOf = () => Array.from({ length: 1 + random(3) }, () => pick(WORDS)).join('')
  const kind = pick(['generate', 'generate', 'generate', 'batch', 'chat', 'embed'] as const)
  const speculate = random(4) === 0
  return {
    kind,
    texts: Array.from({ length: kind === 'generate' ? 1 : 1 + random(3) }, textOf),
    options: {
      seed: random(1000),
      maxTokens: random(8) === 0 ? 1 + random(400) : 1 + random(24),
      temperature: pick([0, 0.8, 1.2]),
      priority: pick([0, 0, 0, 1, -1]),
      ...(random(3) === 0 && { stop: [pick(['e', 'st', 'zz'])] }),
      ...(random(5) === 0 && { stopTokens: [97 + random(26)] }),
      ...(random(5) === 0 && { repetitionPenalty: 1.3 }),
      ...(random(4) === 0 && { client: pick(['one', 'two']) }),
      ...(speculate && { speculate }),
      ...(random(4) === 0 && { contextShift: true }),
    },
    draft: kind !== 'batch' && random(6) === 0 ? pick(['self', 'other']) : 'none',
    arrival: random(3) === 0 ? 0 : random(40),
    patience: random(4) === 0 ? random(20) : undefined,
    reading: random(4) === 0 ? { pause: random(3), pieces: 1 + random(20) } : undefined,
  }
}

/** What a request gives when it is alone, but for embeddings, whose numbers stand for text. */
async function answersTo(
  model: ReturnType<typeof mockModel>,
  { kind, texts, options, draft, reading }: Plan,
  signal?: AbortSignal,
): Promise<readonly Answer[]> {
  const { contextLength } = model.config
  const drafts = { self: model, other: mockModel(new LeaningEngine({ contextLength })) }
  const guesser = draft === 'none' ? {} : { draft: drafts[draft] }
  const all = { ...options, ...guesser, ...(signal && { signal }) }
  if (kind === 'batch') return model.generateBatch(texts, { ...all, parallel: 2 })
  if (kind === 'embed') {
    const vectors = await model.embed(texts, signal && { signal })
    return vectors.map((vector) => ({ text: vector.join(), tokenIds: [], finishReason: 'stop' }))
  }
  if (kind === 'generate') {
    const generation = model.generate(texts[0], all)
    if (reading !== undefined && signal !== undefined) {
      let left = reading.pieces
      for await (const _ of generation) {
        for (let i = 0; i < reading.pause; i++) await new Promise(setImmediate)
        if (--left === 0) break
      }
    }
    return [await generation.result]
  }
  const session = model.chat()
  const results: Answer[] = []
  for (const text of texts) {
    const result = await session.send(text, all).result
    results.push(result)
    if (result.finishReason === 'cancelled') break
  }
  session.dispose()
  return results
}

/**
 * Runs one schedule.
 *
 * @returns what is wrong, a sentence each; nothing if all is well
 */
export async function runSchedule(seed: number): Promise<readonly string[]> {
  const random = randomFrom(seed)
  const maxRows = 1 + random(24)
  // In a short one answers of several hundred tokens go on with a part of the text, or end.
  const shape = { maxRows, contextLength: random(3) === 0 ? 256 : 512 }
  const maxSteps = [1, 4, 16][random(3)]
  const engine = new MockEngine({ ...shape, maxSteps, blocks: 3 + random(6) })
  const model = mockModel(engine)
  const plans = Array.from({ length: 1 + random(10) }, () => planFrom(random))
  const wrong: string[] = []

  const runs = plans.map((plan) => ({ plan, controller: new AbortController() }))
  const begun: (() => void)[] = []
  const arrivals = runs.map(() => new Promise<void>((resolve) => begun.push(resolve)))
  const arrive = (pass: number): void => {
    for (const [i, { plan, controller }] of runs.entries()) {
      if (pass >= plan.arrival) begun[i]()
      if (plan.patience !== undefined && pass >= plan.arrival + plan.patience) controller.abort()
    }
  }
  engine.beforePass = async (pass) => {
    arrive(pass)
    if (random(3) === 0) await new Promise(setImmediate)
  }
  arrive(0)
  const ended = Promise.all(
    runs.map(async ({ plan, controller }, i) => {
      await arrivals[i]
      const got = await answersTo(model, plan, controller.signal).catch((error: unknown) => error)
      if (!Array.isArray(got)) {
        if (!controller.signal.aborted) wrong.push(`request ${i} failed: ${String(got)}`)
        return
      }
      const expected = await answersTo(mockModel(new MockEngine(shape)), plan)
      for (const [j, answer] of (got as readonly Answer[]).entries()) {
        const isCut = answer.finishReason === 'cancelled'
        const same = isCut
          ? expected[j].tokenIds.slice(0, answer.tokenIds.length).join() === answer.tokenIds.join()
          : expected[j].text === answer.text && expected[j].finishReason === answer.finishReason
        if (!same) wrong.push(`request ${i}, answer ${j}: another text than alone`)
        const mayBeCut = controller.signal.aborted || plan.reading !== undefined
        if (isCut && !mayBeCut) wrong.push(`request ${i}, answer ${j} was cancelled by nobody`)
      }
    }),
  )
  // Where nothing runs no pass brings the next arrival.
  let isOver = false
  void ended.finally(() => {
    isOver = true
  })
  for (let idle = 0, pass = 0; !isOver; ) {
    await new Promise(setImmediate)
    if (engine.passes.length > pass) [pass, idle] = [engine.passes.length, 0]
    else if (++idle > 20) arrive(Number.POSITIVE_INFINITY)
    const { waiting, running } = model.stats()
    if (waiting + running === 0) continue // what is alone runs on engines of its own
    if (idle > 5000) return [...wrong, `not all ended: ${JSON.stringify(model.stats())}`]
  }
  // A draft's last pass may still run for an answer that was given up.
  await model.dispose()
  const { waiting, running } = model.stats()
  if (waiting + running > 0) wrong.push(`${waiting} wait and ${running} run at the end`)
  const { sequences, blocks, free, kept } = engine.cache.stats
  if (sequences > 0) wrong.push(`${sequences} sequences are left`)
  if (free + kept < blocks) wrong.push(`of ${blocks} blocks ${free} are free and ${kept} kept`)
  return wrong
}
