/**
 * The workers of a threaded WebAssembly backend. They stay inside the module, asleep on a word of the
 * shared memory between lists; the first one posts a message when a list is done.
 */
import { messageOf } from '../../checks.ts'
import { BackendError } from '../../errors.ts'
import { nodeProcess } from './host.ts'
import type { ModuleAddress } from './instance.ts'

/** What starts a worker; worker.js reads it. */
export interface WorkerStart {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly control: ModuleAddress
  readonly thread: number
  readonly stackTop: ModuleAddress
}

interface Listeners {
  readonly onMessage: (message: unknown) => void
  readonly onError: (reason: string) => void
}

/** The little that Node's and the browsers' workers have in common. */
interface Thread {
  post(start: WorkerStart): void
  /** Whether the process stays alive for it; browsers do not ask. */
  keepAlive(on: boolean): void
  terminate(): void
}

function openThread(listeners: Listeners, script: URL | undefined): Thread {
  const node = nodeProcess()
  return node ? openNodeThread(node, listeners) : openBrowserThread(listeners, script)
}

function openNodeThread(node: NodeJS.Process, { onMessage, onError }: Listeners): Thread {
  const { Worker: NodeWorker } = node.getBuiltinModule('node:worker_threads')
  // Bundlers for browsers must not take this for a second worker to be bundled.
  const url = new URL(/* @vite-ignore */ './worker.js', import.meta.url)
  // The process's own flags, e.g. a loader or an inspector, are not for these threads.
  // They say nothing; joined to the process's streams, each would leave listeners there, and Node warns of many.
  const worker = new NodeWorker(url, { execArgv: [], stdout: true, stderr: true })
  worker.unref()
  worker.on('message', onMessage)
  worker.on('error', (error) => onError(messageOf(error)))
  worker.on('exit', () => onError('it ended'))
  return {
    post: (start) => worker.postMessage(start),
    keepAlive: (on) => (on ? worker.ref() : worker.unref()),
    terminate: () => void worker.terminate(),
  }
}

function openBrowserThread({ onMessage, onError }: Listeners, script: URL | undefined): Thread {
  // Written out in one expression: this is the form that bundlers look for.
  const openOwn = () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
  const worker = script === undefined ? openOwn() : new Worker(script, { type: 'module' })
  worker.onmessage = ({ data }) => onMessage(data)
  // A script that the page may not run gives an event without a message.
  worker.onerror = ({ message }) => onError(message || 'its script does not load or run')
  worker.onmessageerror = () => onError('it cannot receive shared memory')
  return {
    post: (start) => worker.postMessage(start),
    keepAlive: () => {},
    terminate: () => worker.terminate(),
  }
}

export class WorkerThreads {
  readonly #threads: Thread[] = []
  #pending: { resolve: () => void; reject: (error: Error) => void } | undefined
  readonly #onLoss: (reason: string) => void
  #failure: BackendError | undefined
  #stopping = false

  private constructor(onLoss: (reason: string) => void) {
    this.#onLoss = onLoss
  }

  /**
   * Starts all workers and settles when each has its instance.
   *
   * @param onLoss told why no list will ever run again
   * @param script unset: the one beside this file
   * @throws BackendError if one of them does not start; none is left running then
   */
  static async start(
    starts: readonly WorkerStart[],
    onLoss: (reason: string) => void = () => {},
    script?: URL,
  ): Promise<WorkerThreads> {
    const pool = new WorkerThreads(onLoss)
    try {
      await Promise.all(starts.map((start) => pool.#startThread(start, script)))
    } catch (error) {
      pool.#terminate()
      throw error
    }
    return pool
  }

  #startThread(start: WorkerStart, script: URL | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const listeners: Listeners = {
        onMessage: (message) => {
          if (message !== 'ready') return this.#done()
          thread.keepAlive(false)
          resolve()
        },
        onError: (reason) => {
          const failure = new BackendError(`A WebAssembly worker failed: ${reason}.`)
          reject(failure)
          this.#fail(failure)
        },
      }
      const thread = openThread(listeners, script)
      this.#threads.push(thread)
      thread.keepAlive(true)
      thread.post(start)
    })
  }

  /** @param wake posts the list; called once the answer is listened for */
  run(wake: () => void): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      this.#threads[0].keepAlive(true)
      wake()
    })
  }

  /** Expects the workers to end now; the caller has told them to. */
  stop(): void {
    this.#stopping = true
  }

  #done(): void {
    this.#threads[0].keepAlive(false)
    this.#pending?.resolve()
    this.#pending = undefined
  }

  /** A list that misses a thread never ends, so the others must not go on waiting for it. */
  #fail(failure: BackendError): void {
    if (this.#stopping || this.#failure) return
    this.#failure = failure
    this.#onLoss(failure.message)
    this.#terminate()
    this.#pending?.reject(failure)
    this.#pending = undefined
  }

  #terminate(): void {
    this.#stopping = true
    for (const thread of this.#threads) thread.terminate()
  }
}
