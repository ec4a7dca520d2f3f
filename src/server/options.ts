/**
 * What a server serves, to whom, and how much of it.
 */
import type { LanguageModel } from '../generate/language-model.ts'
import type { BatchStore } from './batch/store.ts'
import type { Tracer } from './tracing.ts'

/** A model that requests can name. */
export interface ServedModel {
  /** What requests call it. */
  readonly id: string
  /**
   * Loads it: for the first request, and again after it made room for another one. Requests that are over
   * before do not end it, as the next one wants it too.
   *
   * @param signal aborts when the server closes
   */
  load(signal: AbortSignal): Promise<LanguageModel>
}

/** Whoever shows `key` is `name` in logs and figures. */
export interface ApiKey {
  readonly key: string
  readonly name: string
  /** Whose requests go first: of higher priority before those of lower. A whole number; unset: 0. */
  readonly priority?: number
}

/** What protects a server from its clients, and clients from each other. All are at least 1. */
export interface ServerLimits {
  /** Bytes of a request's body. Unset: 8 MiB. */
  readonly bodyBytes?: number
  /** Bytes of the bodies of all requests that are worked on or wait; beyond is status 503. Unset: 256 MiB. */
  readonly allBodyBytes?: number
  /** Tokens of an answer, whatever a request asks for. Unset: what the context leaves. */
  readonly maxTokens?: number
  /** Seconds from a request to the end of its answer, which is cut then. Unset: 600. */
  readonly seconds?: number
  /** Seconds that a reader may take none of its stream. Unset: 30. */
  readonly stallSeconds?: number
  /** Requests that are worked on at the same time. Unset: 64. */
  readonly active?: number
  /** Requests that wait for their turn; those beyond get status 429. Unset: 256. */
  readonly waiting?: number
  /** Requests at the same time of one key. Unset: `active` and `waiting` together. */
  readonly keyActive?: number
  /** Requests a minute of one key. Unset: any number. */
  readonly keyPerMinute?: number
  /** Models in memory at the same time; the one used longest ago makes room. Unset: 1. */
  readonly loadedModels?: number
}

/** What a line of the log says. No prompt and no answer is in it, unless that is asked for. */
export interface LogEntry {
  readonly level: 'info' | 'warn' | 'error'
  readonly event: string
  readonly requestId?: string
  readonly [field: string]: unknown
}

export interface ServerOptions {
  /** At least one; the first is what requests get that name none. */
  readonly models: readonly ServedModel[]
  /** Unset or empty: whoever reaches the server may use it. */
  readonly keys?: readonly ApiKey[]
  /** Whether requests may name any model, and get the first. Unset: false. */
  readonly anyModel?: boolean
  readonly limits?: ServerLimits
  /** Origins whose pages may ask, or "*". Unset: none but the server's own. */
  readonly origins?: readonly string[]
  /**
   * Names by which the server may be called where it has no keys: a page elsewhere whose name was made to
   * lead here (DNS rebinding) calls it by another one. Unset: localhost, 127.0.0.1 and [::1].
   */
  readonly hosts?: readonly string[]
  /** What the server says that it is, of this package; unset: it does not say. */
  readonly version?: string
  /** The page at `/`. Unset: there is none. */
  readonly page?: string
  readonly log?: (entry: LogEntry) => void
  /** Whether the log gets each prompt and what was answered, as event "answer". Unset: false. */
  readonly logsContent?: boolean
  /** Is told of each request, and of what took its time. Unset: nobody is. */
  readonly tracer?: Tracer
  /**
   * Where files and batches are kept; the server works on these, behind other requests, and leaves it open when it
   * closes. Unset: there are none.
   */
  readonly batches?: BatchStore
  /** Lines of batches at a time; 0 leaves them to other workers. Unset: 8. */
  readonly batchLines?: number
  /** Seconds after which lines of a worker that is lost are free for others. Unset: 60. */
  readonly batchLease?: number
}

export const DEFAULT_LIMITS = {
  bodyBytes: 8 << 20,
  allBodyBytes: 256 << 20,
  maxTokens: Number.MAX_SAFE_INTEGER,
  seconds: 600,
  stallSeconds: 30,
  active: 64,
  waiting: 256,
  keyPerMinute: Number.POSITIVE_INFINITY,
  loadedModels: 1,
} as const satisfies ServerLimits

export type ResolvedLimits = Required<ServerLimits>

export function resolveLimits(limits: ServerLimits = {}): ResolvedLimits {
  const all = { ...DEFAULT_LIMITS, ...limits }
  return { ...all, keyActive: limits.keyActive ?? all.active + all.waiting }
}
