/** What the server knows of a request while it works on it. */
import type { Holder } from './limits/api-keys.ts'
import type { Span } from './tracing.ts'

interface Facts {
  requestId: string
  holder: Holder
  beganAt: number
  span: Span
  /** Takes memory for so many bytes of its body, until it is answered. */
  takeBody(bytes: number): void
  /** Settles when an answer has ended whose response is there before. */
  ended: Promise<void> | undefined
}

/** How a request came in. */
export interface Connection {
  /** Breaks it off. */
  end(): void
}
export type AppEnv = { Variables: Facts; Bindings: { connection?: Connection | undefined } }
