/**
 * `bitnet bench` without tests: the same greedy generation several times, after one that is not
 * counted. Reports time, throughput, prefill and decode speed, bytes of the model and the process's
 * peak memory.
 */
import { loadavg } from 'node:os'
import { type Summary, summarize } from '../../../bench/statistics.ts'
import type { LanguageModel } from '../../../generate/language-model.ts'
import type { GenerateResult } from '../../../generate/options.ts'
import type { ImageReport } from '../../../model/weights/weight-images.ts'
import type { CommandContext } from '../../command-context.ts'
import { loadFact } from '../../console/measurement-facts.ts'
import { counted, formatBytes, formatMilliseconds } from '../../console/quantities.ts'
import { EXIT } from '../../console/surroundings.ts'
import type { Fact, ReportPart, TableStyle } from '../../console/table.ts'
import type { JsonFlag } from '../../define-command.ts'
import type { ModelFlags } from '../../flags/load-flags.ts'

export interface GenerationBenchFlags extends ModelFlags, TableStyle, JsonFlag {
  /** Unset: {@link STORY}. */
  readonly prompt?: string
  /** Unset: 50. */
  readonly maxTokens?: number
  /** Unset: 10. */
  readonly runs?: number
}

/** One counted run. */
interface Run {
  readonly elapsedMs: number
  readonly result: GenerateResult
}

/** Long enough to be a prompt, open enough that a story model goes on for hundreds of tokens. */
export const STORY =
  'Once upon a time, there was a little girl who lived in a small house near the sea.'
const DEFAULT_TOKENS = 50
const DEFAULT_RUNS = 10

export async function benchGeneration(
  flags: GenerationBenchFlags,
  context: CommandContext,
): Promise<void> {
  const { runs: count = DEFAULT_RUNS } = flags
  await using model = await context.loadModel(flags)
  const { signal, status } = context
  // Writing an image would take from what is measured.
  const image = await model.imageKept
  const runs: Run[] = []
  for (let i = 0; i <= count; i++) {
    status.show(i === 0 ? 'Warming up' : `Run ${i} of ${count}`)
    const run = await measure(model, flags, signal)
    if (signal.aborted) {
      context.exitCode = EXIT.interrupted
      return
    }
    if (i > 0) runs.push(run)
  }
  const report = makeReport(model, image, flags, runs)
  await context.print(report, () => describeReport(report))
}

async function measure(
  model: LanguageModel,
  { prompt = STORY, maxTokens = DEFAULT_TOKENS }: GenerationBenchFlags,
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

/** What --json prints. */
function makeReport(
  model: LanguageModel,
  image: ImageReport | undefined,
  flags: GenerationBenchFlags,
  runs: readonly Run[],
) {
  const over = (value: (run: Run) => number): Summary => summarize(runs.map(value))
  return {
    model: model.name,
    backend: model.backend,
    runs: runs.length,
    promptTokens: runs[0].result.usage.promptTokens,
    requestedTokens: flags.maxTokens ?? DEFAULT_TOKENS,
    /** Of each run: fewer than asked for if the model ended its text. */
    completionTokens: runs.map(({ result }) => result.usage.completionTokens),
    loadMs: model.loadMs,
    elapsedMs: over((run) => run.elapsedMs),
    /** Generated tokens over the whole time of a run, prefill included. */
    tokensPerSecond: over((run) => (1000 * run.result.usage.completionTokens) / run.elapsedMs),
    prefillTokensPerSecond: over((run) => run.result.timings.prefillTokensPerSecond),
    decodeTokensPerSecond: over((run) => run.result.timings.decodeTokensPerSecond),
    ...model.memory,
    ...(image && { image }),
    /** Largest resident set of the process so far. */
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    /** Of the last minute, this program included. */
    loadAverage: loadavg()[0],
  }
}

function describeReport(report: ReturnType<typeof makeReport>): ReportPart[] {
  const row = (name: string, unit: (value: number) => string, s: Summary): string[] => [
    name,
    unit(s.mean),
    report.runs > 1 ? unit(s.standardDeviation) : '-',
    ...[s.min, s.max].map(unit),
  ]
  const rate = (value: number): string => value.toFixed(1)
  const { completionTokens, requestedTokens } = report
  const fewest = Math.min(...completionTokens)
  const generated =
    fewest === requestedTokens
      ? `${counted(requestedTokens, 'token')} in each run`
      : `${fewest} to ${Math.max(...completionTokens)} tokens a run; ` +
        `${requestedTokens} were asked for, but the text ended`
  const [ternary, other] = [report.ternaryBytes, report.denseBytes].map(formatBytes)
  const weights = formatBytes(report.ternaryBytes + report.denseBytes)
  const before: Fact[] = [
    ['model', report.model],
    ['backend', report.backend.description],
    ['runs', `${report.runs}, after one that is not counted`],
    ['prompt', counted(report.promptTokens, 'token')],
    ['generated', generated],
  ]
  const table = {
    header: ['', 'mean', 'sd', 'min', 'max'],
    rows: [
      row('time of a run', formatMilliseconds, report.elapsedMs),
      row('throughput, tokens/s', rate, report.tokensPerSecond),
      row('prefill, tokens/s', rate, report.prefillTokensPerSecond),
      row('decode, tokens/s', rate, report.decodeTokensPerSecond),
    ],
    right: [1, 2, 3, 4],
  }
  const after: Fact[] = [
    ['load', loadFact(report.loadMs, report.image)],
    ['weights', `${weights} (ternary ${ternary}, other ${other})`],
    ['KV cache', `${formatBytes(report.cacheBytesPerToken)} a token`],
    ['peak memory', `${formatBytes(report.peakMemoryBytes)} of the whole process`],
    ['machine load', report.loadAverage.toFixed(2)],
  ]
  return [before, '', table, '', after]
}
