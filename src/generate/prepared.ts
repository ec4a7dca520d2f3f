/**
 * A value that is made once, at a time that suits, and whose failure is thrown where it is asked for.
 */

export class Prepared<T> {
  readonly #make: () => T
  #outcome: { readonly value: T } | { readonly error: unknown } | undefined

  constructor(make: () => T) {
    this.#make = make
  }

  /** Makes the value now, if it is not made yet. Never throws. */
  prepare(): void {
    this.#ready()
  }

  /** @throws what making it threw */
  get(): T {
    const outcome = this.#ready()
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }

  #ready(): { readonly value: T } | { readonly error: unknown } {
    this.#outcome ??= this.#attempt()
    return this.#outcome
  }

  #attempt(): { readonly value: T } | { readonly error: unknown } {
    try {
      return { value: this.#make() }
    } catch (error) {
      return { error }
    }
  }
}
