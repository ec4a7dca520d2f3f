/** Runs a parsed template. */
import type { Budget } from './budget.ts'
import { holds } from './compare.ts'
import { notSupported, TemplateError } from './errors.ts'
import { FILTERS, OTHER_FILTERS } from './filters.ts'
import type { Interpreter } from './interpreter.ts'
import { lookupsIn } from './lookups.ts'
import { bindMacro, Macro } from './macro.ts'
import type { CallArguments, Expression, MacroBody, Statement, Target } from './nodes.ts'
import { operate, signed } from './operators.ts'
import { Scope } from './scope.ts'
import { type Surroundings, show } from './show.ts'
import { sliced } from './slices.ts'
import { TESTS } from './tests.ts'
import { Loop, Namespace } from './things.ts'
import {
  type Arguments,
  Dict,
  firstOf,
  isTrue,
  itemsOf,
  Thing,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.ts'

/** How a list of statements ended: by itself, or by {% break %} or {% continue %}. */
type Ending = undefined | 'break' | 'continue'

/** The text that statements write. */
class Output {
  readonly #parts: string[] = []
  readonly #budget: Budget

  constructor(budget: Budget) {
    this.#budget = budget
  }
  write(text: string): void {
    this.#budget.make(text.length)
    this.#parts.push(text)
  }
  get text(): string {
    return this.#parts.join('')
  }
}

export class Evaluator implements Interpreter {
  readonly run: Surroundings
  readonly #budget: Budget
  readonly attribute: Interpreter['attribute']
  readonly item: Interpreter['item']

  constructor(run: Surroundings) {
    this.run = run
    this.#budget = run.budget
    const { attribute, item } = lookupsIn(run)
    this.attribute = attribute
    this.item = item
  }

  /** The text of a whole template. */
  render(statements: readonly Statement[], scope: Scope): string {
    const text = this.#textOf(statements, scope)
    this.#budget.write(text.length)
    return text
  }

  filter(name: string, value: Value, args: Arguments): Value {
    const filter = FILTERS.get(name)
    this.#budget.step()
    if (filter !== undefined) return filter(value, args, this)
    if (OTHER_FILTERS.has(name)) throw notSupported(`the filter "${name}"`)
    throw new TemplateError(`there is no filter "${name}"`)
  }

  test(name: string, value: Value, args: Arguments): boolean {
    this.#budget.step()
    if (name === 'filter')
      return FILTERS.has(show(value, this.run)) || OTHER_FILTERS.has(show(value, this.run))
    if (name === 'test') return TESTS.has(show(value, this.run))
    const test = TESTS.get(name)
    if (test === undefined) throw new TemplateError(`there is no test "${name}"`)
    return test(value, args, this)
  }

  #textOf(statements: readonly Statement[], scope: Scope): string {
    const output = new Output(this.#budget)
    this.#runAll(statements, scope, output)
    return output.text
  }

  #runAll(statements: readonly Statement[], scope: Scope, output: Output): Ending {
    for (const statement of statements) {
      const ending = this.#runOne(statement, scope, output)
      if (ending !== undefined) return ending
    }
    return undefined
  }

  #runOne(statement: Statement, scope: Scope, output: Output): Ending {
    this.#budget.step()
    switch (statement.kind) {
      case 'text':
        output.write(statement.text)
        return undefined
      case 'print':
        for (const value of statement.values)
          output.write(show(this.#evaluate(value, scope), this.run))
        return undefined
      case 'if':
        for (const [test, body] of statement.branches) {
          if (isTrue(this.#evaluate(test, scope))) return this.#runAll(body, scope, output)
        }
        return this.#runAll(statement.otherwise, scope, output)
      case 'for':
        this.#runLoop(statement, this.#evaluate(statement.items, scope), 0, scope, output)
        return undefined
      case 'set':
        this.#assign(statement.target, this.#evaluate(statement.value, scope), scope)
        return undefined
      case 'setBlock': {
        const text = this.#textOf(statement.body, new Scope(scope))
        const value =
          statement.filter === undefined ? text : this.#filtered(statement.filter, text, scope)
        this.#assign(statement.target, value, scope)
        return undefined
      }
      case 'with': {
        const inner = new Scope(scope)
        for (const [target, value] of statement.values) {
          this.#assign(target, this.#evaluate(value, scope), inner)
        }
        return this.#runAll(statement.body, inner, output)
      }
      case 'macro':
        scope.set(statement.name, this.#macro(statement, statement.name, scope))
        return undefined
      case 'callBlock': {
        const { call } = statement
        if (call.kind !== 'call') throw new Error('A call block without a call.')
        const caller = this.#macro(statement, 'caller', scope)
        const args = this.#arguments(call.args, scope)
        const named = new Map(args.named).set('caller', caller)
        const value = this.#call(this.#evaluate(call.callee, scope), {
          positional: args.positional,
          named,
        })
        output.write(show(value, this.run))
        return undefined
      }
      case 'filterBlock': {
        const text = this.#textOf(statement.body, new Scope(scope))
        output.write(show(this.#filtered(statement.filter, text, scope), this.run))
        return undefined
      }
      case 'generation':
        this.#runAll(statement.body, new Scope(scope), output)
        return undefined
      case 'break':
      case 'continue':
        return statement.kind
    }
  }

  #runLoop(
    loop: Extract<Statement, { kind: 'for' }>,
    iterable: Value,
    depth0: number,
    scope: Scope,
    output: Output,
  ): void {
    const { target, test, body, otherwise, recursive } = loop
    let items = itemsOf(iterable, this.#budget)
    if (test !== undefined) {
      items = items.filter((item) => {
        const inner = new Scope(scope)
        this.#assign(target, item, inner)
        return isTrue(this.#evaluate(test, inner))
      })
    }
    const again = (inside: Value, depth: number): string =>
      this.#budget.nested(() => {
        const text = new Output(this.#budget)
        this.#runLoop(loop, inside, depth, scope, text)
        return text.text
      })
    const state = new Loop(items, depth0, this.#budget, recursive ? again : undefined)
    for (const [index0, item] of items.entries()) {
      this.#budget.step()
      state.index0 = index0
      const inner = new Scope(scope)
      inner.set('loop', state)
      this.#assign(target, item, inner)
      if (this.#runAll(body, inner, output) === 'break') break
    }
    if (items.length === 0) this.#runAll(otherwise, new Scope(scope), output)
  }

  #assign(target: Target, value: Value, scope: Scope): void {
    if (target.kind === 'name') {
      scope.set(target.name, value)
      return
    }
    if (target.kind === 'attribute') {
      const namespace = scope.get(target.of)
      if (!(namespace instanceof Namespace)) {
        throw new TemplateError(`it sets "${target.name}" of "${target.of}", which is no namespace`)
      }
      namespace.parts.set(target.name, value)
      return
    }
    const items = itemsOf(value, this.#budget)
    if (items.length !== target.targets.length) {
      throw new TemplateError(
        `it takes ${items.length} values apart into ${target.targets.length} names`,
      )
    }
    for (const [i, one] of target.targets.entries()) this.#assign(one, items[i], scope)
  }

  /** A function of a macro's parameters that gives its text. */
  #macro(macro: MacroBody, name: string, outer: Scope): Macro {
    return new Macro(name, macro, (args) =>
      this.#budget.nested(() => {
        const scope = new Scope(outer)
        bindMacro(macro, name, args, scope, (fallback) => this.#evaluate(fallback, scope))
        return this.#textOf(macro.body, scope)
      }),
    )
  }

  #filtered(filter: Expression, text: string, scope: Scope): Value {
    if (filter.kind !== 'filter') throw new Error('A block is filtered by something else.')
    const input = filter.input === undefined ? text : this.#filtered(filter.input, text, scope)
    return this.filter(filter.name, input, this.#arguments(filter.args, scope))
  }

  #arguments({ positional, named, rest, namedRest }: CallArguments, scope: Scope): Arguments {
    const places = positional.map((value) => this.#evaluate(value, scope))
    const names = new Map(named.map(([name, value]) => [name, this.#evaluate(value, scope)]))
    if (rest !== undefined) {
      const items = itemsOf(this.#evaluate(rest, scope), this.#budget)
      this.#budget.makeItems(items.length)
      // Not spread into a call, whose arguments are limited in number.
      for (const item of items) places.push(item)
    }
    if (namedRest !== undefined) {
      const more = this.#evaluate(namedRest, scope)
      if (!(more instanceof Dict)) throw new TemplateError('"**" needs a dict')
      this.#budget.makeItems(more.size)
      for (const [key, value] of more.entries()) {
        if (typeof key !== 'string' || names.has(key))
          throw new TemplateError('"**" gives a name twice')
        names.set(key, value)
      }
    }
    return { positional: places, named: names }
  }

  #call(callee: Value, args: Arguments): Value {
    if (callee instanceof Undefined) return callee.fail()
    if (callee instanceof Thing) return callee.call(args)
    throw new TemplateError(`a ${typeName(callee)} is called like a function`)
  }

  #evaluate(node: Expression, scope: Scope): Value {
    this.#budget.step()
    switch (node.kind) {
      case 'constant':
        return node.value
      case 'name':
        return firstOf(
          scope.get(node.name),
          new Undefined(`"${node.name}" is not defined, but it is used`),
        )
      case 'list':
        return this.#all(node.items, scope)
      case 'tuple':
        return new Tuple(this.#all(node.items, scope))
      case 'dict': {
        this.#budget.makeItems(node.pairs.length)
        const dict = new Dict()
        for (const [key, value] of node.pairs) {
          const evaluated = this.#evaluate(key, scope)
          dict.set(evaluated, this.#evaluate(value, scope))
        }
        return dict
      }
      case 'attribute':
        return this.attribute(this.#evaluate(node.of, scope), node.name)
      case 'item':
        return this.item(this.#evaluate(node.of, scope), this.#evaluate(node.key, scope))
      case 'slice':
        return this.#slice(node, scope)
      case 'call': {
        const callee = this.#evaluate(node.callee, scope)
        return this.#call(callee, this.#arguments(node.args, scope))
      }
      case 'filter': {
        if (node.input === undefined) throw new Error('A filter without a value.')
        return this.filter(
          node.name,
          this.#evaluate(node.input, scope),
          this.#arguments(node.args, scope),
        )
      }
      case 'test': {
        const value = this.#evaluate(node.input, scope)
        return this.test(node.name, value, this.#arguments(node.args, scope)) !== node.negated
      }
      case 'binary': {
        const left = this.#evaluate(node.left, scope)
        return operate(node.operator, left, this.#evaluate(node.right, scope), this.run)
      }
      case 'sign':
        return signed(node.sign, this.#evaluate(node.value, scope))
      case 'not':
        return !isTrue(this.#evaluate(node.value, scope))
      case 'and':
      case 'or': {
        const left = this.#evaluate(node.left, scope)
        return isTrue(left) === (node.kind === 'or') ? left : this.#evaluate(node.right, scope)
      }
      case 'concat': {
        const parts = node.parts.map((part) => show(this.#evaluate(part, scope), this.run))
        this.#budget.make(parts.reduce((sum, part) => sum + part.length, 0))
        return parts.join('')
      }
      case 'compare':
        return this.#compare(node, scope)
      case 'condition':
        if (isTrue(this.#evaluate(node.test, scope))) return this.#evaluate(node.yes, scope)
        if (node.no !== undefined) return this.#evaluate(node.no, scope)
        return new Undefined('an "if" without "else" has no value, but it is used')
    }
  }

  #all(nodes: readonly Expression[], scope: Scope): Value[] {
    this.#budget.makeItems(nodes.length)
    return nodes.map((node) => this.#evaluate(node, scope))
  }

  #slice({ of, bounds }: Extract<Expression, { kind: 'slice' }>, scope: Scope): Value {
    const value = this.#evaluate(of, scope)
    const places = bounds.map((bound) =>
      bound === undefined ? null : this.#evaluate(bound, scope),
    )
    if (typeof value === 'string') this.#budget.make(value.length)
    const part = sliced(value, places as [Value, Value, Value])
    if (Array.isArray(part)) this.#budget.makeItems(part.length)
    return part
  }

  /** a < b < c: both, each side once. */
  #compare({ first, rest }: Extract<Expression, { kind: 'compare' }>, scope: Scope): boolean {
    let left = this.#evaluate(first, scope)
    for (const [operator, node] of rest) {
      const right = this.#evaluate(node, scope)
      if (!holds(operator, left, right, this.#budget)) return false
      left = right
    }
    return true
  }
}
