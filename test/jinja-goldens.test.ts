/**
 * Templates against what jinja2 makes of them with the settings of transformers, written down by
 * scripts/jinja-goldens.py: real pieces of chat templates, every filter, test and method, and seeded random
 * ones. What we render is what jinja2 renders; what it refuses, we refuse.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { compileTemplate, TemplateError, TemplateRefusal } from '../src/jinja/index.ts'

interface Goldens {
  readonly made: { readonly now: string }
  /** The text is null where jinja2 ends with an error. */
  readonly templates: readonly (readonly [source: string, text: string | null])[]
}

function fixture<T>(name: string): T {
  const path = fileURLToPath(new URL(`fixtures/jinja/${name}.json`, import.meta.url))
  return JSON.parse(readFileSync(path, 'utf8')) as T
}

const { made, templates } = fixture<Goldens>('goldens')
const context = fixture<Record<string, unknown>>('context')

function render(source: string): { text?: string; error?: string } {
  try {
    return { text: compileTemplate(source)(context, { now: new Date(made.now) }) }
  } catch (error) {
    if (error instanceof TemplateError || error instanceof TemplateRefusal) {
      return { error: error.message }
    }
    throw error
  }
}

describe(`${templates.length} templates`, () => {
  const results = templates.map(([source, text]) => ({ source, wanted: text, ...render(source) }))

  test('that jinja2 renders give the same text, or are refused', () => {
    const rendered = results.filter(({ wanted, text }) => wanted !== null && text !== undefined)
    const wrong = rendered.filter(({ wanted, text }) => wanted !== text)
    expect(wrong).toEqual([])
    expect(rendered.length).toBeGreaterThan(1000)
  })

  test('that jinja2 ends with an error end with one here', () => {
    const failing = results.filter(({ wanted }) => wanted === null)
    expect(failing.filter(({ text }) => text !== undefined)).toEqual([])
    expect(failing.length).toBeGreaterThan(100)
  })

  test('are hardly ever refused where jinja2 renders them, and then with a reason', () => {
    const refused = results.filter(({ wanted, error }) => wanted !== null && error !== undefined)
    // Slices of constants that have none, "__class__", ints beyond 2^53, odd uses of urlencode.
    const reasons = refused.filter(
      ({ error }) => !/not supported here|has no parts from place to place/.test(error ?? ''),
    )
    expect(reasons).toEqual([])
    expect(refused.length).toBeLessThan(templates.length / 100)
  })
})
