/**
 * Drawing on the backend: the memory that the operations of a draw need beside the logits, what is written
 * to it before a pass, and the commands behind the head.
 */
import type { Backend } from '../backends/backend.ts'
import { PENALTY_FLOATS } from '../kernels/adjust-logits/reference.ts'
import { DRAWN_FLOATS } from '../kernels/log-probs/reference.ts'
import type { Command } from '../kernels/ops.ts'
import { SETTING_WORDS } from '../kernels/sample/reference.ts'
import { type BufferSlice, type DeviceBuffer, sliceOf } from '../kernels/slice.ts'
import { padToTile } from '../ternary/index.ts'
import { type BufferOwner, bytesOf } from './buffer-owner.ts'
import type { LookedHead } from './head-look.ts'
import { wordsOf } from './program-cache.ts'
import {
  type DrawnTokens,
  isDrawnAlike,
  isPenalised,
  penaltyFloats,
  settingWords,
  type TokenDraw,
  type TokenOdds,
} from './token-draw.ts'

/** Tokens of a row that may be drawn before they are read. */
export const MAX_STEPS = 16

/** What a recording with draws depends on. */
export interface DrawShape {
  readonly rows: number
  /** Biases that each row has room for; 0 for none. */
  readonly biases: number
  readonly isPenalised: boolean
  readonly isMasked: boolean
  /** Tokens named beside the drawn one; undefined where no probabilities are wanted. */
  readonly likeliest: number | undefined
  /** Tokens of each row, drawn one after another. */
  readonly steps: number
  /** Whether they are drawn from what enters the head, without the logits. */
  readonly isLooked: boolean
}

/** What the pass brings along. */
export interface DrawInputs {
  /** (rows, vocabSize) */
  readonly logits: DeviceBuffer
  readonly step: DeviceBuffer
  /** The row of the pass that each row of logits is of. */
  readonly index: DeviceBuffer
  /** The tokens of the cache's sequences, (slots, capacity). */
  readonly history: DeviceBuffer
  readonly capacity: number
  /** For draws without logits: the head, and what enters it, (rows, dim). */
  readonly head?: (LookedHead & { readonly x: DeviceBuffer }) | undefined
}

interface Room {
  readonly rows: number
  readonly biases: number
  readonly likeliest: number
  readonly isAdjusted: boolean
  readonly isMasked: boolean
}

interface Buffers {
  readonly settings: DeviceBuffer
  readonly tokens: DeviceBuffer
  /** Penalties and biases. */
  readonly amounts: DeviceBuffer
  /** Logits after biases, penalties and mask. */
  readonly scores: DeviceBuffer | undefined
  readonly mask: DeviceBuffer | undefined
  readonly biasTokens: DeviceBuffer | undefined
  readonly odds: DeviceBuffer | undefined
  readonly ids: DeviceBuffer | undefined
}

const NO_ROOM: Room = { rows: 0, biases: 0, likeliest: 0, isAdjusted: false, isMasked: false }

export class TokenSampler {
  readonly #backend: Backend
  readonly #owner: BufferOwner
  readonly #vocabSize: number
  /** A mask of every token. */
  readonly #all: Uint32Array
  #room = NO_ROOM
  #buffers: Buffers | undefined
  /** What the buffers of settings hold: most steps draw as the one before. */
  #written: { readonly draws: readonly TokenDraw[]; readonly words: string } | undefined

  constructor(owner: BufferOwner, vocabSize: number) {
    this.#backend = owner.backend
    this.#owner = owner
    this.#vocabSize = vocabSize
    this.#all = new Uint32Array(maskWords(vocabSize)).fill(0xffffffff)
  }

  shapeOf(
    draws: readonly TokenDraw[],
    likeliest: number | undefined,
    steps = 1,
    isLooked = false,
  ): DrawShape {
    const most = draws.reduce((count, { biases }) => Math.max(count, biases?.size ?? 0), 0)
    return {
      rows: draws.length,
      // Few sizes, so that recordings are used again.
      biases: most === 0 ? 0 : 2 ** Math.ceil(Math.log2(most)),
      isPenalised: draws.some(isPenalised),
      isMasked: draws.some(({ allowed }) => allowed !== undefined),
      likeliest,
      steps,
      isLooked,
    }
  }

  /** Makes room for a shape; true if memory moved, so that recordings must go. */
  makeRoom(shape: DrawShape): boolean {
    const had = this.#room
    const wanted: Room = {
      rows: shape.rows <= had.rows ? had.rows : Math.max(shape.rows, 2 * had.rows),
      biases: Math.max(shape.biases, had.biases),
      likeliest: Math.max(shape.likeliest === undefined ? 0 : countOf(shape), had.likeliest),
      isAdjusted: (isAdjusted(shape) && !shape.isLooked) || had.isAdjusted,
      isMasked: shape.isMasked || had.isMasked,
    }
    const keys = Object.keys(NO_ROOM) as (keyof Room)[]
    if (this.#buffers && keys.every((key) => wanted[key] === had[key])) return false
    for (const buffer of Object.values(this.#buffers ?? {})) if (buffer) this.#owner.free(buffer)
    this.#buffers = undefined // what follows may find no memory
    this.#written = undefined
    this.#owner.allTogether(() => {
      this.#buffers = this.#allocate(wanted)
    })
    this.#room = wanted
    return true
  }

  #allocate({ rows, biases, likeliest, isAdjusted, isMasked }: Room): Buffers {
    const words = (count: number, label: string) => this.#owner.allocate(rows * count * 4, label)
    const cols = this.#vocabSize
    const tokens = [{ name: 'token', limit: cols }]
    return {
      settings: words(SETTING_WORDS, 'draw settings'),
      tokens: this.#owner.allocate(MAX_STEPS * padToTile(rows) * 4, 'drawn tokens'),
      amounts: words(PENALTY_FLOATS + Math.max(1, biases), 'penalties and biases'),
      scores: isAdjusted ? words(cols, 'adjusted logits') : undefined,
      mask: isMasked ? words(maskWords(cols), 'allowed tokens') : undefined,
      biasTokens: biases
        ? this.#owner.allocateIndices(rows * biases, tokens, 'biased tokens')
        : undefined,
      odds: likeliest ? words(DRAWN_FLOATS + likeliest, 'odds') : undefined,
      ids: likeliest ? words(likeliest, 'likeliest tokens') : undefined,
    }
  }

  /** Writes what the draws say, unless it is there; {@link makeRoom} was called with their shape. */
  write(draws: readonly TokenDraw[], shape: DrawShape): void {
    const { rows, biases, isPenalised, isMasked } = shape
    const written = { draws: [...draws], words: wordsOf({ rows, biases, isPenalised, isMasked }) }
    const before = this.#written?.words === written.words ? this.#written.draws : []
    if (draws.every((draw, i) => draw === before[i])) return
    const isOtherMask = draws.every((draw, i) => before[i] && isDrawnAlike(draw, before[i]))
    this.#written = undefined
    const { settings, amounts, mask, biasTokens } = this.#memory
    const put = (
      to: DeviceBuffer | undefined,
      all: Int32Array | Float32Array | Uint32Array,
      of: (draw: TokenDraw) => ArrayLike<number>,
    ) => {
      for (const [row, draw] of draws.entries()) all.set(of(draw), (row * all.length) / rows)
      if (to) this.#backend.write(to, 0, bytesOf(all))
    }
    if (!isOtherMask) put(settings, new Int32Array(rows * SETTING_WORDS), settingWords)
    if (isAdjusted(shape) && !isOtherMask) {
      const each = PENALTY_FLOATS + countOfBiases(shape)
      put(amounts, new Float32Array(rows * each), (draw) => [
        ...penaltyFloats(draw),
        ...(draw.biases?.values() ?? []),
      ])
    }
    if (isMasked) {
      const all = this.#all
      put(mask, new Uint32Array(rows * all.length), ({ allowed = all }) => allowed)
    }
    if (biases > 0 && !isOtherMask) {
      put(biasTokens, new Int32Array(rows * biases), (draw) => [...(draw.biases?.keys() ?? [])])
    }
    this.#written = written
  }

  /** @param at which of the shape's steps it is */
  commands(shape: DrawShape, inputs: DrawInputs, at = 0): Command[] {
    const { settings, amounts, scores, mask, biasTokens, odds, ids } = this.#memory
    const { step, index, history, capacity } = inputs
    const { rows } = shape
    const tokens = this.#tokensOf(rows, at)
    const cols = this.#vocabSize
    const commands: Command[] = []
    const adjustments = {
      ...{ step, index, biasCount: countOfBiases(shape), amounts, capacity },
      biasTokens: shape.biases > 0 ? biasTokens : undefined,
      history: shape.isPenalised ? history : undefined,
      mask: shape.isMasked ? mask : undefined,
    }
    if (shape.isLooked && inputs.head) {
      return [{ op: 'head-draw', rows, ...inputs.head, settings, ...adjustments, tokens }]
    }
    let { logits } = inputs
    if (isAdjusted(shape) && scores) {
      commands.push({ op: 'adjust-logits', rows, cols, logits, ...adjustments, out: scores })
      logits = scores
    }
    commands.push({ op: 'sample', rows, cols, logits, settings, step, index, tokens })
    if (odds && ids && shape.likeliest !== undefined) {
      const count = countOf(shape)
      const drawn = { logits: inputs.logits, tokens, out: odds, ids }
      commands.push({ op: 'log-probs', rows, cols, count, ...drawn })
    }
    return commands
  }

  /** The same where another step follows, which feeds what is drawn. */
  stepCommands(shape: DrawShape, inputs: DrawInputs, at: number): Command[] {
    const { rows } = shape
    const { step, index, capacity: positionLimit } = inputs
    const tokens = this.#tokensOf(rows, at)
    return [
      ...this.commands(shape, inputs, at),
      { op: 'next-step', rows, tokenLimit: this.#vocabSize, positionLimit, step, index, tokens },
    ]
  }

  /** Where the tokens of a step are. */
  #tokensOf(rows: number, at: number): BufferSlice {
    return sliceOf(this.#memory.tokens, at * padToTile(rows) * 4, rows * 4)
  }

  async read(shape: DrawShape): Promise<DrawnTokens> {
    const { rows, likeliest, steps } = shape
    if (rows === 0) {
      await this.#backend.done()
      return { ids: new Int32Array(0) }
    }
    const { tokens, odds, ids } = this.#memory
    const stride = padToTile(rows)
    const words = new Int32Array(await this.#read(tokens, (steps - 1) * stride + rows))
    const drawn = words.filter((_, i) => i % stride < rows)
    if (likeliest === undefined || odds === undefined || ids === undefined) return { ids: drawn }
    const count = countOf(shape)
    const values = new Float32Array(await this.#read(odds, rows * (DRAWN_FLOATS + count)))
    const best = new Int32Array(await this.#read(ids, rows * count))
    const oddsOf = (row: number): TokenOdds => {
      const own = values.subarray(row * (DRAWN_FLOATS + count), (row + 1) * (DRAWN_FLOATS + count))
      const logSum = Math.log(own[1])
      const top = Array.from({ length: likeliest }, (_, i) => ({
        id: best[row * count + i],
        logProb: own[DRAWN_FLOATS + i] - logSum,
      }))
      return {
        id: drawn[row],
        logProb: own[0] - logSum,
        likeliest: top.filter(({ logProb }) => logProb !== -Infinity),
      }
    }
    return { ids: drawn, odds: Array.from(drawn, (_, row) => oddsOf(row)) }
  }

  get #memory(): Buffers {
    if (this.#buffers === undefined) throw new Error('Tokens are drawn before there is room.')
    return this.#buffers
  }

  async #read(buffer: DeviceBuffer, count: number): Promise<ArrayBuffer> {
    const bytes = await this.#backend.read(sliceOf(buffer, 0, count * 4))
    return bytes.slice().buffer as ArrayBuffer
  }
}

function isAdjusted({ biases, isPenalised, isMasked }: DrawShape): boolean {
  return biases > 0 || isPenalised || isMasked
}

/** Biases that each row has room for; adjust-logits takes no 0. */
function countOfBiases({ biases }: DrawShape): number {
  return Math.max(1, biases)
}

/** Tokens that log-probs names; it takes no 0. */
function countOf({ likeliest = 0 }: DrawShape): number {
  return Math.max(1, likeliest)
}

function maskWords(cols: number): number {
  return Math.ceil(cols / 32)
}
