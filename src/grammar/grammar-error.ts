import { UsageError } from '../errors.ts'

/** Where in a schema something is, as a JSON pointer. */
export type Path = readonly (string | number)[]

/** @throws UsageError naming the place in the schema */
export function refuse(path: Path, reason: string): never {
  const pointer = `#${path.map((part) => `/${String(part).slice(0, 60)}`).join('')}`.slice(0, 300)
  throw new UsageError(`Expected a schema that answers can be held to: ${pointer} ${reason}.`)
}

export function tooComplex(): UsageError {
  return new UsageError(
    'Expected a schema that answers can be held to: this one takes too much work. Make it smaller, or its ' +
      'patterns simpler.',
  )
}
