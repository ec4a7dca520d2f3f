/**
 * `bitnet inspect`: what is in a model file, without running it.
 */
import type { Command } from 'commander'
import { BitnetError } from '../errors.ts'
import type { OpenedModel } from '../formats/model-file.ts'
import { loadTokenizer } from '../generate/assemble-model.ts'
import type { CacheType } from '../kernels/commands.ts'
import { openModelFile } from '../node/open-model.ts'
import { resolveModel } from '../node/resolve-model.ts'
import { KV_HELP, parseKv } from './generation-flags.ts'
import { inspectModel, type MemoryNeed, type ModelInspection } from './model-inspection.ts'
import { formatBytes, formatCount, formatPercent } from './quantities.ts'
import { EXIT, type Surroundings } from './surroundings.ts'
import { formatFacts, formatTable, stackedBar } from './table.ts'
import { StatusLine, writeJson, writeLine } from './terminal.ts'

export interface InspectFlags {
  readonly kv?: CacheType
  readonly json?: boolean
}

/** What the tokenizer is, or why it cannot be used. */
type TokenizerInspection =
  | {
      readonly description: string
      readonly vocabSize: number
      readonly bosId: number | null
      readonly stopIds: readonly number[]
      readonly chatTemplate: string | null
    }
  | { readonly problem: string }

const BAR_WIDTH = 40
const TEMPLATE_CHARS = 160

export function addInspectCommand(
  program: Command,
  run: (source: string | undefined, flags: InspectFlags) => Promise<void>,
): void {
  program
    .command('inspect')
    .description('show what is in a model file')
    .argument('[model]', 'embedded name, .gguf, .safetensors or folder (default: embedded)')
    .option('--kv <type>', KV_HELP, parseKv)
    .option('--json', 'print one JSON object, and nothing else, on standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ bitnet inspect
  $ bitnet inspect model.gguf
  $ bitnet inspect folder-with-safetensors/ --json`,
    )
    .action(run)
}

/** @returns the exit code */
export async function runInspect(
  source: string | undefined,
  flags: InspectFlags,
  { stdout, stderr }: Surroundings,
): Promise<number> {
  const path = await resolveModel(source)
  const opened = await openModelFile(path)
  const line = new StatusLine(stderr)
  try {
    const onLayer = (layer: number, count: number) =>
      line.show(`Counting the weights of layer ${layer + 1} of ${count}`)
    const inspection = await inspectModel(opened.file, onLayer, flags.kv)
    line.clear()
    const tokenizer = inspectTokenizer(opened, inspection)
    if (flags.json) await writeJson(stdout, { path, ...inspection, tokenizer })
    else await writeLine(stdout, describe(inspection, tokenizer).join('\n'))
    return EXIT.ok
  } finally {
    line.clear()
    await opened.file.close()
  }
}

function inspectTokenizer(opened: OpenedModel, { config }: ModelInspection): TokenizerInspection {
  try {
    const tokenizer = loadTokenizer(opened, config?.vocabSize ?? 0)
    const { description, vocabSize, bosId = null, stopIds, chatTemplate = null } = tokenizer
    return { description, vocabSize, bosId, stopIds, chatTemplate }
  } catch (error) {
    if (!(error instanceof BitnetError)) throw error
    return { problem: error.message }
  }
}

function describe(model: ModelInspection, tokenizer: TokenizerInspection): string[] {
  return [
    ...formatFacts(modelFacts(model)),
    ...(model.layers.length > 0 ? ['', ...describeLayers(model)] : []),
    '',
    ...formatFacts(tokenizerFacts(tokenizer)),
    ...(model.memory === null ? [] : ['', ...formatFacts(memoryFacts(model.memory))]),
    '',
    ...describeTensors(model),
  ]
}

type Fact = readonly [name: string, value: string]

function modelFacts(model: ModelInspection): Fact[] {
  const { config, parameters } = model
  const facts: Fact[] = [
    ['model', config?.name ?? model.name],
    ['format', model.format],
    [
      'parameters',
      `${formatCount(parameters.total)}: ${formatCount(parameters.ternary)} ternary, ` +
        `${formatCount(parameters.other)} other`,
    ],
    ['tensor data', formatBytes(model.tensorBytes)],
    [
      'bits a weight',
      parameters.ternary === 0
        ? model.bitsPerWeight.toFixed(2)
        : `${model.bitsPerWeight.toFixed(2)} in all, ` +
          `${model.ternaryBitsPerWeight.toFixed(2)} for the ternary ones`,
    ],
  ]
  if (model.origins.length > 0) {
    const loss = model.lossless ? '' : ' (rounded while reading)'
    facts.push(['ternary from', model.origins.join('; ') + loss])
  }
  if (config === null) return [...facts, ['cannot run', model.problem ?? 'unknown']]
  return [
    ...facts,
    ['architecture', config.architecture],
    ['layers', `${config.nLayers}, dim ${config.dim}, feed-forward ${config.ffnDim}`],
    [
      'attention',
      `${config.nHeads} heads of ${config.headDim}, ${config.nKvHeads} for keys and values`,
    ],
    ['activation', config.activation + (config.subNorms ? ', with sub-norms' : '')],
    ['vocabulary', `${config.vocabSize}${config.tiedHead ? ', head tied to the embedding' : ''}`],
    ['context', `${config.contextLength} tokens, rope theta ${config.ropeTheta}`],
  ]
}

function describeLayers({ layers }: ModelInspection): string[] {
  return [
    'Ternary weights by layer: - is -1, . is 0, + is +1',
    ...formatTable(
      ['layer', '-1', '0', '+1', ''],
      layers.map(({ layer, minus, zero, plus }) => [
        String(layer),
        formatPercent(minus),
        formatPercent(zero),
        formatPercent(plus),
        stackedBar([minus, zero, plus], ['-', '.', '+'], BAR_WIDTH),
      ]),
      [0, 1, 2, 3],
    ),
  ]
}

function describeTensors({ tensors }: ModelInspection): string[] {
  return formatTable(
    ['tensor', 'type', 'shape', 'bytes'],
    tensors
      .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
      .map(({ name, type, shape, bytes }) => [name, type, shape.join(' x '), String(bytes)]),
    [3],
  )
}

function tokenizerFacts(tokenizer: TokenizerInspection): Fact[] {
  if ('problem' in tokenizer) return [['tokenizer', tokenizer.problem]]
  return [
    ['tokenizer', tokenizer.description],
    ['begin token', tokenizer.bosId === null ? 'none' : String(tokenizer.bosId)],
    ['end tokens', tokenizer.stopIds.join(', ')],
    ['chat template', shorten(tokenizer.chatTemplate) ?? 'none: a base model'],
  ]
}

/** The template's beginning on one line; --json has it whole. */
function shorten(template: string | null): string | undefined {
  const line = template?.replaceAll('\n', '\\n')
  return line === undefined || line.length <= TEMPLATE_CHARS
    ? line
    : `${line.slice(0, TEMPLATE_CHARS)} ... (${template?.length} characters)`
}

function memoryFacts(memory: MemoryNeed): Fact[] {
  const { ternaryBytes, denseBytes, kv, cacheBytesPerToken, cacheBytesAtFullContext } = memory
  return [
    ['memory, weights', `${formatBytes(ternaryBytes)} ternary, packed at 2 bits`],
    [
      'memory, other',
      `${formatBytes(denseBytes.f16)} with a 16-bit head, ${formatBytes(denseBytes.int8)} with int8`,
    ],
    [
      'memory, KV cache',
      `${formatBytes(cacheBytesPerToken)} a token as ${kv}, ` +
        `${formatBytes(cacheBytesAtFullContext)} at full context`,
    ],
  ]
}
