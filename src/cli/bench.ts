/**
 * `bitnet bench`: the same greedy generation several times, after one that is not counted. Reports
 * time, throughput, prefill and decode speed, bytes of the model and the process's peak memory.
 */
import { loadavg } from 'node:os'
import type { Command } from 'commander'
import type { LanguageModel } from '../generate/language-model.ts'
import type { GenerateResult } from '../generate/options.ts'
import { addModelFlags, loadFlaggedModel, type ModelFlags } from './generation-flags.ts'
import { wholeNumber } from './number-options.ts'
import { formatBytes, formatMilliseconds, summarize } from './quantities.ts'
import { EXIT, interruption, type Surroundings } from './surroundings.ts'
import { formatFacts, formatTable } from './table.ts'
import { StatusLine, writeJson, writeLine } from './terminal.ts'

export interface BenchFlags extends ModelFlags {
  readonly prompt: string
  readonly maxTokens: number
  readonly runs: number
  readonly json?: boolean
}

/** One counted run. */
interface Run {
  readonly elapsedMs: number
  readonly result: GenerateResult
}

type Summary = ReturnType<typeof summarize>

interface BenchReport {
  readonly model: string
  readonly backend: GenerateResult['backend']
  readonly runs: number
  readonly promptTokens: number
  readonly requestedTokens: number
  /** Tokens generated in each run: fewer than asked for if the model ended its text. */
  readonly completionTokens: readonly number[]
  readonly loadMs: number
  readonly elapsedMs: Summary
  /** Generated tokens over the whole time of a run, prefill included. */
  readonly tokensPerSecond: Summary
  readonly prefillTokensPerSecond: Summary
  readonly decodeTokensPerSecond: Summary
  readonly ternaryBytes: number
  readonly denseBytes: number
  readonly activationBytes: number
  readonly cacheBytesPerToken: number
  /** Largest resident set of the process so far. */
  readonly peakMemoryBytes: number
  /** Of the last minute, this program included. */
  readonly loadAverage: number
}

/** Long enough to be a prompt, open enough that a story model goes on for hundreds of tokens. */
const PROMPT = 'Once upon a time, there was a little girl who lived in a small house near the sea.'

export function addBenchCommand(program: Command, run: (flags: BenchFlags) => Promise<void>): void {
  const command = program
    .command('bench')
    .description('measure speed and memory')
    .option('-p, --prompt <text>', 'prompt of every run', PROMPT)
    .option('-n, --max-tokens <count>', 'tokens of every run', wholeNumber({ min: 1 }), 50)
    .option('--runs <count>', 'counted runs', wholeNumber({ min: 1 }), 10)
  addModelFlags(command)
    .option('--json', 'print one JSON object, and nothing else, on standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ bitnet bench
  $ bitnet bench -m model.gguf --runs 5 -n 128 --threads 2
  $ bitnet bench --backend native --isa x86-avx2 --json`,
    )
    .action(run)
}

/** @returns the exit code */
export async function runBench(flags: BenchFlags, surroundings: Surroundings): Promise<number> {
  const { stdout, stderr } = surroundings
  const { signal, [Symbol.dispose]: release } = interruption(surroundings)
  const line = new StatusLine(stderr)
  let model: LanguageModel | undefined
  try {
    model = await loadFlaggedModel(flags, surroundings, signal)
    const runs: Run[] = []
    for (let i = 0; i <= flags.runs; i++) {
      line.show(i === 0 ? 'Warming up' : `Run ${i} of ${flags.runs}`)
      const run = await measure(model, flags, signal)
      if (signal.aborted) return EXIT.interrupted
      if (i > 0) runs.push(run)
    }
    line.clear()
    const report = makeReport(model, flags, runs)
    if (flags.json) await writeJson(stdout, report)
    else await writeLine(stdout, describe(report).join('\n'))
    return EXIT.ok
  } finally {
    line.clear()
    release()
    await model?.dispose()
  }
}

async function measure(
  model: LanguageModel,
  { prompt, maxTokens }: BenchFlags,
  signal: AbortSignal,
): Promise<Run> {
  const start = performance.now()
  const result = await model.generate(prompt, {
    maxTokens,
    temperature: 0,
    // Penalties cost time that is not the model's, and stop strings would end runs early.
    repetitionPenalty: 1,
    signal,
  }).result
  return { elapsedMs: performance.now() - start, result }
}

function makeReport(model: LanguageModel, flags: BenchFlags, runs: readonly Run[]): BenchReport {
  const over = (value: (run: Run) => number): Summary => summarize(runs.map(value))
  return {
    model: model.name,
    backend: model.backend,
    runs: runs.length,
    promptTokens: runs[0].result.usage.promptTokens,
    requestedTokens: flags.maxTokens,
    completionTokens: runs.map(({ result }) => result.usage.completionTokens),
    loadMs: model.loadMs,
    elapsedMs: over((run) => run.elapsedMs),
    tokensPerSecond: over((run) => (1000 * run.result.usage.completionTokens) / run.elapsedMs),
    prefillTokensPerSecond: over((run) => run.result.timings.prefillTokensPerSecond),
    decodeTokensPerSecond: over((run) => run.result.timings.decodeTokensPerSecond),
    ...model.memory,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    loadAverage: loadavg()[0],
  }
}

function describe(report: BenchReport): string[] {
  const row = (name: string, unit: (value: number) => string, s: Summary): string[] => [
    name,
    unit(s.mean),
    unit(s.standardDeviation),
    unit(s.min),
    unit(s.max),
  ]
  const rate = (value: number): string => value.toFixed(1)
  const { completionTokens, requestedTokens } = report
  const fewest = Math.min(...completionTokens)
  const weights = report.ternaryBytes + report.denseBytes
  return [
    ...formatFacts([
      ['model', report.model],
      ['backend', report.backend.description],
      ['runs', `${report.runs}, after one that is not counted`],
      ['prompt', `${report.promptTokens} tokens`],
      [
        'generated',
        fewest === requestedTokens
          ? `${requestedTokens} tokens in each run`
          : `${fewest} to ${Math.max(...completionTokens)} tokens a run; ` +
            `${requestedTokens} were asked for, but the text ended`,
      ],
    ]),
    '',
    ...formatTable(
      ['', 'mean', 'sd', 'min', 'max'],
      [
        row('time of a run', formatMilliseconds, report.elapsedMs),
        row('throughput, tokens/s', rate, report.tokensPerSecond),
        row('prefill, tokens/s', rate, report.prefillTokensPerSecond),
        row('decode, tokens/s', rate, report.decodeTokensPerSecond),
      ],
      [1, 2, 3, 4],
    ),
    '',
    ...formatFacts([
      ['load', formatMilliseconds(report.loadMs)],
      [
        'weights',
        `${formatBytes(weights)} (ternary ${formatBytes(report.ternaryBytes)}, ` +
          `other ${formatBytes(report.denseBytes)})`,
      ],
      ['KV cache', `${formatBytes(report.cacheBytesPerToken)} a token`],
      ['peak memory', `${formatBytes(report.peakMemoryBytes)} of the whole process`],
      ['machine load', report.loadAverage.toFixed(2)],
    ]),
  ]
}
