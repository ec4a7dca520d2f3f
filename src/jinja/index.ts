/**
 * Chat templates: the part of jinja2 that they use, with the settings of transformers, and with a budget.
 * What differs from jinja2 is refused with a sentence, never rendered otherwise.
 */
import { bind } from './arguments.ts'
import { Budget } from './budget.ts'
import { TemplateError } from './errors.ts'
import { Evaluator } from './evaluate.ts'
import { Scope } from './scope.ts'
import { type Surroundings, show } from './show.ts'
import { parseTemplate } from './statements.ts'
import { strftime } from './strftime.ts'
import { globals } from './things.ts'
import { Callable, fromJavaScript } from './values.ts'

export { TemplateError } from './errors.ts'

/** A template calls raise_exception(): it refuses what it is given. */
export class TemplateRefusal extends Error {}

/** Characters of a template; published ones have 20,000 at most. */
const MAX_SOURCE = 1 << 18

export interface RenderOptions {
  /** Characters that repr() of a text leaves as they are although they cannot be printed. */
  readonly shown?: string
  /** What strftime_now() knows. Unset: now. */
  readonly now?: Date
}

/** A function from variables to text. @throws TemplateError if the source is no template */
export function compileTemplate(source: string) {
  if (source.length > MAX_SOURCE) {
    throw new TemplateError(`it has ${source.length} characters, more than ${MAX_SOURCE}`)
  }
  const statements = withoutOverflow(() => parseTemplate(source))

  /**
   * @param variables as JSON has them
   * @throws TemplateError if the template fails, or costs too much; TemplateRefusal if it refuses them
   */
  return (variables: Readonly<Record<string, unknown>>, options: RenderOptions = {}): string => {
    const budget = new Budget(withoutOverflow(() => sizeOf(variables)))
    const run: Surroundings = { budget, shown: options.shown ?? '', now: options.now ?? new Date() }
    const scope = new Scope()
    return withoutOverflow(() => {
      const given = Object.entries(variables).map(
        ([name, value]) => [name, fromJavaScript(value)] as const,
      )
      for (const [name, value] of [...globals(run), ...transformersGlobals(run), ...given]) {
        scope.set(name, value)
      }
      return new Evaluator(run).render(statements, scope)
    })
  }
}

function transformersGlobals(run: Surroundings): [string, Callable][] {
  return [
    [
      'raise_exception',
      new Callable((args) => {
        const [message] = bind('raise_exception()', ['message'], args)
        throw new TemplateRefusal(show(message ?? null, run))
      }),
    ],
    [
      'strftime_now',
      new Callable((args) => {
        const [format] = bind('strftime_now()', ['format'], args)
        if (typeof format !== 'string') throw new TemplateError('strftime_now() needs a text')
        run.budget.make(format.length)
        return strftime(run.now, format)
      }),
    ],
  ]
}

/** Characters of all texts in a value. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 1
  return Object.entries(value).reduce((sum, [key, item]) => sum + key.length + sizeOf(item), 1)
}

/** Values inside values may be nested deeper than the stack. */
function withoutOverflow<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof RangeError) throw new TemplateError('it nests values too deeply')
    throw error
  }
}
