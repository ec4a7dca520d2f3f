/**
 * The models of a server: loaded when a request first names them, and no more in memory at a time than there
 * is room for. The one used longest ago makes room when nobody uses it any more; where others want that for a while,
 * it takes no new requests meanwhile, so that a busy model does not keep all others out.
 */
import type { LanguageModel } from '../generate/language-model.ts'
import type { ServedModel } from './options.ts'
import { Refusal } from './refusal.ts'

/** So long those who want another model let the ones there take new requests. */
const PATIENCE_MS = 5000

interface Place {
  readonly model: Promise<LanguageModel>
  /** The same, when it is there. */
  ready?: LanguageModel
  users: number
  usedAt: number
}

export class ModelShelf {
  readonly #served: ReadonlyMap<string, ServedModel>
  readonly #first: ServedModel
  readonly #room: number
  readonly #places = new Map<string, Place>()
  readonly #waiting: (() => void)[] = []
  #clock = 0
  readonly #closing = new AbortController()

  /** Since when each request wants a model that has no room. */
  readonly #wanting = new Set<{ readonly since: number }>()
  readonly #anyName: boolean
  readonly #patienceMs: number

  /**
   * @param room models in memory at a time, at least 1
   * @param anyName whether whatever a request names means the first
   */
  constructor(
    served: readonly ServedModel[],
    room: number,
    anyName = false,
    patienceMs = PATIENCE_MS,
  ) {
    this.#anyName = anyName
    this.#patienceMs = patienceMs
    const [first] = served
    if (first === undefined) throw new Error('A server needs a model.')
    this.#first = first
    this.#served = new Map(served.map((one) => [one.id, one]))
    this.#room = room
  }

  get ids(): readonly string[] {
    return [...this.#served.keys()]
  }

  /** The models that are in memory now, or on their way. */
  get loaded(): readonly string[] {
    return [...this.#places.keys()]
  }

  /** Those that answer, by their names. */
  get ready(): ReadonlyMap<string, LanguageModel> {
    return new Map([...this.#places].flatMap(([id, { ready }]) => (ready ? [[id, ready]] : [])))
  }

  /**
   * The name under which a request's model is served. A request without one means the first.
   *
   * @throws Refusal (404) if there is no such model
   */
  idOf(asked: string | undefined): string {
    if (asked === undefined || asked === '') return this.#first.id
    // Ollama's clients add ":latest" to names without a tag.
    const id = [asked, asked.replace(/:latest$/, '')].find((name) => this.#served.has(name))
    if (id !== undefined) return id
    if (this.#anyName) return this.#first.id
    throw new Refusal(
      404,
      'model_not_found',
      `Expected one of the models ${this.ids.join(', ')}, got "${asked.slice(0, 100)}".`,
      { param: 'model' },
    )
  }

  /** Has a model, loaded if need be, for as long as `use` takes. */
  async use<T>(
    id: string,
    signal: AbortSignal,
    use: (model: LanguageModel) => Promise<T>,
  ): Promise<T> {
    const place = await this.#take(id, signal)
    try {
      return await use(await unlessAborted(place.model, signal))
    } finally {
      place.users--
      this.#wake()
    }
  }

  /** Frees all models. Requests that still use one end as cancelled. */
  async close(): Promise<void> {
    this.#closing.abort(stopping())
    const places = [...this.#places.values()]
    this.#places.clear()
    this.#wake()
    for (const { model } of places) {
      await model.then(
        (loaded) => loaded.dispose(),
        () => undefined,
      )
    }
  }

  /** Waits for a place; it has a user more, before anybody else can look. */
  async #take(id: string, signal: AbortSignal): Promise<Place> {
    let want: { readonly since: number } | undefined
    try {
      for (;;) {
        signal.throwIfAborted()
        this.#closing.signal.throwIfAborted()
        const there = this.#places.get(id)
        const place = there === undefined ? this.#makeRoom(id) : this.#unlessToGo(there)
        if (place !== undefined) {
          place.users++
          place.usedAt = ++this.#clock
          return place
        }
        if (there === undefined && want === undefined) {
          want = { since: performance.now() }
          this.#wanting.add(want)
        }
        await this.#change(signal)
      }
    } finally {
      if (want !== undefined) {
        this.#wanting.delete(want)
        this.#wake()
      }
    }
  }

  /** Begins to load, if there is room or somebody idle makes some. */
  #makeRoom(id: string): Place | undefined {
    if (this.#places.size < this.#room) return this.#load(id)
    const oldest = oldestOf([...this.#places].filter(([, { users }]) => users === 0))
    if (oldest === undefined) return undefined
    const [gone, { model }] = oldest
    this.#places.delete(gone)
    // Its memory is free before the next one's is taken; meanwhile its place is held.
    return this.#load(
      id,
      model.then(
        (loaded) => loaded.dispose(),
        () => undefined,
      ),
    )
  }

  /** The place, unless it is the next to make room for those who have waited long enough. */
  #unlessToGo(place: Place): Place | undefined {
    const now = performance.now()
    const isWanted = [...this.#wanting].some(({ since }) => now - since >= this.#patienceMs)
    return isWanted && oldestOf([...this.#places])?.[1] === place ? undefined : place
  }

  #load(id: string, before: Promise<void> = Promise.resolve()): Place {
    const served = this.#served.get(id) ?? this.#first
    const model = before.then(() => served.load(this.#closing.signal))
    const place: Place = { model, users: 0, usedAt: ++this.#clock }
    this.#places.set(id, place)
    model.then(
      (ready) => {
        place.ready = ready
      },
      () => {
        // The next request tries again.
        if (this.#places.get(id) === place) this.#places.delete(id)
        this.#wake()
      },
    )
    return place
  }

  /** Settles when a model is put down or gone. */
  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.push(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}

/** The one used longest ago. */
function oldestOf(places: readonly [string, Place][]): [string, Place] | undefined {
  return places.toSorted(([, a], [, b]) => a.usedAt - b.usedAt)[0]
}

/**
 * What a promise gives, if it does before the signal aborts.
 *
 * @throws the signal's reason
 */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  let stop = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

function stopping(): Refusal {
  return new Refusal(503, 'stopping', 'The server is about to stop. Try again.', { retryAfter: 10 })
}
