/** Macros, and how they are given values. */
import { TemplateError } from './errors.ts'
import type { Expression, MacroBody, Statement } from './nodes.ts'
import type { Scope } from './scope.ts'
import { type Arguments, Callable, Dict, Tuple, Undefined, type Value } from './values.ts'

export class Macro extends Callable {
  readonly #name: string
  readonly #made: MacroBody

  constructor(name: string, made: MacroBody, run: (args: Arguments) => Value) {
    super(run)
    this.#name = name
    this.#made = made
  }
  override show(): string {
    return `<Macro '${this.#name}'>`
  }
  override attribute(name: string): Value | undefined {
    const { parameters, body } = this.#made
    switch (name) {
      case 'name':
        return this.#name
      case 'arguments':
        return new Tuple(parameters.map((parameter) => parameter.name))
      case 'catch_varargs':
      case 'catch_kwargs':
        return mentions(body, name.slice('catch_'.length))
      case 'caller':
        return mentions(body, name)
    }
    return undefined
  }
}

/**
 * Sets a macro's parameters, by their place or their name, and `caller`, `varargs` and `kwargs`.
 *
 * @param scope of this call
 * @param evaluate gives a default, which may name parameters before it
 * @throws TemplateError for more than the macro knows
 */
export function bindMacro(
  { parameters, body }: MacroBody,
  name: string,
  args: Arguments,
  scope: Scope,
  evaluate: (fallback: Expression) => Value,
): void {
  const named = new Map(args.named)
  for (const [i, parameter] of parameters.entries()) {
    const byPlace = i < args.positional.length
    if (byPlace && named.has(parameter.name)) {
      throw new TemplateError(`the macro "${name}" is given "${parameter.name}" twice`)
    }
    let given = byPlace ? args.positional[i] : named.get(parameter.name)
    if (given === undefined) {
      given =
        parameter.fallback === undefined
          ? new Undefined(`the parameter "${parameter.name}" was not given, but it is used`)
          : evaluate(parameter.fallback)
    }
    named.delete(parameter.name)
    scope.set(parameter.name, given)
  }
  const caller = named.get('caller')
  named.delete('caller')
  if (!parameters.some((parameter) => parameter.name === 'caller')) {
    scope.set('caller', caller ?? new Undefined('it calls caller() without a {% call %}'))
  }
  const more = args.positional.slice(parameters.length)
  if (more.length > 0 && !mentions(body, 'varargs')) {
    throw new TemplateError(`the macro "${name}" is given more than ${parameters.length} values`)
  }
  const [unknown] = named.keys()
  if (unknown !== undefined && !mentions(body, 'kwargs')) {
    throw new TemplateError(`the macro "${name}" is given "${unknown}", which it does not know`)
  }
  scope.set('varargs', new Tuple(more))
  scope.set('kwargs', Dict.of(named))
}

const WRITTEN = new WeakMap<readonly Statement[], string>()

/** Whether a macro's body uses a name: only then may it be given more than its parameters. */
function mentions(body: readonly Statement[], name: string): boolean {
  const written = WRITTEN.get(body) ?? JSON.stringify(body)
  WRITTEN.set(body, written)
  return written.includes(`{"kind":"name","name":"${name}"}`)
}
