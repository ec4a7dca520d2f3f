/**
 * `bitnet embed`: vectors of texts, and how near the texts are to each other.
 */
import { withoutUnset } from '../../../checks.ts'
import { type BitnetError, type FormatError, UsageError } from '../../../errors.ts'
import { encodeToEmbed } from '../../../generate/embed.ts'
import type { LanguageModel } from '../../../generate/language-model.ts'
import type { Steps } from '../../../steps.ts'
import { inTurns } from '../../../turns.ts'
import type { CommandContext } from '../../command-context.ts'
import { whyRefused } from '../../console/failure.ts'
import { readLines } from '../../console/input.ts'
import { counted, formatCount } from '../../console/quantities.ts'
import type { ReportPart } from '../../console/table.ts'
import { defineCommand } from '../../define-command.ts'
import { wholeNumber } from '../../flags/flag-values.ts'
import { addModelFlags, type ModelFlags } from '../../flags/load-flags.ts'

export interface EmbedFlags extends ModelFlags {
  readonly prompt?: readonly string[]
  readonly file?: string
  readonly dimensions?: number
  readonly json?: boolean
}

/** How a text's vector comes about, for people and for --json. */
const POOLING = 'last token, final norm, length one'
/** Texts of which each pair is shown; of more only the nearest. */
const MAX_PAIRED = 12
/** Texts of which the nearest are looked for: the work grows with their square. */
const MAX_COMPARED = 2000
const SHOWN_CHARS = 40
const SHOWN_NUMBERS = 4

export const command = defineCommand<EmbedFlags>({
  flags(command) {
    command
      .option('-p, --prompt <text...>', 'texts')
      .option(
        '-f, --file <path>',
        'texts, one a line (blank lines are skipped); "-" reads standard input',
      )
    addModelFlags(command).option(
      '--dimensions <count>',
      'keep the first numbers of each vector only (default: all)',
      wholeNumber({ min: 1 }),
    )
  },
  json: 'print one JSON object with the vectors, and nothing else',
  examples: `\
  $ bitnet embed -m bitnet-embedding.gguf -p "a cat sleeps" "a dog sleeps" "tax law"
  $ bitnet embed -m bitnet-embedding.gguf --file lines.txt --json > vectors.json

Vectors of models that were trained for it (BitNet-embedding) are near where texts mean the same; any
other model gives what it computes for a text's last token.`,
  async run(context, flags) {
    const given = await readTexts(flags, context)
    await using model = await context.loadModel(flags)
    const began = performance.now()
    const { signal } = context
    const refusals = await inTurns(given, (one) => refusalOf(one, model), signal)
    const texts = given.flatMap(({ text }, i) => (refusals[i] === undefined ? [text] : []))
    const { dimensions } = flags
    const vectors = await model.embed(texts, { ...withoutUnset({ dimensions }), signal })
    const elapsedMs = performance.now() - began
    if (vectors.length > 0) await report(model, texts, vectors, context)
    for (const error of refusals) if (error !== undefined) await context.complain(error.message)
    const time = `${counted(texts.length, 'text')} in ${(elapsedMs / 1000).toFixed(2)} s`
    await context.remark(`${time} · ${model.backend.description}`)
  },
})

/** A text as it was given: an argument, or a line of a file. */
interface GivenText {
  readonly what: string
  readonly text: string
  readonly error?: FormatError
}

/** @throws UsageError unless there are texts */
async function readTexts(flags: EmbedFlags, { stdin }: CommandContext): Promise<GivenText[]> {
  const { prompt = [], file } = flags
  const lines = file === undefined ? [] : await readLines(file, stdin)
  const texts: GivenText[] = [
    ...prompt.map((text, i) => ({ text, what: `text ${i + 1}` })),
    ...lines.map((line) => ({ ...line, what: `line ${line.number}` })),
  ]
  if (texts.length > 0) return texts
  throw new UsageError(
    'Expected texts: give -p TEXT..., or --file with a text a line. See: bitnet embed --help',
  )
}

/** A text that has no vector costs itself alone. */
function* refusalOf(
  { what, text, error }: GivenText,
  { tokenizer, contextLength }: LanguageModel,
): Steps<BitnetError | undefined> {
  return error ?? (yield* whyRefused(() => encodeToEmbed(tokenizer, text, { contextLength }, what)))
}

async function report(
  model: LanguageModel,
  texts: readonly string[],
  vectors: readonly Float32Array[],
  context: CommandContext,
): Promise<void> {
  const dimensions = vectors[0].length
  const isTrainedForIt = model.config.inputNorms === true
  const value = {
    model: model.name,
    dimensions,
    pooling: POOLING,
    isTrainedForIt,
    backend: model.backend,
    // Made into numbers when they are written: all at once would take several times their memory.
    embeddings: texts.map((text, i) => ({ text, vector: { toJSON: () => [...vectors[i]] } })),
  }
  await context.print(value, () => [
    [
      ['model', model.name + (isTrainedForIt ? '' : ' (not trained for embeddings)')],
      ['vectors', `${dimensions} numbers: ${POOLING}`],
    ],
    '',
    ...describeTexts(texts, vectors),
  ])
}

function describeTexts(texts: readonly string[], vectors: readonly Float32Array[]): ReportPart[] {
  if (texts.length === 1) {
    const first = [...vectors[0].subarray(0, SHOWN_NUMBERS)].map((v) => v.toFixed(4))
    return [`${first.join(' ')} ...  (--json has all of them)`]
  }
  if (texts.length > MAX_COMPARED) {
    return [`${formatCount(texts.length)} vectors; --json writes them.`]
  }
  const numbers = texts.map((_, i) => String(i + 1))
  if (texts.length <= MAX_PAIRED) {
    const rows = texts.map((text, i) => [
      numbers[i],
      shorten(text),
      ...vectors.map((vector) => cosine(vectors[i], vector).toFixed(3)),
    ])
    return [{ header: ['', 'text', ...numbers], rows, right: numbers.map((_, i) => i + 2) }]
  }
  const rows = texts.map((text, i) => {
    const near = nearest(vectors, i)
    return [
      numbers[i],
      shorten(text),
      numbers[near],
      shorten(texts[near]),
      cosine(vectors[i], vectors[near]).toFixed(3),
    ]
  })
  return [{ header: ['', 'text', '', 'nearest', 'cosine'], rows, right: [0, 2, 4] }]
}

/** The other text with the largest cosine. */
function nearest(vectors: readonly Float32Array[], of: number): number {
  let best = of === 0 ? 1 : 0
  for (const [i, vector] of vectors.entries()) {
    if (i !== of && cosine(vectors[of], vector) > cosine(vectors[of], vectors[best])) best = i
  }
  return best
}

/** Of vectors of length one. */
function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, v, i) => sum + v * b[i], 0)
}

function shorten(text: string): string {
  const characters = [...text]
  if (characters.length <= SHOWN_CHARS) return text
  return `${characters.slice(0, SHOWN_CHARS - 3).join('')}...`
}
