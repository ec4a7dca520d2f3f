/**
 * What a template may cost. A template is a program from a file: it may loop, recurse and double texts for
 * ever, so that every node, item and character that it asks for is counted. Only bounded work happens
 * between two counts, so that no clock is needed to end it.
 */
import { TemplateError } from './errors.ts'

/** Most steps of a rendering, beside those that its input adds; a large real template takes some 1,000 a message. */
const STEPS = 3_000_000
const STEPS_PER_CHARACTER = 32
/** Characters that texts and lists may have together, however soon they are forgotten. */
const CHARACTERS = 1 << 24
const MADE_PER_CHARACTER = 64
/** Characters of the result. */
const OUTPUT = 1 << 20
const OUTPUT_PER_CHARACTER = 4
/** Macros inside macros. Python ends at about 200. */
const MAX_DEPTH = 150
/** A list's item counts as so many characters. */
const ITEM_CHARACTERS = 8
/** Characters that take as long to look at as a step. */
const CHARACTERS_PER_STEP = 64

export class Budget {
  #steps: number
  #characters: number
  #output: number
  #depth = 0

  /** @param inputLength characters that the caller gives the template */
  constructor(inputLength: number) {
    this.#steps = STEPS + STEPS_PER_CHARACTER * inputLength
    this.#characters = CHARACTERS + MADE_PER_CHARACTER * inputLength
    this.#output = OUTPUT + OUTPUT_PER_CHARACTER * inputLength
  }

  /** @throws TemplateError when nothing is left, as all methods here */
  step(count = 1): void {
    this.#steps -= count
    if (!(this.#steps >= 0)) throw tooMuch('steps')
  }

  /** Text that is looked at. */
  read(length: number): void {
    this.step(1 + Math.floor(length / CHARACTERS_PER_STEP))
  }

  /** Text that comes into being; to be asked before it does. */
  make(length: number): void {
    this.#characters -= length
    if (!(this.#characters >= 0)) throw tooMuch('memory')
    this.read(length)
  }

  /** Items of a list that comes into being; to be asked before it does. */
  makeItems(count: number): void {
    this.step(count)
    this.make(count * ITEM_CHARACTERS)
  }

  /** Text of the result. */
  write(length: number): void {
    this.#output -= length
    if (!(this.#output >= 0)) throw tooMuch('text')
  }

  /** Runs what may call itself. */
  nested<T>(work: () => T): T {
    if (this.#depth === MAX_DEPTH) throw new TemplateError('it calls itself too deeply')
    this.#depth++
    try {
      return work()
    } finally {
      this.#depth--
    }
  }
}

function tooMuch(what: string): TemplateError {
  return new TemplateError(`it takes more ${what} than a chat template may, as if it never ended`)
}
