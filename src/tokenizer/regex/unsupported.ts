/** What is thrown for an expression that is not matched here; its reader says where it stood. */
export class ExpressionError extends Error {}

/** @param what for people: "backreferences" */
export function unsupported(what: string): ExpressionError {
  return new ExpressionError(`${what} cannot be matched`)
}
