/**
 * For tests: an engine without weights, whose logits are a function of the tokens so far, and a
 * tokenizer of bytes. The engine is as strict as a real one about positions, slots and overlap.
 */
import { UsageError } from '../../src/errors.ts'
import { tokenScores } from '../../src/kernels/token-scores/reference.ts'
import type { ModelConfig } from '../../src/model/config/config.ts'
import type {
  DecodeEngine,
  PassResults,
  PassWants,
  RowBatch,
  ScoreTargets,
  TokenScores,
} from '../../src/model/engine.ts'
import type { Steps } from '../../src/steps.ts'
import type {
  ChatFormatOptions,
  ChatMessage,
  TextTokenizer,
  TokenStream,
} from '../../src/tokenizer/text-tokenizer.ts'
import { drawTokens } from './draw-tokens.ts'
import { MockSequenceCache } from './mock-cache.ts'

export const BOS = 256
export const EOT = 257
const ROLE_IDS = { user: 258, assistant: 259, system: 260, tool: 260 }
/** One token for the two bytes "ab", which a model may also write as two tokens. */
export const AB = 261
const VOCAB_SIZE = 262

/** Of a model that is not there. */
export const MOCK_CONFIG: ModelConfig = {
  architecture: 'mock',
  name: 'mock',
  dim: 16,
  nLayers: 1,
  nHeads: 1,
  nKvHeads: 1,
  headDim: 16,
  ffnDim: 16,
  vocabSize: 10,
  contextLength: 64,
  ropeTheta: 10000,
  normEps: 1e-5,
  activation: 'relu2',
  subNorms: true,
  tiedHead: true,
  linear: 'ternary',
}

/** Gives the token to prefer after `tokens`; undefined leaves it to a hash of them. */
type Script = (tokens: readonly number[]) => number | undefined

export class MockEngine implements DecodeEngine {
  readonly config: ModelConfig
  readonly maxRows: number
  readonly maxSteps: number
  /** All passes so far: how many rows each had, and for which slots. */
  readonly passes: { rows: number; slots: readonly number[] }[] = []
  readonly cache: MockSequenceCache
  /** Awaited in each pass, before anything is computed. */
  beforePass: (pass: number) => void | Promise<void> = () => undefined
  readonly #script: Script
  #inPass = false

  constructor(
    options: {
      maxRows?: number
      maxSteps?: number
      contextLength?: number
      blocks?: number
      script?: Script
      salt?: number
    } = {},
  ) {
    this.maxRows = options.maxRows ?? 16
    this.maxSteps = options.maxSteps ?? 1
    this.#script = options.script ?? (() => undefined)
    const contextLength = options.contextLength ?? 512
    this.config = { ...MOCK_CONFIG, vocabSize: VOCAB_SIZE, contextLength }
    const groups = [{ blocks: options.blocks ?? 64 }]
    const book = { contextLength, maxRows: this.maxRows, maxSequences: 64, groups }
    this.cache = new MockSequenceCache(book, options.salt ?? 0)
  }

  /** One pass, whose logits are all computed; or several, each over what the one before drew. */
  async step(batch: Omit<RowBatch, 'logitRows'>, wants: PassWants): Promise<PassResults> {
    const { draws, scores, vectors } = wants
    const { steps = 1 } = draws
    if (steps > 1) {
      const one = { ...wants, draws: { ...draws, steps: 1 } }
      const first = await this.step(batch, one)
      const tokens = first.tokens.ids
      const positions = Array.from(batch.positions, (position) => position + 1)
      const rest = await this.step(
        { slots: batch.slots, tokens, positions },
        { ...wants, draws: { ...draws, steps: steps - 1 } },
      )
      return { ...first, tokens: { ids: Int32Array.of(...tokens, ...rest.tokens.ids) } }
    }
    const drawn = draws.rows.length
    const scored = drawn + scores.rows.length
    const logitRows = [...draws.rows, ...scores.rows, ...vectors]
    const all = await this.forward({ ...batch, logitRows })
    const rowsOf = (from: number, to: number) => all.subarray(from * VOCAB_SIZE, to * VOCAB_SIZE)
    const drawnRows = draws.each.map((draw, i) => {
      const row = draws.rows[i]
      const slot = batch.slots[row]
      const tokens = this.cache.computed(slot).slice(0, batch.positions[row] + 1)
      return { logits: rowsOf(i, i + 1), tokens, draw }
    })
    return {
      tokens: drawTokens(drawnRows, draws.likeliest),
      scores: scoresOf(rowsOf(drawn, scored), {
        rows: scores.targets,
        tokens: scores.tokens,
      }),
      vectors: vectorsOf(rowsOf(scored, logitRows.length), this.config.dim),
    }
  }

  async forward(batch: RowBatch): Promise<Float32Array> {
    if (this.#inPass) throw new UsageError('Two passes at a time.')
    const rows = batch.tokens.length
    if (rows < 1 || rows > this.maxRows) throw new UsageError(`A pass of ${rows} rows.`)
    this.#inPass = true
    try {
      await this.beforePass(this.passes.length)
      this.passes.push({ rows, slots: [...new Set(Array.from(batch.slots))] })
      const logits = new Float32Array(batch.logitRows.length * VOCAB_SIZE)
      this.cache.check(batch)
      this.cache.prepare(batch)
      this.cache.settle()
      this.cache.advance(batch)
      for (let row = 0; row < rows; row++) {
        const history = this.cache.computed(batch.slots[row]).slice(0, batch.positions[row] + 1)
        const wanted = Array.from(batch.logitRows).indexOf(row)
        if (wanted >= 0) {
          this.#fill(logits.subarray(wanted * VOCAB_SIZE, (wanted + 1) * VOCAB_SIZE), history)
        }
      }
      return logits
    } finally {
      this.#inPass = false
    }
  }

  async vectors(batch: RowBatch): Promise<Float32Array> {
    return vectorsOf(await this.forward(batch), this.config.dim)
  }

  async score(batch: RowBatch, targets: ScoreTargets): Promise<TokenScores> {
    return scoresOf(await this.forward(batch), targets)
  }

  #fill(logits: Float32Array, tokens: readonly number[]): void {
    let hash = 17
    for (const token of tokens) hash = Math.imul(hash ^ token, 0x01000193) + 1
    for (let id = 0; id < VOCAB_SIZE; id++) {
      const mixed = Math.imul(hash ^ (id * 0x9e3779b9), 0x85ebca6b)
      // Letters are likely, other bytes are not, special tokens are left to the script.
      const base = id >= 97 && id < 123 ? 4 : id < 128 ? 0 : -20
      logits[id] = base + ((mixed ^ (mixed >>> 15)) & 1023) / 256
    }
    const preferred = this.#script(tokens)
    if (preferred !== undefined) logits[preferred] = 1000
  }
}

/** The first logits of each row. */
function vectorsOf(logits: Float32Array, dim: number): Float32Array {
  return logits.filter((_, i) => i % VOCAB_SIZE < dim)
}

function scoresOf(logits: Float32Array, targets: ScoreTargets): TokenScores {
  const count = targets.tokens.length
  const pairs = Int32Array.from({ length: 2 * count }, (_, i) =>
    i % 2 === 0 ? targets.rows[i >> 1] : targets.tokens[i >> 1],
  )
  const scores = new Float32Array(3 * count)
  tokenScores(scores, logits, pairs, count, VOCAB_SIZE)
  const column = (at: number) => Array.from({ length: count }, (_, i) => scores[3 * i + at])
  const sums = column(1)
  return {
    logProbs: Float64Array.from(column(0), (shifted, i) => shifted - Math.log(sums[i])),
    isBest: Uint8Array.from(column(2)),
  }
}

/** A script that answers any prompt with these tokens and then ends its turn. */
export function answers(...texts: readonly (string | readonly number[])[]): Script {
  return (tokens) => {
    const begin = tokens.lastIndexOf(ROLE_IDS.assistant)
    const turn = tokens.filter((id) => id === ROLE_IDS.assistant).length - 1
    const answer = texts[turn]
    const ids = typeof answer === 'string' ? [...new TextEncoder().encode(answer)] : answer
    return ids[tokens.length - 1 - begin] ?? EOT
  }
}

/** Bytes as tokens. The chat template is BOS, then role, trimmed content and EOT per message. */
export class ByteTokenizer implements TextTokenizer {
  readonly vocabSize = VOCAB_SIZE
  readonly bosId = BOS
  readonly stopIds = [EOT]
  readonly description = 'bytes'
  readonly chatTemplate = 'bytes'

  encode(text: string, options: { addBos?: boolean } = {}): number[] {
    const ids: number[] = options.addBos === false ? [] : [BOS]
    const bytes = new TextEncoder().encode(text)
    for (let i = 0; i < bytes.length; i++) {
      const pair = bytes[i] === 97 && bytes[i + 1] === 98
      ids.push(pair ? AB : bytes[i])
      if (pair) i++
    }
    return ids
  }

  *encodeSteps(text: string, options?: { addBos?: boolean }): Steps<number[]> {
    yield
    return this.encode(text, options)
  }

  *encodeChatSteps(messages: readonly ChatMessage[], options?: ChatFormatOptions): Steps<number[]> {
    yield
    return this.encodeChat(messages, options)
  }

  decode(ids: ArrayLike<number>): string {
    const stream = this.stream()
    return Array.from(ids, (id) => stream.push(id)).join('') + stream.end()
  }

  tokenText(id: number): string {
    return this.decode([id])
  }

  tokenBytes(id: number): Uint8Array {
    return Uint8Array.from(id === AB ? [97, 98] : id < 256 ? [id] : [])
  }

  stream(): TokenStream {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    return {
      push: (id) => decoder.decode(this.tokenBytes(id), { stream: true }),
      end: () => decoder.decode(),
    }
  }

  encodeChat(
    messages: readonly ChatMessage[],
    { tools, ...options }: ChatFormatOptions = {},
  ): number[] {
    const shown = tools === undefined ? '' : JSON.stringify(tools)
    const ids = this.encode(shown)
    for (const { role, content } of messages) {
      // Null beside calls of tools.
      const text = content ?? ''
      ids.push(ROLE_IDS[role], ...this.encode(text.trim(), { addBos: false }), EOT)
    }
    if (options.addGenerationPrompt === true) ids.push(ROLE_IDS.assistant)
    return ids
  }
}
