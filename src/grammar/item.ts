/** States of the automaton: what may come next, and what behind it. */
import type { NumberState } from './number-state.ts'
import type { ArrayShape, ObjectShape, SchemaNode } from './schema-node.ts'
import type { StringState } from './string-state.ts'
import type { TrieNode } from './text-trie.ts'

/** In an object, behind `count` values; those named in the schema are behind us up to `next`. */
export interface ObjectPlace {
  readonly shape: ObjectShape
  readonly next: number
  readonly count: number
}

/** What may come next. */
export type Part =
  | { readonly kind: 'end' }
  /** A text without a word on what it is; it must not begin as a value of the schema could. */
  | { readonly kind: 'free'; readonly isBegun: boolean }
  /** A value, with a space before it if that is usual there. */
  | { readonly kind: 'value'; readonly node: SchemaNode; readonly maySpace: boolean }
  /** One of some texts. */
  | { readonly kind: 'texts'; readonly at: TrieNode }
  | { readonly kind: 'number'; readonly at: NumberState }
  | { readonly kind: 'string'; readonly at: StringState }
  /** One of the names that the schema has. */
  | { readonly kind: 'name'; readonly at: TrieNode; readonly in: ObjectPlace }
  /** Another name. */
  | { readonly kind: 'other'; readonly at: StringState; readonly in: ObjectPlace }
  /** Behind a brace, a value, or a comma. */
  | {
      readonly kind: 'object'
      readonly behind: 'brace' | 'value' | 'comma'
      readonly in: ObjectPlace
    }
  | {
      readonly kind: 'array'
      readonly isFirst: boolean
      readonly shape: ArrayShape
      readonly count: number
    }

export type Item = Part & {
  readonly id: number
  /** What comes when this is done. */
  readonly rest: Item | undefined
  /** Tokens to the end of everything. */
  readonly need: number
  /** What is known of what follows a byte. */
  steps: Map<number, readonly Item[]> | undefined
  begun: readonly Item[] | undefined
}
