/**
 * `bitnet perplexity FILE`: how well a model predicts a text.
 */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { BosRule } from '../../../eval/encode-request.ts'
import { type PerplexityReport, perplexity } from '../../../eval/perplexity.ts'
import { formatBytes, formatCount } from '../../console/quantities.ts'
import { EXIT, interruption, type Surroundings } from '../../console/surroundings.ts'
import { formatFacts } from '../../console/table.ts'
import { StatusLine, writeJson, writeLine } from '../../console/terminal.ts'
import { BOS_HELP, parseBos, refuseNearHead } from '../../flags/eval-flags.ts'
import {
  addModelFlags,
  loadFlaggedModel,
  type ModelFlags,
  parseChoice,
} from '../../flags/generation-flags.ts'
import { wholeNumber } from '../../flags/number-options.ts'

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

export function addPerplexityCommand(
  command: Command,
  run: (file: string, flags: PerplexityFlags) => Promise<void>,
): void {
  command
    .argument('<file>', 'a text file, or - for standard input')
    .option(
      '--window <tokens>',
      'most tokens a token depends on (default: the context)',
      wholeNumber({ min: 1 }),
    )
    .option(
      '--stride <tokens>',
      'tokens scored a window (default: the window)',
      wholeNumber({ min: 1 }),
    )
    .option('--separator <text>', 'text between documents, e.g. "<|endoftext|>"')
    .option('--bos <rule>', BOS_HELP, parseBos)
    .option('--score-end', 'score the end token after each document too')
    .option('--packed', 'documents one after the other, windows across their borders')
    .option('--chat', 'documents are conversations of lines such as "User: Hello"')
    .option('--preset <name>', 'bitnet-paper: lines packed as its authors did', (text) =>
      parseChoice(text, ['bitnet-paper']),
    )
  addModelFlags(command)
    .option('--json', 'print one JSON object, and nothing else, on standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ bitnet perplexity book.txt
  $ bitnet perplexity book.txt --window 512 --stride 256 --kv int8
  $ bitnet perplexity held-out.txt --separator "<|endoftext|>" --json
  $ bitnet perplexity talks.txt --separator "<|endoftext|>" --packed --chat
  $ bitnet perplexity wiki.test.raw --preset bitnet-paper

Tokens are given, none is generated: --speculate and --draft play no part here (see bitnet compare).`,
    )
    .action(run)
}

/** @returns the exit code */
export async function runPerplexity(
  file: string,
  flags: PerplexityFlags,
  surroundings: Surroundings,
): Promise<number> {
  refuseNearHead(flags)
  const text = await readText(file, surroundings)
  const { signal, [Symbol.dispose]: release } = interruption(surroundings)
  const line = new StatusLine(surroundings.stderr)
  try {
    await using model = await loadFlaggedModel(flags, surroundings, signal)
    const { window, stride, separator, bos, scoreEnd, packed, chat, preset } = flags
    const report = await perplexity(model, text, {
      ...{ window, stride, separator, bos, scoreEnd, packed, chat, preset, signal },
      onProgress: ({ tokens, totalTokens }) =>
        line.show(`${formatCount(tokens)} of ${formatCount(totalTokens)} tokens`),
    })
    line.clear()
    const described = { model: model.name, backend: model.backend.description }
    if (flags.json) await writeJson(surroundings.stdout, { ...report, ...described })
    else await writeLine(surroundings.stdout, reportLines(report, described).join('\n'))
    return EXIT.ok
  } finally {
    line.clear()
    release()
  }
}

async function readText(file: string, { stdin }: Surroundings): Promise<string> {
  if (file !== '-') return readFile(file, 'utf8')
  const chunks: Uint8Array[] = []
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}

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
