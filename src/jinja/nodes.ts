/** A parsed template. */

import type { Operator } from './operators.ts'
import type { Value } from './values.ts'

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in'

export interface CallArguments {
  readonly positional: readonly Expression[]
  readonly named: readonly (readonly [name: string, value: Expression])[]
  /** `*list` and `**dict`. */
  readonly rest: Expression | undefined
  readonly namedRest: Expression | undefined
}

export type Expression =
  | { readonly kind: 'constant'; readonly value: Value }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'list' | 'tuple'; readonly items: readonly Expression[] }
  | { readonly kind: 'dict'; readonly pairs: readonly (readonly [Expression, Expression])[] }
  | { readonly kind: 'attribute'; readonly of: Expression; readonly name: string }
  | { readonly kind: 'item'; readonly of: Expression; readonly key: Expression }
  | {
      readonly kind: 'slice'
      readonly of: Expression
      readonly bounds: readonly [
        Expression | undefined,
        Expression | undefined,
        Expression | undefined,
      ]
    }
  | { readonly kind: 'call'; readonly callee: Expression; readonly args: CallArguments }
  | {
      readonly kind: 'filter'
      /** Undefined in front of a block that is filtered. */
      readonly input: Expression | undefined
      readonly name: string
      readonly args: CallArguments
    }
  | {
      readonly kind: 'test'
      readonly input: Expression
      readonly name: string
      readonly args: CallArguments
      readonly negated: boolean
    }
  | {
      readonly kind: 'binary'
      readonly operator: Operator
      readonly left: Expression
      readonly right: Expression
    }
  | { readonly kind: 'sign'; readonly sign: '-' | '+'; readonly value: Expression }
  | { readonly kind: 'not'; readonly value: Expression }
  | { readonly kind: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'concat'; readonly parts: readonly Expression[] }
  | {
      readonly kind: 'compare'
      readonly first: Expression
      readonly rest: readonly (readonly [Comparison, Expression])[]
    }
  | {
      readonly kind: 'condition'
      readonly test: Expression
      readonly yes: Expression
      readonly no: Expression | undefined
    }

export type Target =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'tuple'; readonly targets: readonly Target[] }
  | { readonly kind: 'attribute'; readonly of: string; readonly name: string }

export interface Parameter {
  readonly name: string
  readonly fallback: Expression | undefined
}

export interface MacroBody {
  readonly parameters: readonly Parameter[]
  readonly body: readonly Statement[]
}

export type Statement =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly values: readonly Expression[] }
  | {
      readonly kind: 'if'
      readonly branches: readonly (readonly [test: Expression, body: readonly Statement[]])[]
      readonly otherwise: readonly Statement[]
    }
  | {
      readonly kind: 'for'
      readonly target: Target
      readonly items: Expression
      readonly test: Expression | undefined
      readonly body: readonly Statement[]
      readonly otherwise: readonly Statement[]
      readonly recursive: boolean
    }
  | { readonly kind: 'set'; readonly target: Target; readonly value: Expression }
  | {
      readonly kind: 'setBlock'
      readonly target: Target
      readonly filter: Expression | undefined
      readonly body: readonly Statement[]
    }
  | {
      readonly kind: 'with'
      readonly values: readonly (readonly [Target, Expression])[]
      readonly body: readonly Statement[]
    }
  | ({ readonly kind: 'macro'; readonly name: string } & MacroBody)
  | ({ readonly kind: 'callBlock'; readonly call: Expression } & MacroBody)
  | {
      readonly kind: 'filterBlock'
      readonly filter: Expression
      readonly body: readonly Statement[]
    }
  /** What is inside {% generation %}: marked for training elsewhere, shown as it is here. */
  | { readonly kind: 'generation'; readonly body: readonly Statement[] }
  | { readonly kind: 'break' | 'continue' }
