/** Why a template cannot be rendered, as the end of a sentence about it. */
export class TemplateError extends Error {}

/** What jinja2 does and this interpreter does not, or not with the same result. */
export function notSupported(what: string): TemplateError {
  return new TemplateError(`it uses ${what}, which is not supported here`)
}
