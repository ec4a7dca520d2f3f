/**
 * The errors this library throws on purpose. Each message says what was expected, what came and what
 * to do; each class carries the facts as fields, so that a program need not parse the message.
 * A mistake in our own code throws a plain Error instead.
 */

/**
 * Base of all deliberate errors. `code` and `name` are stable, also where a bundler renames classes;
 * messages may be reworded.
 */
export class BitnetError extends Error {
  readonly code: string

  /** On the prototype, so that it heads the stack too. */
  override get name(): string {
    return 'BitnetError'
  }

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** A file is damaged, hostile or of a kind that is not supported. */
export class FormatError extends BitnetError {
  /** The part of the file at fault: a header field, a metadata key or a tensor's name. */
  readonly field: string
  readonly path: string | undefined

  constructor(
    message: string,
    facts: { field: string; path?: string | undefined; cause?: unknown },
  ) {
    super('FORMAT', message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.field = facts.field
    this.path = facts.path
  }

  override get name() {
    return 'FormatError' as const
  }
}

/** Two shapes that must agree do not. */
export class ShapeError extends BitnetError {
  constructor(message: string) {
    super('SHAPE', message)
  }

  override get name() {
    return 'ShapeError' as const
  }
}

/** A backend, an instruction set or a kernel is missing or failed. */
export class BackendError extends BitnetError {
  constructor(message: string, options?: ErrorOptions) {
    super('BACKEND', message, options)
  }

  override get name() {
    return 'BackendError' as const
  }
}

/** The prompt and the answer do not fit the model's context. */
export class ContextOverflowError extends BitnetError {
  /** Positions that were asked for. */
  readonly needed: number
  /** Positions there are. */
  readonly available: number

  constructor(message: string, facts: { needed: number; available: number }) {
    super('CONTEXT_OVERFLOW', message)
    this.needed = facts.needed
    this.available = facts.available
  }

  override get name() {
    return 'ContextOverflowError' as const
  }
}

/** Nothing was found under the name or path given for a model. */
export class ModelNotFoundError extends BitnetError {
  readonly source: string

  constructor(message: string, facts: { source: string }) {
    super('MODEL_NOT_FOUND', message)
    this.source = facts.source
  }

  override get name() {
    return 'ModelNotFoundError' as const
  }
}

/** A file could not be fetched, or not be kept: the network, the server's refusal, the disk. */
export class DownloadError extends BitnetError {
  readonly url: string
  /** The HTTP status that was the reason, if one was. */
  readonly status: number | undefined

  constructor(message: string, facts: { url: string; status?: number; cause?: unknown }) {
    super('DOWNLOAD', message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.url = facts.url
    this.status = facts.status
  }

  override get name() {
    return 'DownloadError' as const
  }
}

/** An option or argument is out of its range. The command line exits with code 2 on it. */
export class UsageError extends BitnetError {
  constructor(message: string) {
    super('USAGE', message)
  }

  override get name() {
    return 'UsageError' as const
  }
}
