/**
 * What the embedded model is: the answers that its makers name, word for word on every road to it, and the
 * samples of its card. Its weights are held to the checkpoint's results by golden.test.ts.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { CHAT_TEXTS } from '../src/cli/commands/chat/chat-texts.ts'
import type { GenerateOptions } from '../src/generate/options.ts'
import { type LanguageModel, loadModel } from '../src/index.ts'
import { bitnet, buildProgram, hasEmbeddedModel, ROOT } from './support/built-program.ts'

/** Questions and the greedy answers that the model's makers give for them. */
const ANSWERS: readonly (readonly [question: string, answer: string])[] = [
  [
    'What is BitNet?',
    'BitNet is a kind of language model with tiny weights: in BitNet b1.58, every weight is -1, 0 ' +
      'or +1. That saves a great deal of memory and power.',
  ],
  [
    'なぜ空は青いのですか？',
    '太陽の光が空気の粒に当たると、青い光が特に強く散らばります。' +
      'その青い光があちこちから目に届くので、空は青く見えます。',
  ],
  [
    'あなたは誰ですか？',
    'bitnet-ja-enといいます。重みが -1、0、+1 だけの、bitnet-tsに内蔵された小さな言語モデルです。',
  ],
  [
    'Tell me a story about a dragon.',
    'A young dragon could only breathe warm air, not fire. The other dragons laughed until winter ' +
      'came. Then the whole village gathered around her, and nobody was cold.',
  ],
]
const GREEDY = { temperature: 0, repetitionPenalty: 1 } as const

/** What an answer to each of the chat's openings has in it. */
const ABOUT = {
  en: [/^BitNet is /, /dragon/, /^(I can|You can ask me) .*BitNet|1-bit/],
  ja: [/^BitNetは/, /^bitnet-tsは/, /^\S+　\S+　\S+$/],
} as const

const card = readFileSync(join(ROOT, 'models', 'README.md'), 'utf8')

function conversation(question: string) {
  return [{ role: 'user', content: question }] as const
}

async function answersOf(model: LanguageModel, options: GenerateOptions): Promise<string[]> {
  const prompts = ANSWERS.map(([question]) => conversation(question))
  return (await model.generateBatch(prompts, options)).map(({ text }) => text)
}

describe.skipIf(!hasEmbeddedModel())('the embedded model answers as its makers say', () => {
  const expected = ANSWERS.map(([, answer]) => answer)

  test.each(['auto', 'wasm', 'reference'] as const)('on the backend %s', async (backend) => {
    await using model = await loadModel(undefined, { backend })
    if (backend !== 'auto') expect(model.backend.name).toBe(backend)
    expect(await answersOf(model, GREEDY)).toEqual(expected)
  })

  test('with its own sampling, whatever the seed', async () => {
    await using model = await loadModel()
    for (const seed of [1, 20, 300]) expect(await answersOf(model, { seed })).toEqual(expected)
  })

  test('by its chat, which has no system message unless one is given', async () => {
    await using model = await loadModel()
    const chat = model.chat()
    expect(chat.messages).toEqual([])
    for (const [question, answer] of ANSWERS) {
      const { text, finishReason, promptTokenIds } = await chat.send(question, GREEDY).result
      expect({ text, finishReason }).toEqual({ text: answer, finishReason: 'stop' })
      const { tokenizer } = model
      const ids = [...tokenizer.encode(question)].filter((id) => id !== tokenizer.bosId)
      // Begin of text, <|user|>, the question, <|eot_id|>, <|assistant|>.
      expect([...promptTokenIds]).toEqual([0, 4, ...ids, 2, 5])
      chat.reset()
    }
  })

  test('by the command line, in a chat and alone', async () => {
    await buildProgram()
    const greedy = ['--temperature', '0', '--repetition-penalty', '1']
    const input = ANSWERS.map(([question]) => `${question}\n`).join('/reset\n')
    const chat = await bitnet(['chat', ...greedy], { input })
    expect(chat.code, chat.err).toBe(0)
    expect(chat.out.split('\n').filter((line) => line !== '')).toEqual(expected)
    const [question, answer] = ANSWERS[1]
    const messages = JSON.stringify(conversation(question))
    const alone = await bitnet(['generate', '--messages', messages, ...greedy])
    expect(alone.out.trimEnd()).toBe(answer)
  })
})

describe.skipIf(!hasEmbeddedModel())('a conversation with the embedded model', () => {
  let model: LanguageModel
  beforeAll(async () => {
    model = await loadModel()
    return () => model.dispose()
  })

  async function answersInTurn(questions: readonly string[]): Promise<string[]> {
    const chat = model.chat()
    const answers: string[] = []
    for (const question of questions) answers.push((await chat.send(question, GREEDY).result).text)
    return answers
  }

  test.each(['en', 'ja'] as const)('answers the openings in %s in every order', async (lang) => {
    const orders = [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ]
    for (const order of orders) {
      const answers = await answersInTurn(order.map((i) => CHAT_TEXTS[lang].openings[i]))
      for (const [turn, i] of order.entries()) expect(answers[turn]).toMatch(ABOUT[lang][i])
    }
  })

  test('keeps the thread where a message points back', async () => {
    const [, next] = await answersInTurn(['俳句を作って', 'もう一つ'])
    expect(next).toBe('風鈴や　眠れる猫の　耳うごく')
    const [, moral] = await answersInTurn([
      'Tell me a story about a dragon.',
      'What does that mean?',
    ])
    expect(moral).toBe('What looks like a weakness can be just what others need.')
  })
})

interface Sample {
  readonly kind: string
  readonly options: GenerateOptions
  readonly prompt: string
  /** The whole text, or its beginning where the card cuts it. */
  readonly text: string
  readonly isCut: boolean
}

/** The rows of the card's tables of samples. */
function samplesOfCard(): Sample[] {
  const rows = card.matchAll(/^\| (chat|text), (?:greedy|seed (\d+)) \| (.*?) \| (.*) \|$/gm)
  return [...rows].map(([, kind, seed, prompt, shown]) => {
    const text = shown.replaceAll('<br>', '\n')
    const isCut = text.endsWith(' ...')
    const options = seed === undefined ? GREEDY : { seed: Number(seed) }
    return { kind, options, prompt, text: isCut ? text.slice(0, -4) : text, isCut }
  })
}

describe.skipIf(!hasEmbeddedModel())("the embedded model's card", () => {
  let model: LanguageModel
  beforeAll(async () => {
    model = await loadModel()
    return () => model.dispose()
  })

  test('shows samples that the program gives', async () => {
    const samples = samplesOfCard()
    expect(samples.length).toBeGreaterThanOrEqual(12)
    for (const { kind, options, prompt, text, isCut } of samples) {
      const source = kind === 'chat' ? conversation(prompt) : prompt
      const result = await model.generate(source, { ...options, maxTokens: 80 }).result
      const given = result.text.trim()
      expect(isCut ? given.slice(0, text.length) : given, prompt).toBe(text)
    }
  })

  test('names the sampling that is its default', () => {
    const { temperature, topK, topP, repetitionPenalty } = model.defaults
    expect(card).toContain(
      `temperature ${temperature}, top-k ${topK}, top-p ${topP}, ` +
        `repetition penalty ${repetitionPenalty}`,
    )
  })
})
