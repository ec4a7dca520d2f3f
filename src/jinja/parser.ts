/** From tokens to a tree: the expressions of jinja2's grammar, weakest first. */
import { notSupported, TemplateError } from './errors.ts'
import type { Token } from './lexer.ts'
import type { CallArguments, Comparison, Expression } from './nodes.ts'
import type { Operator } from './operators.ts'
import { Float, int } from './values.ts'

/** Expressions and tags inside each other. */
const MAX_DEPTH = 100
const CONSTANTS: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
])
const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>='])

export class ExpressionParser {
  readonly #tokens: readonly Token[]
  #next = 0
  #depth = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  get current(): Token {
    return this.#tokens[this.#next]
  }

  get following(): Token {
    return this.#tokens[Math.min(this.#next + 1, this.#tokens.length - 1)]
  }

  advance(): Token {
    const token = this.current
    if (token.type !== 'end') this.#next++
    return token
  }

  is(type: Token['type'], text?: string): boolean {
    return this.current.type === type && (text === undefined || this.current.text === text)
  }

  skip(type: Token['type'], text: string): boolean {
    if (!this.is(type, text)) return false
    this.advance()
    return true
  }

  expect(type: Token['type'], text?: string): Token {
    if (!this.is(type, text))
      this.fail(`${text === undefined ? `a ${type}` : `"${text}"`} expected`)
    return this.advance()
  }

  fail(why: string): never {
    const { type, text, line } = this.current
    const got = type === 'end' ? 'the end' : type === 'data' ? 'text' : `"${text}"`
    throw new TemplateError(`line ${line} has ${got} with ${why}`)
  }

  /** Runs what may stand inside itself. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) this.fail('too much around it')
    const result = parse()
    this.#depth--
    return result
  }

  expression(withCondition = true): Expression {
    return this.nested(() => (withCondition ? this.#condition() : this.#or()))
  }

  /** One expression, or several with commas. */
  tupleOrExpression(
    options: { withCondition?: boolean; inParentheses?: boolean } = {},
  ): Expression {
    const items: Expression[] = []
    let isTuple = false
    while (!this.is('close') && !this.is('operator', ')')) {
      items.push(this.expression(options.withCondition ?? true))
      if (!this.skip('operator', ',')) break
      isTuple = true
    }
    if (!isTuple && items.length === 1) return items[0]
    if (!isTuple && !options.inParentheses) this.fail('an expression expected')
    return { kind: 'tuple', items }
  }

  #condition(): Expression {
    let left = this.#or()
    while (this.skip('name', 'if')) {
      const test = this.#or()
      const no = this.skip('name', 'else') ? this.nested(() => this.#condition()) : undefined
      left = { kind: 'condition', test, yes: left, no }
    }
    return left
  }

  #or(): Expression {
    let left = this.#and()
    while (this.skip('name', 'or')) left = { kind: 'or', left, right: this.#and() }
    return left
  }

  #and(): Expression {
    let left = this.#not()
    while (this.skip('name', 'and')) left = { kind: 'and', left, right: this.#not() }
    return left
  }

  #not(): Expression {
    if (!this.skip('name', 'not')) return this.#compare()
    return { kind: 'not', value: this.nested(() => this.#not()) }
  }

  #compare(): Expression {
    const first = this.#sum()
    const rest: (readonly [Comparison, Expression])[] = []
    for (;;) {
      const operator = this.#comparison()
      if (operator === undefined) break
      rest.push([operator, this.#sum()])
    }
    return rest.length === 0 ? first : { kind: 'compare', first, rest }
  }

  #comparison(): Comparison | undefined {
    if (this.current.type === 'operator' && COMPARISONS.has(this.current.text)) {
      return this.advance().text as Comparison
    }
    if (this.skip('name', 'in')) return 'in'
    const isNotIn =
      this.is('name', 'not') && this.following.type === 'name' && this.following.text === 'in'
    if (!isNotIn) return undefined
    this.advance()
    this.advance()
    return 'not in'
  }

  #chain(operators: readonly string[], parse: () => Expression): Expression {
    let left = parse()
    while (this.current.type === 'operator' && operators.includes(this.current.text)) {
      const operator = this.advance().text as Operator
      left = { kind: 'binary', operator, left, right: parse() }
    }
    return left
  }

  #sum(): Expression {
    return this.#chain(['+', '-'], () => this.#concat())
  }

  #concat(): Expression {
    const parts = [this.#product()]
    while (this.skip('operator', '~')) parts.push(this.#product())
    return parts.length === 1 ? parts[0] : { kind: 'concat', parts }
  }

  #product(): Expression {
    return this.#chain(['*', '/', '//', '%'], () => this.#power())
  }

  #power(): Expression {
    return this.#chain(['**'], () => this.#unary())
  }

  #unary(withFilter = true): Expression {
    const sign =
      this.is('operator', '-') || this.is('operator', '+') ? this.advance().text : undefined
    const value: Expression =
      sign === undefined
        ? this.#primary()
        : { kind: 'sign', sign: sign as '-' | '+', value: this.nested(() => this.#unary(false)) }
    const whole = this.#postfix(value)
    return withFilter ? this.#filters(whole) : whole
  }

  #primary(): Expression {
    const token = this.advance()
    switch (token.type) {
      case 'name': {
        const value = CONSTANTS.get(token.text)
        if (value !== undefined) return { kind: 'constant', value }
        return { kind: 'name', name: token.text }
      }
      case 'string': {
        let value = token.text
        while (this.is('string')) value += this.advance().text
        return { kind: 'constant', value }
      }
      case 'integer':
        return { kind: 'constant', value: int(Number(token.text.replaceAll('_', ''))) }
      case 'float':
        return { kind: 'constant', value: new Float(Number(token.text.replaceAll('_', ''))) }
      case 'operator':
        if (token.text === '(') return this.#parenthesis()
        if (token.text === '[') return { kind: 'list', items: this.#items(']') }
        if (token.text === '{') return this.#dict()
    }
    this.#next--
    return this.fail('an expression expected')
  }

  #parenthesis(): Expression {
    const inside = this.nested(() => this.tupleOrExpression({ inParentheses: true }))
    this.expect('operator', ')')
    return inside
  }

  #items(close: string): Expression[] {
    const items: Expression[] = []
    while (!this.is('operator', close)) {
      if (items.length > 0) this.expect('operator', ',')
      if (this.is('operator', close)) break
      items.push(this.expression())
    }
    this.advance()
    return items
  }

  #dict(): Expression {
    const pairs: (readonly [Expression, Expression])[] = []
    while (!this.is('operator', '}')) {
      if (pairs.length > 0) this.expect('operator', ',')
      if (this.is('operator', '}')) break
      const key = this.expression()
      this.expect('operator', ':')
      pairs.push([key, this.expression()])
    }
    this.advance()
    return { kind: 'dict', pairs }
  }

  #postfix(value: Expression): Expression {
    let left = value
    for (;;) {
      if (this.skip('operator', '.')) left = this.#dotted(left)
      else if (this.skip('operator', '[')) left = this.#subscript(left)
      else if (this.is('operator', '('))
        left = { kind: 'call', callee: left, args: this.callArguments() }
      else return left
    }
  }

  #dotted(of: Expression): Expression {
    const token = this.advance()
    if (token.type === 'name') return { kind: 'attribute', of, name: token.text }
    if (token.type !== 'integer') {
      this.#next--
      this.fail('a name expected')
    }
    return { kind: 'item', of, key: { kind: 'constant', value: int(Number(token.text)) } }
  }

  #subscript(of: Expression): Expression {
    const parts: Expression[] = []
    do {
      if (this.is('operator', ']') && parts.length > 0) break
      const bounds: [Expression | undefined, Expression | undefined, Expression | undefined] = [
        undefined,
        undefined,
        undefined,
      ]
      let at = 0
      const first = () =>
        !this.is('operator', ':') && !this.is('operator', ']') && !this.is('operator', ',')
      if (first()) bounds[0] = this.expression()
      while (at < 2 && this.skip('operator', ':')) {
        at++
        if (first()) bounds[at] = this.expression()
      }
      if (at > 0) {
        if (parts.length > 0 || this.is('operator', ',')) throw notSupported('a slice among others')
        this.expect('operator', ']')
        return { kind: 'slice', of, bounds }
      }
      if (bounds[0] === undefined) return this.fail('an expression expected')
      parts.push(bounds[0])
    } while (this.skip('operator', ','))
    this.expect('operator', ']')
    return {
      kind: 'item',
      of,
      key: parts.length === 1 ? parts[0] : { kind: 'tuple', items: parts },
    }
  }

  /** `(a, b=c, *d, **e)`. */
  callArguments(): CallArguments {
    this.expect('operator', '(')
    const positional: Expression[] = []
    const named: [string, Expression][] = []
    let [rest, namedRest]: (Expression | undefined)[] = []
    let isFirst = true
    while (!this.is('operator', ')')) {
      if (!isFirst) this.expect('operator', ',')
      isFirst = false
      if (this.is('operator', ')')) break
      if (this.is('operator', '*') && rest === undefined && namedRest === undefined) {
        this.advance()
        rest = this.expression()
      } else if (this.is('operator', '**') && namedRest === undefined) {
        this.advance()
        namedRest = this.expression()
      } else if (
        this.is('name') &&
        this.following.type === 'operator' &&
        this.following.text === '='
      ) {
        if (namedRest !== undefined) this.fail('"**" before it')
        const name = this.advance().text
        this.advance()
        named.push([name, this.expression()])
      } else {
        if (named.length > 0 || rest !== undefined || namedRest !== undefined) {
          this.fail('other arguments before it')
        }
        positional.push(this.expression())
      }
    }
    this.advance()
    return { positional, named, rest, namedRest }
  }

  /** Filters, tests and calls behind a value. */
  #filters(value: Expression): Expression {
    let left = value
    for (;;) {
      if (this.skip('operator', '|')) left = this.filter(left)
      else if (this.skip('name', 'is')) left = this.#test(left)
      else if (this.is('operator', '('))
        left = { kind: 'call', callee: left, args: this.callArguments() }
      else return left
    }
  }

  /** A filter's name and arguments, behind "|". */
  filter(input: Expression | undefined): Expression {
    const name = this.#nameOfFilter()
    const args = this.is('operator', '(') ? this.callArguments() : NO_ARGUMENTS
    return { kind: 'filter', input, name, args }
  }

  #nameOfFilter(): string {
    const name = this.expect('name').text
    if (this.is('operator', '.')) this.fail('a filter or a test before it that has no such name')
    return name
  }

  #test(input: Expression): Expression {
    const negated = this.skip('name', 'not')
    const name = this.#nameOfFilter()
    return { kind: 'test', input, name, args: this.#testArguments(), negated }
  }

  #testArguments(): CallArguments {
    if (this.is('operator', '(')) return this.callArguments()
    const { type, text } = this.current
    const isValue =
      type === 'string' ||
      type === 'integer' ||
      type === 'float' ||
      (type === 'operator' && (text === '[' || text === '{')) ||
      (type === 'name' && !['else', 'or', 'and'].includes(text))
    if (!isValue) return NO_ARGUMENTS
    if (type === 'name' && text === 'is') this.fail('a test before it')
    return { ...NO_ARGUMENTS, positional: [this.#postfix(this.#primary())] }
  }
}

const NO_ARGUMENTS: CallArguments = {
  positional: [],
  named: [],
  rest: undefined,
  namedRest: undefined,
}
