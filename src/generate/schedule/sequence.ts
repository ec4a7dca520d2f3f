/**
 * One sequence on its way: its tokens, how many of them are in the cache, what may follow them, the
 * text they make, and why it ended. It knows nothing of engines; the scheduler feeds its tokens and guesses,
 * and hands it what was drawn.
 */
import { notComputed } from '../../checks.ts'
import type { DrawnTokens, TokenDraw, TokenLogProb, TokenOdds } from '../../model/token-draw.ts'
import type { TextTokenizer, TokenStream } from '../../tokenizer/text-tokenizer.ts'
import type {
  BackendReport,
  FinishReason,
  GenerateResult,
  SpeculationReport,
  TokenEvent,
  TokenLogprobs,
  TokenProbability,
} from '../options.ts'
import { seedAt } from '../sample/random.ts'
import type { AnswerGrammar, AnswerMatcher } from '../schema/answer-grammar.ts'
import type { AnswerSchema } from '../schema/answer-schema.ts'
import { type GuessCost, type Guesser, guessCost } from '../speculate/speculation.ts'
import { StopStrings, specialsIn } from '../stop-strings.ts'
import type { ResolvedOptions } from '../validate-options.ts'
import { type JobResults, type Leader, pendingOf } from './job.ts'

/** Seeds of a sequence that goes on in a shorter text lie so far from those of its neighbours. */
const SHIFT_DISTANCE = 2 ** 40

export interface SequenceFacts {
  readonly promptIds: readonly number[]
  readonly options: ResolvedOptions
  /** Positions there are for prompt and answer together; more than the prompt has. */
  readonly positions: number
  readonly tokenizer: TextTokenizer
  /** What the answer is held to; undefined for any text. */
  readonly grammar?: AnswerGrammar | undefined
  readonly guesser?: Guesser | undefined
  /** Most guesses that a pass can check. */
  readonly maxGuesses: number
  /**
   * What to go on with where `positions` are full: the tokens of a shorter text, and where the answer begins in
   * it. Unset: the answer ends there.
   */
  readonly shift?: ((full: FullContext) => FullContext) | undefined
  /** A sequence with the same prompt, which computes it for both. */
  readonly leader?: Sequence | undefined
  /** Told when the sequence is ready again after it was not. */
  readonly wake: () => void
  /** Aborts when the sequence is to end. */
  readonly signal: AbortSignal
  /** Told of each token, and of text that the answer grows by. */
  readonly emit?: ((text: string, token?: Omit<TokenEvent, 'text'>) => void) | undefined
  /** Whether so much is unread that the sequence had better wait. */
  readonly isBehind?: (() => boolean) | undefined
}

export interface FullContext {
  readonly tokens: readonly number[]
  /** Where the answer begins in them, or what is left of it. */
  readonly answerStart: number
}

export class Sequence implements Leader {
  readonly kind = 'draws'
  /** The prompt, then what was drawn, an end token included. */
  readonly tokens: number[]
  /** How many of `tokens`, from the first, are in the cache. */
  fed = 0
  /** What may follow `tokens`; the next pass checks it. Empty while more than one token is pending. */
  guesses: readonly number[] = []
  readonly positions: number
  readonly #facts: SequenceFacts
  readonly #maxTokens: number
  /** How its tokens are drawn, but for what is allowed. */
  #draw: TokenDraw
  readonly #stream: TokenStream
  readonly #stops: StopStrings
  readonly #matcher: AnswerMatcher | undefined
  /** Names of the special tokens that stop strings have in them. */
  readonly #specials: ReadonlyMap<number, string>
  readonly #answer: number[] = []
  /** One for each of the answer, if they are asked for. */
  readonly #logprobs: TokenLogprobs[] = []
  /** Whether `tokens` are others than those that were fed. */
  #mustBeginAgain = false
  #shifts = 0
  #droppedTokens = 0
  /** Tokens that were drawn, an end token included. */
  #drawn = 0
  /** Guesses that were checked, those of them that were right, and passes that gave tokens. */
  #proposed = 0
  #accepted = 0
  #passes = 0
  /** What was taken and not told yet. */
  #untold: { readonly id: number; readonly odds: TokenOdds | undefined }[] = []
  #text = ''
  #finishReason: FinishReason | undefined
  /** Prompt tokens that were computed before. */
  #cachedTokens: number | undefined
  /** Settles when the guesser knows the prompt. */
  #prepared: Promise<void> | undefined
  #isGuessing = false
  /** Whether `guesses` are those for the end of `tokens`. */
  #hasGuessed = false
  #guessFailure: { readonly error: unknown } | undefined
  #beganAt: number | undefined
  #firstAt: number | undefined
  #lastAt: number | undefined

  constructor(facts: SequenceFacts) {
    const { promptIds, options, tokenizer } = facts
    this.#facts = facts
    this.positions = facts.positions
    this.tokens = [...promptIds]
    const { sampling: settings, seed, logitBias } = options
    this.#draw = { settings, seed, answerStart: promptIds.length, biases: new Map(logitBias) }
    const room = facts.positions - promptIds.length
    this.#maxTokens = facts.shift ? options.maxTokens : Math.min(options.maxTokens, room)
    this.#stream = tokenizer.stream()
    this.#stops = new StopStrings(options.stop)
    this.#matcher = facts.grammar?.matcher(this.#maxTokens)
    this.#specials = specialsIn(options.stop, tokenizer)
  }

  get finished(): boolean {
    return this.#finishReason !== undefined
  }

  /** Whether the context was full, and a part of the text is gone. */
  get isShifted(): boolean {
    return this.#shifts > 0
  }

  /** Generated ids that the context still has, without an end token. */
  get shownIds(): readonly number[] {
    const end = this.tokens.length - (this.#drawn - this.#answer.length)
    return this.tokens.slice(this.#draw.answerStart, end)
  }

  /** True if a stop string cut the text, so that the ids say more than the text. */
  get cutByStopString(): boolean {
    return this.#stops.stopped
  }

  get mustBeginAgain(): boolean {
    return this.#mustBeginAgain
  }

  /** What the answer is held to. */
  get schema(): AnswerSchema | undefined {
    return this.#facts.options.schema
  }

  /** Whether what was drawn is all of an answer by the schema. */
  get isWholeAnswer(): boolean {
    return this.#matcher?.isWhole(this.#answer) === true
  }

  get leader(): Sequence | undefined {
    return this.#facts.leader
  }

  get computedBeginning(): number | undefined {
    const common = this.#facts.promptIds.length - 1
    const isThere = this.finished || (this.#shifts === 0 && this.fed >= common)
    return isThere ? common : undefined
  }

  get isReady(): boolean {
    return !this.#isGuessing && this.#facts.isBehind?.() !== true
  }

  get likeliest(): number | undefined {
    return this.#facts.options.logprobs
  }

  get steps(): number {
    const { guesser, options } = this.#facts
    const looks = (this.#matcher ?? guesser ?? options.logprobs) !== undefined
    if (looks || this.#drawn === 0) return 1 // the first is waited for
    const left = this.#maxTokens - this.#answer.length
    // What goes on behind full positions goes on with a shorter text.
    return Math.max(1, Math.min(left, this.positions - this.tokens.length))
  }

  drawAt(position: number): TokenDraw {
    if (this.#matcher === undefined) return this.#draw
    const guesses = this.guesses.slice(0, position + 1 - this.tokens.length)
    return { ...this.#draw, allowed: this.#matcher.allowed([...this.#answer, ...guesses]) }
  }

  /** The last token is always computed: its logits give the next one. */
  begin(cached: number): void {
    this.fed = Math.min(cached, this.tokens.length - 1)
    this.#mustBeginAgain = false
    this.#beganAt ??= performance.now()
    this.#cachedTokens ??= this.fed
    const { guesser, signal } = this.#facts
    this.#prepared ??= guesser?.prepare(this.tokens, signal)
    this.#prepared?.catch(() => undefined) // told when guesses are asked for
  }

  wants(position: number): boolean {
    return position === this.tokens.length - 1
  }

  /** Guesses that are drawn take their time, and are then as many as if the sequence were alone. */
  guess(room: number, cost: GuessCost): void {
    const { guesser, maxGuesses, signal } = this.#facts
    if (guesser === undefined || this.#hasGuessed) return
    this.#hasGuessed = true
    // A pass gives one token more than it has right guesses.
    const left = this.#maxTokens - this.#answer.length
    const needed = Math.min(left, this.positions - this.tokens.length) - 1
    const limit = Math.min(guesser.isDrawn ? maxGuesses : room, needed)
    if (limit < 1) return
    const { tokens } = this
    const request = { tokens, limit, draw: this.#draw, signal }
    if (guesser.isDrawn) {
      this.#isGuessing = true
      void this.#takeGuesses(async () => {
        await this.#prepared
        return guesser.guess({ ...request, cost: guessCost(1) })
      })
    } else this.guesses = guesser.guess({ ...request, cost })
  }

  async #takeGuesses(guess: () => Promise<readonly number[]>): Promise<void> {
    try {
      this.guesses = await guess()
    } catch (error) {
      this.#guessFailure = { error }
    } finally {
      this.#isGuessing = false
      this.#facts.wake()
    }
  }

  /**
   * Takes the token after the last one, and those after the guesses as far as they are right.
   *
   * @param results drawn behind the last token and each guess, or of several steps; nothing while the prompt is
   *   computed
   */
  accept({ tokens, steps }: JobResults): void {
    if (this.#guessFailure !== undefined) throw this.#guessFailure.error
    if (pendingOf(this) > 0) return
    this.#check(tokens, steps > 1)
    this.guesses = []
    this.#hasGuessed = false
    if (!this.finished && this.tokens.length >= this.positions) this.#shift()
  }

  /** Goes on with a shorter text, and with other random numbers: places come again that had theirs. */
  #shift(): void {
    const { shift, options } = this.#facts
    if (shift === undefined) return
    const { answerStart } = this.#draw
    const next = shift({ tokens: this.tokens, answerStart })
    this.#mustBeginAgain = true
    this.#shifts++
    const answered = this.tokens.length - answerStart
    this.#droppedTokens += answered - (next.tokens.length - next.answerStart)
    this.tokens.splice(0, this.tokens.length, ...next.tokens)
    const seed = seedAt(options.seed, this.#shifts * SHIFT_DISTANCE)
    this.#draw = { ...this.#draw, seed, answerStart: next.answerStart }
  }

  #check({ ids, odds }: DrawnTokens, areAllRight: boolean): void {
    this.#passes++
    this.#proposed += this.guesses.length
    for (let row = 0; row < ids.length; row++) {
      const id = ids[row]
      this.#take(id, odds?.[row])
      if (row === ids.length - 1) return
      if (!areAllRight) {
        if (id !== this.guesses[row]) return
        this.#accepted++
      }
      if (this.finished) return
      this.fed++ // it is in the cache already
    }
  }

  /** Adds a drawn token to the answer, unless it ends the answer. */
  #take(id: number, odds: TokenOdds | undefined): void {
    if (id < 0)
      throw notComputed('finite logits to draw a token from', 'none, or one that is no number')
    this.tokens.push(id)
    this.#drawn++
    this.#lastAt = performance.now()
    this.#firstAt ??= this.#lastAt
    const { tokenizer, options } = this.#facts
    if (tokenizer.stopIds.includes(id) || options.stopTokens.includes(id)) {
      this.finish('stop')
      return
    }
    this.#answer.push(id)
    this.#untold.push({ id, odds })
    // Whether these end the answer is not known before.
    if (options.stop.length > 0) this.tell()
    if (this.#stops.stopped || this.#matcher?.isDone(this.#answer)) this.finish('stop')
    else if (this.#answer.length >= this.#maxTokens) this.finish('length')
  }

  tell(): void {
    for (const { id, odds } of this.#untold.splice(0)) this.#write(id, odds)
  }

  /** Adds what a token says to the text. */
  #write(id: number, odds: TokenOdds | undefined): void {
    const { options } = this.#facts
    let logprobs: TokenLogprobs | undefined
    if (odds !== undefined && options.logprobs !== undefined) {
      const top = odds.likeliest.slice(0, options.logprobs).map((one) => this.#named(one))
      logprobs = { ...this.#named(odds), top }
      this.#logprobs.push(logprobs)
    }
    const special = this.#specials.get(id)
    const text = this.#stops.push(this.#stream.push(id))
    this.#add(special === undefined ? text : text + this.#stops.push(special, true), {
      id,
      ...(logprobs && { logprobs }),
    })
  }

  #named({ id, logProb: logprob }: TokenLogProb): TokenProbability {
    return { id, token: this.#facts.tokenizer.tokenText(id), logprob }
  }

  /** Ends the sequence and emits the text that was held back. */
  finish(reason: FinishReason): void {
    if (this.finished) return
    this.tell()
    this.#add(this.#stops.push(this.#stream.end()))
    this.#add(this.#stops.end())
    this.#finishReason = this.#stops.stopped ? 'stop' : reason
  }

  /** Ends the sequence after a failure: no text comes any more, and nobody may wait for it. */
  giveUp(): void {
    this.tell()
    this.#finishReason ??= 'cancelled'
  }

  result(backend: BackendReport, loadMs: number): GenerateResult {
    const { promptIds, options, guesser } = this.#facts
    const cachedTokens = this.#cachedTokens ?? 0
    const prompt = promptIds.length
    const completion = this.#answer.length
    const prefillMs = spanMs(this.#beganAt, this.#firstAt)
    const decodeMs = spanMs(this.#firstAt, this.#lastAt)
    // Every token drawn after the first counts, the end token too.
    const decoded = Math.max(0, this.#drawn - 1)
    return {
      text: this.#text,
      tokenIds: [...this.#answer],
      promptTokenIds: promptIds,
      ...(options.logprobs !== undefined && { logprobs: this.#logprobs }),
      finishReason: this.#finishReason ?? 'cancelled',
      ...(this.#droppedTokens > 0 && { droppedTokens: this.#droppedTokens }),
      usage: {
        promptTokens: prompt,
        completionTokens: completion,
        totalTokens: prompt + completion,
        cachedTokens,
      },
      timings: {
        loadMs,
        prefillMs,
        decodeMs,
        prefillTokensPerSecond: perSecond(prompt - cachedTokens, prefillMs),
        decodeTokensPerSecond: perSecond(decoded, decodeMs),
      },
      backend,
      seed: options.seed,
      ...(guesser && { speculation: this.#speculation() }),
    }
  }

  #speculation(): SpeculationReport {
    const proposed = this.#proposed
    const accepted = this.#accepted
    const acceptanceRate = proposed > 0 ? accepted / proposed : 0
    return { proposed, accepted, acceptanceRate, passes: this.#passes }
  }

  #add(text: string, token?: Omit<TokenEvent, 'text'>): void {
    this.#text += text
    this.#facts.emit?.(text, token)
  }
}

function spanMs(from: number | undefined, to: number | undefined): number {
  return from === undefined || to === undefined ? 0 : to - from
}

function perSecond(count: number, ms: number): number {
  return ms > 0 ? (1000 * count) / ms : 0
}
