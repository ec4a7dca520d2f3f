/**
 * Templates that would never end, or eat all memory, end with an error after bounded work; those that take
 * much because they are given much are rendered.
 */
import { describe, expect, test } from 'vitest'
import { compileTemplate, TemplateError } from './index.ts'

const doubled = (what: string, times: number) =>
  `{% set x = ${what} %}${'{% set x = x + x %}'.repeat(times)}`

const HOSTILE: readonly (readonly [name: string, source: string])[] = [
  ['loops in loops', '{% for a in range(300) %}'.repeat(4) + '{% endfor %}'.repeat(4)],
  ['loops over a text', "{% for a in 'a' * 3000 %}".repeat(4) + '{% endfor %}'.repeat(4)],
  ['a macro that calls itself', '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}'],
  [
    'a macro that calls itself twice',
    '{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}',
  ],
  ['a recursive loop', '{% set x = [1] %}{% for a in [x] recursive %}{{ loop([x]) }}{% endfor %}'],
  ['a text that is doubled', `${doubled("'0123456789abcdef'", 27)}{{ x|length }}`],
  ['a list that is doubled', `${doubled('[1]', 30)}{{ x|length }}`],
  ['lists of themselves, shown', `${'{% set x = [x, x] %}'.repeat(60)}{{ x }}`],
  [
    'lists of themselves, as JSON',
    `{% set x = 1 %}${'{% set x = [x, x] %}'.repeat(60)}{{ x|tojson }}`,
  ],
  [
    'lists of themselves, compared',
    `{% set x = 1 %}{% set y = 1 %}${'{% set x = [x, x] %}{% set y = [y, y] %}'.repeat(60)}{{ x == y }}`,
  ],
  ['a text times a number', "{{ 'a' * 1000000000 }}"],
  [
    'equal texts',
    "{% set x = 'a' * 4000000 %}{% set y = 'a' * 4000000 %}{% for i in range(100000) %}{% if x == y %}{% endif %}{% endfor %}",
  ],
  [
    'equal keys',
    "{% set x = 'a' * 4000000 %}{% set d = {'a' * 4000000: 1} %}{% for i in range(100000) %}{{ d[x] }}{% endfor %}",
  ],
  [
    'equal keys looked for',
    "{% set x = 'a' * 4000000 %}{% set d = {'a' * 4000000: 1} %}{% for i in range(100000) %}{% if x in d %}{% endif %}{% endfor %}",
  ],
  ['texts without case', "{{ (['a' * 4000000] * 100000)|unique|list|length }}"],
  [
    'copies of a dict',
    '{% set ns = namespace(d={}) %}{% for i in range(100000) %}{% set ns.d = dict(ns.d, **{i|string: i}) %}{% endfor %}',
  ],
  [
    'arguments from a list',
    '{% set x = [1] * 1000000 %}{% for i in range(100000) %}{{ range(*x) }}{% endfor %}',
  ],
  ['a list times a number', '{{ [1] * 1000000000 }}'],
  [
    'chains of replace',
    `{% set x = 'a' %}${"{% set x = x|replace('a', 'aaaaaaaaaa') %}".repeat(12)}`,
  ],
  ['replace between all', `{% set x = 'a' * 10000 %}{{ x.replace('', x) }}`],
  ['join with a long text', "{{ range(100000)|join('a' * 10000) }}"],
  ['a wide field', "{{ 'a'.center(1000000000) }}"],
  ['a wide format', "{{ '%1000000000d' % 1 }}"],
  ['a wide format of braces', "{{ '{:1000000000}'.format(1) }}"],
  ['many digits', "{{ '%.1000000000f' % 1.5 }}"],
  ['an indent of many columns', "{{ 'a\\nb'|indent(1000000000) }}"],
  ['JSON with wide levels', '{{ [[[[1]]]]|tojson(indent=1000000000) }}'],
  ['tabs', "{{ ('\\t' * 1000).expandtabs(1000000000) }}"],
  ['filled lists', '{{ [1]|batch(1000000000, 1)|list|length }}'],
  ['many parts', '{{ [1]|slice(1000000000)|list|length }}'],
  [
    'searching a long text for ever',
    "{% set x = 'a' * 20000000 %}{% for i in range(100000) %}{{ x.find('b') }}{% endfor %}",
  ],
  ['sorting for ever', '{% for i in range(100000) %}{% set y = range(1000)|sort %}{% endfor %}'],
  ['text without end', "{% set x = 'a' * 100000 %}{% for i in range(1000) %}{{ x }}{% endfor %}"],
  ['brackets in brackets', `{{ ${'['.repeat(5000)}${']'.repeat(5000)} }}`],
  ['nots', `{{ ${'not '.repeat(5000)}1 }}`],
  ['signs', `{{ ${'-'.repeat(5000)}1 }}`],
  ['conditions', `{{ ${'1 if 1 else '.repeat(5000)}1 }}`],
  ['tags in tags', '{% if 1 %}'.repeat(5000) + '{% endif %}'.repeat(5000)],
  ['a template without end', ' '.repeat(1 << 19)],
]

describe('a template that asks for too much', () => {
  test.each(HOSTILE)('by %s is refused', (_, source) => {
    expect(() => compileTemplate(source)({})).toThrow(TemplateError)
  })

  test('leaves nothing behind: the next one has a budget of its own', () => {
    const render = compileTemplate('{% for a in range(90000) %}{{ a }}{% endfor %}')
    const first = render({})
    expect(first).toHaveLength(10 + 90 * 2 + 900 * 3 + 9000 * 4 + 80_000 * 5)
    for (let i = 0; i < 5; i++) expect(render({})).toBe(first)
  })
})

test.each([
  ['spaces in front of tags', `${' '.repeat(100_000)}{{ 1 }}`],
  ['braces that open nothing', '{ '.repeat(100_000)],
  ['spaces behind tags', `{{ 1 -}}${' '.repeat(100_000)}a`],
  ['tags', '{{ 1 -}} '.repeat(25_000)],
])('%s are read in time by their number, not by its square', (_, source) => {
  // The square takes minutes, which the time limit of tests ends.
  expect(compileTemplate(source)({}).length).toBeGreaterThan(1)
})

test('a conversation of many long messages is rendered', () => {
  const messages = Array.from({ length: 4000 }, (_, i) => {
    return { role: i % 2 ? 'assistant' : 'user', content: ` message ${i} `.repeat(100) }
  })
  const source =
    "{% set ns = namespace(text='') %}{% for m in messages %}{% if m.role == 'user' %}" +
    "{% set ns.text = m.content | trim %}{{ '<u>' + ns.text + '</u>' }}{% else %}" +
    "{{ '<a>' + m.content.split('</think>')[-1].lstrip() + '</a>' }}{% endif %}{% endfor %}"
  const text = compileTemplate(source)({ messages })
  expect(text).toContain('message 3999')
  expect(text.length).toBeGreaterThan(4_000_000)
})
