/** From tokens to a tree: text and tags. */
import { notSupported } from './errors.ts'
import { tokenize } from './lexer.ts'
import type { Expression, Parameter, Statement, Target } from './nodes.ts'
import { ExpressionParser } from './parser.ts'

/** Tags of jinja2 that need other templates, or that no chat template has. */
const UNSUPPORTED: ReadonlySet<string> = new Set(
  'extends block include import from autoescape do trans pluralize debug'.split(' '),
)

/** @throws TemplateError naming the line */
export function parseTemplate(source: string): readonly Statement[] {
  const parser = new StatementParser(tokenize(source))
  const statements = parser.body([])
  if (!parser.is('end')) parser.fail('nothing to end')
  return statements
}

class StatementParser extends ExpressionParser {
  #loops = 0

  /** Statements up to a tag of one of the names, which is not read; without names up to the end. */
  body(ends: readonly string[]): Statement[] {
    return this.nested(() => {
      const statements: Statement[] = []
      for (;;) {
        const token = this.current
        if (token.type === 'end') {
          if (ends.length > 0) this.fail(`{% ${ends.join(' %} or {% ')} %} expected`)
          return statements
        }
        this.advance()
        if (token.type === 'data') statements.push({ kind: 'text', text: token.text })
        else if (token.text === '{{') {
          statements.push({ kind: 'print', values: [this.tupleOrExpression()] })
          this.expect('close')
        } else {
          if (this.current.type === 'name' && ends.includes(this.current.text)) return statements
          statements.push(this.#statement())
        }
      }
    })
  }

  /** A body with the end of its own tag before it and of the last tag behind it. */
  #block(end: string): Statement[] {
    this.#closeTag()
    const statements = this.body([end])
    this.advance()
    this.expect('close')
    return statements
  }

  #closeTag(): void {
    this.skip('operator', ':')
    this.expect('close')
  }

  #statement(): Statement {
    const name = this.expect('name').text
    switch (name) {
      case 'if':
        return this.#if()
      case 'for':
        return this.#for()
      case 'set':
        return this.#set()
      case 'with':
        return this.#with()
      case 'macro':
        return this.#apart(() => {
          const macro = this.expect('name').text
          const parameters = this.#parameters()
          return { kind: 'macro', name: macro, parameters, body: this.#block('endmacro') }
        })
      case 'call':
        return this.#apart(() => this.#callBlock())
      case 'filter':
        return this.#filterBlock()
      case 'generation':
        return this.#apart(() => ({ kind: 'generation', body: this.#block('endgeneration') }))
      case 'print': {
        const values = [this.expression()]
        while (this.skip('operator', ',')) values.push(this.expression())
        this.expect('close')
        return { kind: 'print', values }
      }
      case 'break':
      case 'continue':
        if (this.#loops === 0) this.fail(`{% ${name} %} outside of a loop`)
        this.expect('close')
        return { kind: name }
      default:
        if (UNSUPPORTED.has(name)) throw notSupported(`{% ${name} %}`)
        return this.fail(`the unknown tag "${name}"`)
    }
  }

  /** What is called from elsewhere cannot end a loop around it. */
  #apart<T>(parse: () => T): T {
    const loops = this.#loops
    this.#loops = 0
    const result = parse()
    this.#loops = loops
    return result
  }

  #if(): Statement {
    const branches: (readonly [Expression, Statement[]])[] = []
    let otherwise: Statement[] = []
    for (;;) {
      const test = this.tupleOrExpression({ withCondition: false })
      this.#closeTag()
      branches.push([test, this.body(['elif', 'else', 'endif'])])
      const end = this.advance().text
      if (end === 'elif') continue
      if (end === 'else') otherwise = this.#block('endif')
      else this.expect('close')
      return { kind: 'if', branches, otherwise }
    }
  }

  #for(): Statement {
    const target = this.#target()
    this.expect('name', 'in')
    const items = this.#loopItems()
    const test = this.skip('name', 'if') ? this.expression() : undefined
    const recursive = this.skip('name', 'recursive')
    this.#closeTag()
    this.#loops++
    const body = this.body(['endfor', 'else'])
    this.#loops--
    const hasElse = this.advance().text === 'else'
    const otherwise = hasElse ? this.#block('endfor') : []
    if (!hasElse) this.expect('close')
    return { kind: 'for', target, items, test, body, otherwise, recursive }
  }

  /** As a tuple without conditions; "recursive" ends it. */
  #loopItems(): Expression {
    const first = this.expression(false)
    if (!this.skip('operator', ',')) return first
    const items = [first]
    while (!this.is('close') && !this.is('name', 'recursive')) {
      items.push(this.expression(false))
      if (!this.skip('operator', ',')) break
    }
    return { kind: 'tuple', items }
  }

  #set(): Statement {
    const target = this.#target(true)
    if (this.skip('operator', '=')) {
      const value = this.tupleOrExpression()
      this.expect('close')
      return { kind: 'set', target, value }
    }
    let filter: Expression | undefined
    while (this.skip('operator', '|')) filter = this.filter(filter)
    return { kind: 'setBlock', target, filter, body: this.#block('endset') }
  }

  #with(): Statement {
    const values: (readonly [Target, Expression])[] = []
    while (!this.is('close')) {
      if (values.length > 0) this.expect('operator', ',')
      const target = this.#target()
      this.expect('operator', '=')
      values.push([target, this.expression()])
    }
    return { kind: 'with', values, body: this.#block('endwith') }
  }

  #callBlock(): Statement {
    const parameters = this.is('operator', '(') ? this.#parameters() : []
    const call = this.expression()
    if (call.kind !== 'call') this.fail('a call expected')
    return { kind: 'callBlock', call, parameters, body: this.#block('endcall') }
  }

  #filterBlock(): Statement {
    let filter = this.filter(undefined)
    while (this.skip('operator', '|')) filter = this.filter(filter)
    return { kind: 'filterBlock', filter, body: this.#block('endfilter') }
  }

  #parameters(): readonly Parameter[] {
    const parameters: Parameter[] = []
    this.expect('operator', '(')
    while (!this.is('operator', ')')) {
      if (parameters.length > 0) this.expect('operator', ',')
      const name = this.expect('name').text
      const fallback = this.skip('operator', '=') ? this.expression() : undefined
      if (fallback === undefined && parameters.at(-1)?.fallback !== undefined) {
        this.fail('a parameter with a default before it')
      }
      if (parameters.some((other) => other.name === name))
        this.fail('a parameter of this name before it')
      parameters.push({ name, fallback })
    }
    this.advance()
    return parameters
  }

  /** What is assigned to: a name, several, or, in {% set %}, a part of a namespace. */
  #target(withNamespace = false): Target {
    const targets: Target[] = []
    let isTuple = false
    do {
      if (targets.length > 0 && !this.is('name') && !this.is('operator', '(')) break
      targets.push(this.nested(() => this.#oneTarget(withNamespace)))
      isTuple ||= this.is('operator', ',')
    } while (this.skip('operator', ','))
    return isTuple ? { kind: 'tuple', targets } : targets[0]
  }

  #oneTarget(withNamespace: boolean): Target {
    if (this.skip('operator', '(')) {
      const inside = this.#target(withNamespace)
      this.expect('operator', ')')
      return inside
    }
    const token = this.expect('name')
    if (/^([Tt]rue|[Ff]alse|[Nn]one)$/.test(token.text))
      this.fail(`a value assigned to ${token.text}`)
    if (!withNamespace || !this.skip('operator', '.')) return { kind: 'name', name: token.text }
    return { kind: 'attribute', of: token.text, name: this.expect('name').text }
  }
}
