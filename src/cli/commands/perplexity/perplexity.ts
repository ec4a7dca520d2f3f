/**
 * `bitnet perplexity FILE`: how well a model predicts a text.
 */
import type { BosRule } from '../../../eval/encode-request.ts'
import {
  type PerplexityOptions,
  type PerplexityReport,
  perplexity,
} from '../../../eval/perplexity.ts'
import { readTextFile } from '../../console/input.ts'
import { counted, formatBytes, formatCount } from '../../console/quantities.ts'
import type { Fact } from '../../console/table.ts'
import { defineCommand } from '../../define-command.ts'
import { choiceFlag, wholeNumber } from '../../flags/flag-values.ts'
import { addModelFlags, type ModelFlags } from '../../flags/load-flags.ts'
import { bosFlag, refuseNearHead } from '../../flags/shared-flags.ts'

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
      .addOption(bosFlag())
      .option('--score-end', 'score the end token after each document too')
      .option('--packed', 'documents one after the other, windows across their borders')
      .option('--chat', 'documents are conversations of lines such as "User: Hello"')
      .addOption(
        choiceFlag('--preset <name>', 'bitnet-paper: lines packed as its authors did', [
          'bitnet-paper',
        ]),
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
    const text = await readTextFile(file, context.stdin)
    await using model = await context.loadModel(flags)
    const { signal, status } = context
    const { window, stride, separator, bos, scoreEnd, packed, chat, preset } = flags
    const options: PerplexityOptions = {
      ...{ window, stride, separator, bos, scoreEnd, packed, chat, preset, signal },
      onProgress: ({ tokens, totalTokens }) =>
        status.show(`${formatCount(tokens)} of ${formatCount(totalTokens)} tokens`),
    }
    const report = await perplexity(model, text, options)
    const described = { model: model.name, backend: model.backend.description }
    await context.print({ ...report, ...described }, () => [reportFacts(report, described)])
  },
})

function reportFacts(
  report: PerplexityReport,
  { model, backend }: { readonly model: string; readonly backend: string },
): Fact[] {
  const skipped =
    report.skippedLines > 0 ? `, ${counted(report.skippedLines, 'long line')} left out` : ''
  return [
    ['token perplexity', report.token_perplexity.toFixed(3)],
    ['word perplexity', wordPerplexity(report)],
    ['byte perplexity', report.byte_perplexity.toFixed(4)],
    ['bits per byte', report.bits_per_byte.toFixed(4)],
    [
      'text',
      `${counted(report.tokens, 'token')}, ${formatBytes(report.bytes)}, ` +
        `${counted(report.documents, 'document')}${skipped}`,
    ],
    ['window, stride', `${report.window}, ${counted(report.stride, 'token')}`],
    ['model', `${model}, ${backend}`],
  ]
}

function wordPerplexity({ word_perplexity: value, left_out }: PerplexityReport): string {
  if (value === undefined) return `none: ${left_out?.['word_perplexity']}`
  // Of a Japanese text, whose words no spaces part, it is a number of dozens of digits.
  return value < 1e6 ? value.toFixed(3) : `${value.toExponential(2)}; words are what spaces part`
}
