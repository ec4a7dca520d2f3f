/**
 * `bitnet compare`: the papers' tables on this machine. Without models, one architecture with random
 * weights in FP16, int8, ternary and binary columns over sizes; with models, those.
 */
import { loadavg } from 'node:os'
import { InvalidArgumentError } from 'commander'
import { type ShapeName, shapeName } from '../../../bench/shapes.ts'
import { messageOf, withoutUnset } from '../../../checks.ts'
import { type ColumnName, columnNamed } from '../../../compare/columns.ts'
import { UsageError } from '../../../errors.ts'
import { pickLoadSettings } from '../../../generate/load/load-options.ts'
import { compareShapes, comparisonDefaults } from '../../../node/compare/compare-shapes.ts'
import { hostFacts } from '../../console/host-facts.ts'
import type { LanguageFlag } from '../../console/language.ts'
import type { TableStyle } from '../../console/table.ts'
import { writeLine } from '../../console/terminal.ts'
import { defineCommand } from '../../define-command.ts'
import { wholeNumber } from '../../flags/flag-values.ts'
import { addLoadFlags, type ModelFlags, parseSettings } from '../../flags/load-flags.ts'
import { energyFlag } from '../../flags/shared-flags.ts'
import { addSpeculationFlags } from '../../flags/speculation-flags.ts'
import { packageVersion } from '../../version.ts'
import { compareGivenModels, type ModelComparisonFlags } from './compare-models.ts'
import { checkReportFiles, type ReportFileFlags, writeReportFiles } from './compare-outputs.ts'
import { type ComparisonReport, describeComparison } from './compare-report.ts'

export interface CompareFlags
  extends ModelFlags,
    ModelComparisonFlags,
    ReportFileFlags,
    LanguageFlag,
    TableStyle {
  readonly size?: readonly ShapeName[]
  readonly columns?: readonly ColumnName[]
  readonly promptTokens?: number
  readonly decode?: number
  readonly runs?: number
  /** Bytes. */
  readonly memoryLimit?: number
  readonly json?: boolean
}

export const command = defineCommand<CompareFlags, [models: readonly string[]]>({
  flags(command) {
    const count = wholeNumber({ min: 1 })
    command
      .argument('[models...]', 'models to compare instead of random weights')
      .option('--size <names>', 'sizes, e.g. 125m,700m,3b (default: 700m)', names(shapeName))
      .option(
        '--columns <names>',
        'of fp16, int8, b1.58 and b1 (default: fp16,int8,b1.58)',
        names(columnNamed),
      )
      .option('--prompt-tokens <count>', 'tokens of the prompt (default: 128)', count)
      .option('--decode <count>', 'tokens decoded behind it (default: 32)', count)
      .option('--runs <count>', 'counted runs of each (default: 3)', count)
      .option(
        '--memory-limit <bytes>',
        'for weights and caches, e.g. 8GB (default: 3/4 of what is free)',
        parseByteCount,
      )
    addLoadFlags(command).option(
      '--also <settings>',
      'with models: each once more with other settings, e.g. kv=int8,head=f16; may be repeated',
      (text, earlier: readonly ModelFlags[] = []) => [...earlier, parseSettings(text)],
    )
    addSpeculationFlags(command)
      .option('-p, --prompt <text>', 'what is continued with and without guesses')
      .option('-n, --max-tokens <count>', 'most tokens of that (default: 128)', count)
      .option(
        '--tasks <names>',
        'with models: tasks of bitnet eval, e.g. arc_easy,piqa',
        names(String),
      )
      .option('--limit <count>', 'items of each task (default: all)', count)
      .option('--data-dir <folder>', "the tasks' datasets (default: from the Hugging Face hub)")
      .addOption(energyFlag())
      .option('--html <file>', 'write a report with charts as one HTML file')
      .option('--charts <folder>', 'write each chart as SVG and PNG')
      .option('--font <file>', 'font of the PNG files (default: the fonts of this system)')
      .option('--markdown', 'tables for a Markdown document')
  },
  speaks: 'what the report',
  examples: `\
  $ bitnet compare --size 700m,1.3b,3b --html report.html
  $ bitnet compare --size 3b --html report.html --lang ja
  $ bitnet compare --size 3b --columns fp16,b1.58 --kv int8 --memory-limit 8GB
  $ bitnet compare fp16-folder/ ternary.gguf --tasks arc_easy,piqa
  $ bitnet compare bitnet-2b --also kv=int8 --also head=int4
  $ bitnet compare bitnet-2b --speculate --prompt "$(cat notes.txt)"

A size that does not fit the memory limit is not run: its memory and the arithmetic of its energy are
counted all the same.`,
  async run(context, flags, models) {
    checkCombination(models, flags)
    await checkReportFiles(flags)
    const { signal, status } = context
    const host = hostFacts()
    const { promptTokens, decode: decodeTokens, runs, memoryLimit } = flags
    const options = {
      ...comparisonDefaults(),
      ...withoutUnset({ promptTokens, decodeTokens, runs, memoryLimit }),
      onStep: (what: string) => status.show(what),
      signal,
    }
    const { size: sizes, columns, energy } = flags
    const run = { ...pickLoadSettings(flags), ...withoutUnset({ sizes, columns, energy }) }
    const compared =
      models.length === 0
        ? await compareShapes({ ...options, ...run })
        : await compareGivenModels(models, flags, options, context)
    status.clear()
    const report: ComparisonReport = {
      date: new Date().toISOString(),
      version: packageVersion(),
      command: context.commandLine,
      host,
      ...compared,
      loadAverageAfter: loadavg()[0],
    }
    const { language } = context
    const written = await writeReportFiles(report, flags, language)
    await context.print(report, () => describeComparison(report, language))
    for (const path of written) await writeLine(context.stderr, `Wrote ${path}`)
  },
})

/** @throws UsageError */
function checkCombination(models: readonly string[], flags: CompareFlags): void {
  const { also, tasks, size, columns, prompt, maxTokens } = flags
  const isGuessing = flags.speculate !== undefined || flags.draft !== undefined
  const isRandom = models.length === 0
  const problems: readonly (readonly [isProblem: boolean, expected: string])[] = [
    [
      models.length === 1 && also === undefined && !isGuessing,
      'two models or more to compare, one with --also, --speculate or --draft, or none for random weights.',
    ],
    [
      !isRandom && (size !== undefined || columns !== undefined),
      '--size and --columns without models: they are of random weights.',
    ],
    [isRandom && tasks !== undefined, 'models with --tasks: random weights know nothing.'],
    [
      isRandom && isGuessing,
      'models with --speculate and --draft: how often a guess is right depends on the text, and that of ' +
        'random weights is noise.',
    ],
    [isRandom && also !== undefined, 'models with --also: random weights have --columns.'],
    [
      !isGuessing && (prompt !== undefined || maxTokens !== undefined),
      '--prompt and --max-tokens with --speculate or --draft.',
    ],
    [flags.json === true && flags.markdown === true, '--json or --markdown, got both.'],
  ]
  const found = problems.find(([isProblem]) => isProblem)
  if (found !== undefined) throw new UsageError(`Expected ${found[1]}`)
}

/** A parser for names with commas between, each once. */
function names<T extends string>(parse: (name: string) => T): (text: string) => T[] {
  return (text) => {
    try {
      return [...new Set(text.split(',').map((name) => parse(name.trim().toLowerCase())))]
    } catch (error) {
      throw new InvalidArgumentError(messageOf(error))
    }
  }
}

const BYTE_UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 }

/** "8GB", "500M" or a number of bytes; decimal units, as everywhere here. */
function parseByteCount(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)b?$/i.exec(text)
  const bytes = match === null ? 0 : Number(match[1]) * BYTE_UNITS[match[2].toLowerCase()]
  if (bytes >= 1 && Number.isFinite(bytes)) return Math.floor(bytes)
  throw new InvalidArgumentError('Expected a number of bytes, e.g. 8GB or 500M.')
}
