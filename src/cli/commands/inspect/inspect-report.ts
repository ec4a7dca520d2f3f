/**
 * What `bitnet inspect` writes for people.
 */
import type { RemoteFacts } from '../../../hub/remote-model.ts'
import type { ModelConfig } from '../../../model/config/config.ts'
import { type FfnZeros, meanFfnZeros } from '../../../model/ffn-zeros.ts'
import { counted, formatBytes, formatCount, formatPercent } from '../../console/quantities.ts'
import { type Fact, type ReportPart, stackedBar, type Table } from '../../console/table.ts'
import { BATCHES, type MemoryNeed } from './memory-need.ts'
import type { ModelInspection } from './model-inspection.ts'

/** What the tokenizer is, or why it cannot be used. */
export type TokenizerInspection =
  | {
      readonly description: string
      readonly vocabSize: number
      readonly bosId: number | null
      readonly stopIds: readonly number[]
      readonly chatTemplate: string | null
    }
  | { readonly problem: string }

/** A model that was looked at where it is. */
export interface RemoteInspection extends RemoteFacts {
  /** Of its files, to know what is shown. */
  readonly readBytes: number
}

export interface Inspection {
  readonly model: ModelInspection
  readonly tokenizer: TokenizerInspection
  readonly remote: RemoteInspection | null
  /** Of a text that was run. */
  readonly activations?: readonly FfnZeros[]
}

/** A packed image of the model. Whether it still fits is found out when the model is loaded. */
export interface ImageFact {
  readonly path: string
  readonly byteLength: number
  readonly settings: string | null
}

/** Set in under its layer, a bar fits a terminal of 40 columns. */
const BAR_WIDTH = 36
const TEMPLATE_CHARS = 160

export function describeInspection(inspection: Inspection): ReportPart[] {
  const { model, tokenizer, remote, activations } = inspection
  return [
    ...(remote === null ? [] : [remoteFacts(remote), '']),
    modelFacts(model),
    ...(model.layers.length > 0 ? ['', ...describeLayers(model)] : []),
    ...(activations === undefined ? [] : ['', ...describeActivations(activations)]),
    '',
    tokenizerFacts(tokenizer),
    ...(model.memory === null ? [] : ['', ...describeMemory(model.memory)]),
    '',
    describeTensors(model),
  ]
}

export function describeImages(images: readonly ImageFact[]): string {
  const each = images.map(
    ({ settings, byteLength }) => `${settings ?? 'unknown'} (${formatBytes(byteLength)})`,
  )
  return each.length === 0
    ? 'No packed image: a start that takes 0.3 s or more leaves one for the next.'
    : `Packed images for quick starts: ${each.join('; ')}`
}

function remoteFacts(remote: RemoteInspection): Fact[] {
  const { model, reason, files, totalBytes, revision, licence, gated, readBytes } = remote
  return [
    ['source', `${model}, which is not in the cache`],
    ['chosen', reason],
    ['download', `${counted(files, 'file')}, ${formatBytes(totalBytes)}`],
    ['revision', revision ?? undefined],
    ['licence', revision === null ? undefined : (licence ?? 'not stated')],
    ['gated', gated ? 'its owners hand it out to those who accepted their terms' : undefined],
    [
      'read',
      `${formatBytes(readBytes)}: the weights stay there, so shares of -1, 0 and +1 are not shown; ` +
        '"bitnet pull" fetches them',
    ],
  ]
}

function modelFacts(model: ModelInspection): Fact[] {
  const { config, parameters, origins } = model
  const [total, ternary, other] = [parameters.total, parameters.ternary, parameters.other].map(
    formatCount,
  )
  const bits = model.bitsPerWeight.toFixed(2)
  const ternaryBits = model.ternaryBitsPerWeight.toFixed(2)
  const loss = model.lossless === false ? ' (rounded while reading)' : ''
  return [
    ['model', config?.name ?? model.name],
    ['format', model.format],
    ['parameters', `${total}: ${ternary} ternary, ${other} other`],
    ['tensor data', formatBytes(model.tensorBytes)],
    [
      'bits a weight',
      parameters.ternary === 0 ? bits : `${bits} in all, ${ternaryBits} for the ternary ones`,
    ],
    ['ternary from', origins.length > 0 ? origins.join('; ') + loss : undefined],
    ['cannot run', model.problem],
    ...(config === null ? [] : configFacts(config)),
  ]
}

function configFacts(config: ModelConfig): Fact[] {
  const { ropeScaling: rope } = config
  const scaling = rope === undefined ? '' : `, scaled by ${rope.factor} (${rope.type})`
  return [
    ['architecture', config.architecture],
    ['layers', `${config.nLayers}, dim ${config.dim}, feed-forward ${config.ffnDim}`],
    [
      'attention',
      `${config.nHeads} heads of ${config.headDim}, ${config.nKvHeads} for keys and values`,
    ],
    ['activation', config.activation + (config.subNorms ? ', with sub-norms' : '')],
    ['vocabulary', `${config.vocabSize}${config.tiedHead ? ', head tied to the embedding' : ''}`],
    [
      'context',
      `${counted(config.contextLength, 'token')}, rope theta ${config.ropeTheta}${scaling}`,
    ],
  ]
}

function describeLayers({ layers }: ModelInspection): ReportPart[] {
  return [
    'Ternary weights by layer: - is -1, . is 0, + is +1',
    {
      header: ['layer', '-1', '0', '+1', ''],
      rows: layers.map(({ layer, minus, zero, plus }) => [
        String(layer),
        formatPercent(minus),
        formatPercent(zero),
        formatPercent(plus),
        stackedBar([minus, zero, plus], ['-', '.', '+'], BAR_WIDTH),
      ]),
      right: [0, 1, 2, 3],
    },
  ]
}

function describeActivations(layers: readonly FfnZeros[]): ReportPart[] {
  const row = (name: string, { gates, inputs }: Omit<FfnZeros, 'layer'>): string[] => [
    name,
    formatPercent(gates),
    formatPercent(inputs),
    stackedBar([gates, 1 - gates], ['.', '+'], BAR_WIDTH),
  ]
  return [
    'Exact zeros of the feed-forward: . is a gate that is not positive, + one that is open',
    {
      header: ['layer', 'gates off', 'inputs of down that are 0', ''],
      rows: [
        ...layers.map((own) => row(String(own.layer), own)),
        row('mean', meanFfnZeros(layers)),
      ],
      right: [0, 1, 2],
    },
  ]
}

function describeTensors({ tensors }: ModelInspection): Table {
  return {
    header: ['tensor', 'type', 'shape', 'bytes'],
    rows: tensors
      .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
      .map(({ name, type, shape, bytes }) => [name, type, shape.join(' x '), String(bytes)]),
    right: [3],
  }
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

function describeMemory({
  ternaryBytes,
  packing,
  denseBytes,
  head,
  caches,
  totals,
}: MemoryNeed): ReportPart[] {
  const bits = packing === 'base3' ? '1.6' : '2'
  const facts: Fact[] = [
    ['memory, weights', `${formatBytes(ternaryBytes)} ternary, packed at ${bits} bits`],
    ['memory, other', `${formatBytes(denseBytes)} with embedding and head as ${head}`],
    ...caches.map(
      ({ kv, bytesPerToken }): Fact => [
        `memory, ${kv} cache`,
        `${formatBytes(bytesPerToken)} a token`,
      ],
    ),
  ]
  const columns = caches.flatMap(({ kv }) => BATCHES.map((batch) => ({ kv, batch })))
  const contexts = [...new Set(totals.map(({ context }) => context))]
  const rows = contexts.map((context) => [
    String(context),
    ...columns.map(({ kv, batch }) => {
      const total = totals.find((t) => t.context === context && t.kv === kv && t.batch === batch)
      return total === undefined ? '' : formatBytes(total.bytes)
    }),
  ])
  return [
    facts,
    '',
    'Memory by tokens of context, cache and sequences at once: weights and cache, without activations',
    {
      header: ['context', ...columns.map(({ kv, batch }) => `${kv}, ${batch} seq.`)],
      rows,
      right: [0, ...columns.map((_, i) => i + 1)],
    },
  ]
}
