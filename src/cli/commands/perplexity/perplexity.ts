/**
 * `bitnet perplexity FILE`: how well a model predicts a text.
 */
import { readFile } from 'node:fs/promises'
import type { BosRule } from '../../../eval/encode-request.ts'
import { type PerplexityReport, perplexity } from '../../../eval/perplexity.ts'
import { readAll } from '../../console/input.ts'
import { formatBytes, formatCount } from '../../console/quantities.ts'
import { formatFacts } from '../../console/table.ts'
import { defineCommand } from '../../define-command.ts'
import { parseChoice, wholeNumber } from '../../flags/flag-values.ts'
import { addModelFlags, type ModelFlags } from '../../flags/load-flags.ts'
import { BOS_HELP, parseBos, refuseNearHead } from '../../flags/shared-flags.ts'

export interface PerplexityFlags extends ModelFlags {
  readonly window?: number
  readonly stride?: number
  readonly separator?: string
  readonly bos?: BosRule
  readonly scoreEnd?: boolean
  readonly packed?: boolean
  readonly chat?: boolean
  readonly preset?: 'bitnet-paper'
  readonly json?: boolean
}

export const command = defineCommand<PerplexityFlags, [file: string]>({
  flags(command) {
    const count = wholeNumber({ min: 1 })
    command
      .argument('<file>', 'a text file, or - for standard input')
      .option('--window <tokens>', 'most tokens a token depends on (default: the context)', count)
      .option('--stride <tokens>', 'tokens scored a window (default: the window)', count)
      .option('--separator <text>', 'text between documents, e.g. "<|endoftext|>"')
      .option('--bos <rule>', BOS_HELP, parseBos)
      .option('--score-end', 'score the end token after each document too')
      .option('--packed', 'documents one after the other, windows across their borders')
      .option('--chat', 'documents are conversations of lines such as "User: Hello"')
      .option('--preset <name>', 'bitnet-paper: lines packed as its authors did', (text) =>
        parseChoice(text, ['bitnet-paper']),
      )
    addModelFlags(command)
  },
  examples: `\
  $ bitnet perplexity book.txt
  $ bitnet perplexity book.txt --window 512 --stride 256 --kv int8
  $ bitnet perplexity held-out.txt --separator "<|endoftext|>" --json
  $ bitnet perplexity talks.txt --separator "<|endoftext|>" --packed --chat
  $ bitnet perplexity wiki.test.raw --preset bitnet-paper

Tokens are given, none is generated: --speculate and --draft play no part here (see bitnet compare).`,
  async run(context, flags, file) {
    refuseNearHead(flags)
    const text = file === '-' ? await readAll(context.stdin) : await readFile(file, 'utf8')
    await using model = await context.loadModel(flags)
    const { signal, status } = context
    const { window, stride, separator, bos, scoreEnd, packed, chat, preset } = flags
    const report = await perplexity(model, text, {
      ...{ window, stride, separator, bos, scoreEnd, packed, chat, preset, signal },
      onProgress: ({ tokens, totalTokens }) =>
        status.show(`${formatCount(tokens)} of ${formatCount(totalTokens)} tokens`),
    })
    const described = { model: model.name, backend: model.backend.description }
    await context.print({ ...report, ...described }, () => reportLines(report, described))
  },
})

function reportLines(
  report: PerplexityReport,
  { model, backend }: { readonly model: string; readonly backend: string },
): string[] {
  const skipped = report.skippedLines > 0 ? `, ${report.skippedLines} long lines left out` : ''
  return formatFacts([
    ['token perplexity', report.token_perplexity.toFixed(3)],
    ['word perplexity', report.word_perplexity.toFixed(3)],
    ['byte perplexity', report.byte_perplexity.toFixed(4)],
    ['bits per byte', report.bits_per_byte.toFixed(4)],
    [
      'text',
      `${formatCount(report.tokens)} tokens, ${formatBytes(report.bytes)}, ` +
        `${formatCount(report.documents)} documents${skipped}`,
    ],
    ['window, stride', `${report.window}, ${report.stride} tokens`],
    ['model', `${model}, ${backend}`],
  ])
}
