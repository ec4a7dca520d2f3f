/**
 * The workers of a threaded WebAssembly backend. They stay inside the module, asleep on a word of the
 * shared memory between lists; the first one posts a message when a list is done.
 */

/** What starts a worker; worker.js reads it. */
export interface WorkerStart {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly control: number
  readonly thread: number
  readonly stackTop: number
}

/** The little that Node's and the browsers' workers have in common. */
interface Thread {
  post(start: WorkerStart): void
  onMessage(listener: (message: unknown) => void): void
  onError(listener: (error: Error) => void): void
  /** Whether the process stays alive for it; browsers do not ask. */
  keepAlive(on: boolean): void
}

function openThread(): Thread {
  const url = new URL('./worker.js', import.meta.url)
  if (globalThis.process?.versions?.node) {
    const { Worker } = globalThis.process.getBuiltinModule('node:worker_threads')
    const worker = new Worker(url)
    worker.unref()
    return {
      post: (start) => worker.postMessage(start),
      onMessage: (listener) => void worker.on('message', listener),
      onError: (listener) => void worker.on('error', listener),
      keepAlive: (on) => (on ? worker.ref() : worker.unref()),
    }
  }
  const worker = new globalThis.Worker(url, { type: 'module' })
  return {
    post: (start) => worker.postMessage(start),
    onMessage: (listener) => {
      worker.onmessage = ({ data }) => listener(data)
    },
    onError: (listener) => {
      worker.onerror = (event) => listener(new Error(event.message))
    },
    keepAlive: () => {},
  }
}

export class WorkerThreads {
  readonly #first: Thread
  #pending: { resolve: () => void; reject: (error: Error) => void } | undefined

  private constructor(first: Thread) {
    this.#first = first
  }

  /** Starts all workers and settles when each has its instance. */
  static async start(starts: readonly WorkerStart[]): Promise<WorkerThreads> {
    const threads = starts.map(openThread)
    const pool = new WorkerThreads(threads[0])
    await Promise.all(
      threads.map(
        (thread, i) =>
          new Promise<void>((resolve, reject) => {
            thread.keepAlive(true)
            thread.onError((error) => {
              reject(error)
              pool.#fail(error)
            })
            thread.onMessage((message) => {
              if (message === 'ready') {
                thread.keepAlive(false)
                resolve()
              } else pool.#done()
            })
            thread.post(starts[i])
          }),
      ),
    )
    return pool
  }

  /** @param wake posts the list; called once the answer is listened for */
  run(wake: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      this.#first.keepAlive(true)
      wake()
    })
  }

  #done(): void {
    this.#first.keepAlive(false)
    this.#pending?.resolve()
    this.#pending = undefined
  }

  #fail(error: Error): void {
    this.#pending?.reject(error)
    this.#pending = undefined
  }
}
