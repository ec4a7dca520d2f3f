/**
 * `bitnet tokenizer`: a tokenizer of one's own.
 */
import { withoutUnset } from '../../../checks.ts'
import {
  type TokenizerReport,
  type TrainTokenizerOptions,
  trainTokenizer,
} from '../../../node/train/train-tokenizer.ts'
import { formatBytes, formatCount } from '../../console/quantities.ts'
import type { Fact } from '../../console/table.ts'
import { defineCommand, defineGroup } from '../../define-command.ts'
import { wholeNumber } from '../../flags/flag-values.ts'

interface TrainTokenizerFlags extends Omit<TrainTokenizerOptions, 'data' | 'out'> {
  readonly data?: readonly string[]
  readonly out?: string
  readonly json?: boolean
}

const train = defineCommand<TrainTokenizerFlags>({
  flags: (command) => {
    const count = wholeNumber({ min: 1 })
    command
      .option(
        '--data <paths...>',
        'texts, .jsonl files (text, messages) or folders, also .gz, .xz, .zst; "path=2" counts twice',
      )
      .option('--out <folder>', 'where tokenizer.json goes, with what belongs to it')
      .option('--vocabulary <n>', 'tokens, all bytes among them (default: 16384)', count)
      .option('--special <tokens...>', 'special tokens behind those of conversations')
      .option('--min-frequency <n>', 'of pairs that become a token (default: 2)', count)
      .option('--threads <n>', 'threads that count words (default: one a core)', count)
  },
  examples: `\
  $ bitnet tokenizer train --data book.txt --out words
  $ bitnet tokenizer train --data ja/ en/ talks.jsonl=3 --out words --vocabulary 32768
  $ bitnet train --data book.txt --out run --tokenizer words

Cuts words with the space in front of them, runs of kanji, hiragana and katakana, and numbers of up to three
digits. The same text gives the same files, whatever the number of threads.`,
  async run(context, { json: _, ...flags }) {
    const { signal, status } = context
    const report = await trainTokenizer({
      ...(withoutUnset(flags) as TrainTokenizerOptions),
      signal,
      onProgress: (progress) =>
        status.show(
          progress.stage === 'count'
            ? `Counting words of ${progress.file}: ${formatBytes(progress.textBytes)}`
            : `Joining pieces: ${formatCount(progress.tokens)} of ${formatCount(progress.of)} tokens`,
        ),
    })
    await context.print(report, () => [describeReport(report)])
  },
})

function describeReport(report: TokenizerReport): Fact[] {
  const { textBytes, seconds, forgottenWords } = report
  const forgotten =
    forgottenWords === 0 ? '' : `, ${formatCount(forgottenWords)} rare ones left out`
  return [
    ['text', `${formatBytes(textBytes)}, ${formatBytes(textBytes / seconds)} a second`],
    ['words', `${formatCount(report.words)} different ones${forgotten}`],
    ['tokens', `${formatCount(report.vocabulary)}, by ${formatCount(report.merges)} merges`],
    ['bytes a token', report.bytesPerToken.toFixed(3)],
    ['tokenizer', report.out],
  ]
}

export const command = defineGroup(
  `\
  $ bitnet tokenizer train --data book.txt --out words`,
  [['train', 'learn a byte-level vocabulary from text', train]],
)
