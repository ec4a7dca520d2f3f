import { describe, expect, test } from 'vitest'
import { FormatError, UsageError } from '../errors.ts'
import { BITNET_2B_TEMPLATE, chooseTemplate, collectStopIds } from './chat-format.ts'
import { chatTemplate } from './chat-template.ts'

const hello = [{ role: 'user', content: 'Hello' }] as const

function render(
  source: string,
  messages: Parameters<ReturnType<typeof chatTemplate>>[0]['messages'] = hello,
) {
  const template = chatTemplate(source, { bos_token: '<s>', eos_token: '</s>' })
  return template({ messages, addGenerationPrompt: true, tokenBreak: '' })
}

describe('chatTemplate', () => {
  test('gives a template the messages and the names of tokens', () => {
    const source =
      "{{ bos_token }}{% for m in messages %}{{ m['role'] }}={{ m.content }}{% endfor %}{{ eos_token }}"
    expect(render(source)).toBe('<s>user=Hello</s>')
  })

  test('says that there are no tools, as transformers does', () => {
    expect(render('{% if tools is not none %}tools{% else %}none{% endif %}')).toBe('none')
  })

  test('a conversation that the template refuses is the mistake of the caller', () => {
    const source = "{{ raise_exception('roles must alternate') }}"
    expect(() => render(source)).toThrow(UsageError)
    expect(() => render(source)).toThrow(/roles must alternate/)
  })

  test('a faulty template is a fault of the file, found when it is used', () => {
    for (const source of ['{% for %}', '{{ messages.nothing() }}', '{% if true %}']) {
      const template = chatTemplate(source, {})
      const request = { messages: hello, addGenerationPrompt: true, tokenBreak: '' }
      expect(() => template(request)).toThrow(FormatError)
    }
  })

  test('values are shown as Python shows them, dates as strftime writes them', () => {
    expect(render("{{ true }} {{ none }} {{ ['a', true] }} {{ messages | count }}")).toBe(
      "True None ['a', True] 1",
    )
    expect(render("{% for c in 'ab' %}{{ c }},{% endfor %}{{ 'a,b'.rsplit(',', 1)[0] }}")).toBe(
      'a,b,a',
    )
    expect(() => render("{{ 'a' + 1 }}")).toThrow(FormatError)
    expect(render("{{ strftime_now('%A, %-d %B %y %j %I:%M %p %F') }}")).toMatch(
      /^[A-Z][a-z]+day, \d+ [A-Z][a-z]+ \d\d \d{3} \d\d:\d\d [AP]M \d{4}-\d\d-\d\d$/,
    )
  })

  test('what jinja2 has and this has not is refused with its name', () => {
    expect(() => render("{% include 'other' %}")).toThrow('{% include %}, which is not supported')
    expect(() => render('{{ messages | random }}')).toThrow('the filter "random", which is not')
  })

  test('a template that never ends is a fault of the file', () => {
    const loops = '{% for i in range(300) %}'.repeat(4) + '{% endfor %}'.repeat(4)
    expect(() => render(loops)).toThrow(/takes more steps than a chat template may/)
    const doubled = `{% set x = messages[0].content %}${'{% set x = x + x %}'.repeat(27)}{{ x }}`
    expect(() => render(doubled)).toThrow(FormatError)
  })

  test('a mask in a message stays what it is, also where a list of messages is shown', () => {
    const template = chatTemplate('{{ messages }}', {})
    const messages = [{ role: 'user', content: 'a\ue000b\ue001' }] as const
    const request = { messages, addGenerationPrompt: true, tokenBreak: '\ue001' }
    expect(template({ ...request, mask: '\ue000' })).toContain("'a\ue000b\ue001'")
    expect(template(request)).toContain("'a\\ue000b\ue001'")
  })

  test('loops over ranges are bounded, nested ones too', () => {
    expect(render('{% for i in range(3) %}{{ i }}{% endfor %}')).toBe('012')
    expect(render('{% for i in range(5, 1, -2) %}{{ i }}{% endfor %}')).toBe('53')
    const nested = '{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}'
    expect(() => render('{{ range(1000000000) }}')).toThrow(FormatError)
    expect(() => render(nested)).toThrow(FormatError)
    expect(() => render("{{ range('x') }}")).toThrow(FormatError)
  })

  test('dates are in English', () => {
    expect(render("{{ strftime_now('%d %b %Y %%') }}")).toMatch(/^\d\d [A-Z][a-z]{2} \d{4} %$/)
  })
})

describe('chat formats', () => {
  test("the converter's bogus template is replaced by the format of BitNet 2B-4T", () => {
    const bogus = '{% for m in messages %}Human: {{ m.content }}\n\nBITNETAssistant: {% endfor %}'
    const model = { isBitnet: false, vocabSize: 128256 }
    expect(chooseTemplate(bogus, model)).toBe(BITNET_2B_TEMPLATE)
  })

  test('BitNet 2B-4T without a template gets its own, other models none', () => {
    expect(chooseTemplate(undefined, { isBitnet: true, vocabSize: 128256 })).toBe(
      BITNET_2B_TEMPLATE,
    )
    expect(chooseTemplate(undefined, { isBitnet: true, vocabSize: 16384 })).toBeUndefined()
    expect(chooseTemplate(undefined, { isBitnet: false, vocabSize: 128256 })).toBeUndefined()
  })

  test("a model's own template is kept", () => {
    expect(chooseTemplate('{{ 1 }}', { isBitnet: true, vocabSize: 128256 })).toBe('{{ 1 }}')
  })

  test("BitNet 2B-4T's format has no new lines and ends in a space", () => {
    const messages = [
      { role: 'system', content: ' Be kind.\n' },
      { role: 'user', content: 'Hi' },
    ] as const
    expect(render(BITNET_2B_TEMPLATE, messages)).toBe(
      '<s>System: Be kind.<|eot_id|>User: Hi<|eot_id|>Assistant: ',
    )
  })

  test('end tokens are the declared ones and the well-known added tokens, each once', () => {
    const added = [
      { id: 9, content: '<|eot_id|>' },
      { id: 7, content: '<|start|>' },
      { id: 5, content: '<|im_end|>' },
    ]
    expect(collectStopIds([9, 2], added)).toEqual([2, 5, 9])
  })
})
