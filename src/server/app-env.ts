/** What the server knows of a request while it works on it. */
import type { Holder } from './limits/api-keys.ts'
import type { Span } from './tracing.ts'

interface Facts {
  requestId: string
  holder: Holder
  beganAt: number
  span: Span
  /** Settles when an answer has ended whose response is there before. */
  ended: Promise<void> | undefined
}
export type AppEnv = { Variables: Facts }
