/** Words of a text of any length, counted by several threads; the table is the same whatever their number. */
import { Worker } from 'node:worker_threads'
import { QUICK_EXPRESSIONS } from '../../tokenizer/regex/known.ts'
import { type CountedWords, WordCounts } from '../../tokenizer/training/word-counts.js'

/** Code units that are counted at a time. */
const BLOCK = 1 << 23
/** Words that are kept, some 150 bytes each until merges are learnt; above it the rarer half is forgotten. */
const MAX_WORDS = 4_000_000

export interface WordCountingOptions {
  /** What cuts texts, one of {@link QUICK_EXPRESSIONS}. */
  readonly split: string
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
  #texts: string[] = []
  #length = 0
  #turn = 0
  #forgotten = 0

  constructor({ split, threads, maxWords }: WordCountingOptions) {
    const expression = new RegExp(QUICK_EXPRESSIONS.get(split) as string, 'gu')
    this.#total = new WordCounts(expression)
    this.#threads = Array.from({ length: threads }, () => new WordThread(expression))
    this.#maxWords = maxWords ?? MAX_WORDS
  }

  /** Words that were forgotten, as there were too many. */
  get forgotten(): number {
    return this.#forgotten
  }

  /** Settles when there is room for more; of one weight until {@link endOfSource}. */
  async add(text: string, weight: number): Promise<void> {
    this.#texts.push(text)
    this.#length += text.length
    if (this.#length >= BLOCK) await this.endOfSource(weight)
  }

  async endOfSource(weight: number): Promise<void> {
    if (this.#texts.length === 0) return
    const thread = this.#threads[this.#turn++ % this.#threads.length]
    const counted = thread.count(this.#texts)
    // Whatever fails shows when its turn comes.
    counted.catch(() => {})
    this.#blocks.push({ counted, weight })
    this.#texts = []
    this.#length = 0
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

class WordThread {
  readonly #worker: Worker
  readonly #waiting: Waiting[] = []

  constructor(expression: RegExp) {
    const url = new URL(/* @vite-ignore */ './count-words-worker.js', import.meta.url)
    this.#worker = new Worker(url, { workerData: expression, execArgv: [] })
    this.#worker.on('message', (counted: CountedWords) => this.#waiting.shift()?.resolve(counted))
    const fail = (error: unknown) => {
      for (const { reject } of this.#waiting.splice(0)) reject(error)
    }
    this.#worker.on('error', fail)
    this.#worker.on('exit', () => fail(new Error('A thread that counts words has ended.')))
  }

  count(texts: readonly string[]): Promise<CountedWords> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#worker.postMessage(texts)
    })
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}
