/** Words of a text of any length, counted by several threads; the table is the same whatever their number. */
import { Worker } from 'node:worker_threads'
import { type CountedWords, WordCounts } from '../../tokenizer/training/word-counts.js'

/** Code units that are counted at a time. */
const BLOCK = 1 << 23
/** Room for what comes in beyond a block, a document's length. */
const FIRST_ROOM = 1 << 20
/** Bytes of a code unit. */
const UNIT = 2
/** Words that are kept, some 150 bytes each until merges are learnt; above it the rarer half is forgotten. */
const MAX_WORDS = 4_000_000

export interface WordCountingOptions {
  readonly threads: number
  /** Unset: {@link MAX_WORDS}. */
  readonly maxWords?: number | undefined
}

interface Block {
  readonly counted: Promise<CountedWords>
  readonly weight: number
}

export class WordThreads {
  readonly #total: WordCounts
  readonly #threads: readonly WordThread[]
  readonly #maxWords: number
  /** Blocks that are being counted, in their order. */
  readonly #blocks: Block[] = []
  /** UTF-16 of texts that wait, one behind the other, and where each ends. */
  #units = Buffer.alloc(0)
  #ends: number[] = []
  #turn = 0
  #forgotten = 0

  constructor({ threads, maxWords }: WordCountingOptions) {
    this.#total = new WordCounts()
    this.#threads = Array.from({ length: threads }, () => new WordThread())
    this.#maxWords = maxWords ?? MAX_WORDS
  }

  /** Words that were forgotten, as there were too many. */
  get forgotten(): number {
    return this.#forgotten
  }

  /** Settles when there is room for more; of one weight until {@link endOfSource}. */
  async add(text: string, weight: number): Promise<void> {
    const length = this.#ends.at(-1) ?? 0
    const end = length + text.length
    if (UNIT * end > this.#units.length) {
      const larger = Buffer.alloc(UNIT * Math.max(BLOCK + FIRST_ROOM, 2 * end))
      larger.set(this.#units.subarray(0, UNIT * length))
      this.#units = larger
    }
    this.#units.write(text, UNIT * length, 'utf16le')
    this.#ends.push(end)
    if (end >= BLOCK) await this.endOfSource(weight)
  }

  async endOfSource(weight: number): Promise<void> {
    if (this.#ends.length === 0) return
    const thread = this.#threads[this.#turn++ % this.#threads.length]
    const { buffer } = this.#units
    const counted = thread.count({ units: new Uint16Array(buffer), ends: this.#ends })
    // Whatever fails shows when its turn comes.
    counted.catch(() => {})
    this.#blocks.push({ counted, weight })
    // The thread has it now.
    this.#units = Buffer.alloc(0)
    this.#ends = []
    if (this.#blocks.length > this.#threads.length) await this.#takeBlock()
  }

  /** Always the oldest: which words are forgotten must not depend on who is fastest. */
  async #takeBlock(): Promise<void> {
    const block = this.#blocks.shift()
    if (block === undefined) return
    this.#total.addCounted(await block.counted, block.weight)
    const { size } = this.#total
    if (size <= this.#maxWords) return
    this.#total.keepMost(this.#maxWords / 2)
    this.#forgotten += size - this.#total.size
  }

  /** All words so far. */
  async take(): Promise<CountedWords> {
    while (this.#blocks.length > 0) await this.#takeBlock()
    return this.#total.take()
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.end()))
  }
}

interface Waiting {
  readonly resolve: (counted: CountedWords) => void
  readonly reject: (error: unknown) => void
}

/** Texts, one behind the other. */
interface WaitingTexts {
  readonly units: Uint16Array<ArrayBuffer>
  readonly ends: readonly number[]
}

class WordThread {
  readonly #worker: Worker
  readonly #waiting: Waiting[] = []

  constructor() {
    const url = new URL(/* @vite-ignore */ './count-words-worker.js', import.meta.url)
    this.#worker = new Worker(url, { execArgv: [] })
    this.#worker.on('message', (counted: CountedWords) => this.#waiting.shift()?.resolve(counted))
    const fail = (error: unknown) => {
      for (const { reject } of this.#waiting.splice(0)) reject(error)
    }
    this.#worker.on('error', fail)
    this.#worker.on('exit', () => fail(new Error('A thread that counts words has ended.')))
  }

  /** Takes the units away. */
  count(texts: WaitingTexts): Promise<CountedWords> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#worker.postMessage(texts, [texts.units.buffer])
    })
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}
