/**
 * The server as a library: a function from Request to Response, for Node, Deno, Bun and whatever else speaks
 * fetch. `bitnet serve` is this on a port.
 */
export { type BitnetServer, createBitnetServer } from './app.ts'
export type {
  Batch,
  BatchStatus,
  BatchStore,
  LineFault,
  LineResult,
  NewLine,
  StoredFile,
  TakenLine,
} from './batch/store.ts'
export type { ApiKey, LogEntry, ServedModel, ServerLimits, ServerOptions } from './options.ts'
export type { Span, Tracer } from './tracing.ts'
