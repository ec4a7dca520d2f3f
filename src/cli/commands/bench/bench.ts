/**
 * `bitnet bench`: which of its four forms is asked for. Without tests it repeats a generation
 * (bench-generation.ts); with tests it drives the engine (bench-speed.ts); with --kernels it times
 * single operations (bench-kernels.ts); with --compare it reads two results (bench-compare.ts).
 */
import { Option } from 'commander'
import { UsageError } from '../../../errors.ts'
import { defineCommand, JSON_HELP } from '../../define-command.ts'
import { decimalNumber, wholeNumber, wholeNumbers } from '../../flags/flag-values.ts'
import { addModelFlags } from '../../flags/load-flags.ts'
import { energyFlag } from '../../flags/shared-flags.ts'
import { compareResults } from './bench-compare.ts'
import { benchGeneration, type GenerationBenchFlags } from './bench-generation.ts'
import { benchKernels, type KernelBenchFlags } from './bench-kernels.ts'
import { benchSpeed, type SpeedBenchFlags } from './bench-speed.ts'

export interface BenchFlags extends GenerationBenchFlags, SpeedBenchFlags, KernelBenchFlags {
  readonly kernels?: boolean
  readonly compare?: readonly string[]
}

const GENERATION_ONLY = ['prompt', 'maxTokens']
const TESTS = ['prefill', 'decode', 'depth', 'batch', 'energy', 'size']

export const command = defineCommand<BenchFlags>({
  flags(command) {
    const count = wholeNumber({ min: 1 })
    const test = (flag: string, text: string, least = 1): Option =>
      new Option(flag, text)
        .argParser(wholeNumbers({ min: least }))
        .conflicts([...GENERATION_ONLY, 'kernels', 'compare'])
    command
      .option('-p, --prompt <text>', 'prompt of every run (default: a story)')
      .option('-n, --max-tokens <count>', 'tokens of every run (default: 50)', count)
      .option('--runs <count>', 'counted runs (default: 10, or 5 of each test)', count)
      .addOption(
        test(
          '--prefill <counts>',
          'tests that prefill so many tokens, e.g. 128,512 (default: 512)',
        ),
      )
      .addOption(
        test('--decode <counts>', 'tests that decode so many tokens one by one (default: 128)'),
      )
      .addOption(
        test(
          '--depth <counts>',
          'tokens in the cache before each test, e.g. 0,2048 (default: 0)',
          0,
        ),
      )
      .addOption(test('--batch <counts>', 'sequences decoded in every pass, e.g. 1,8 (default: 1)'))
      .addOption(
        new Option(
          '--size <name>',
          'tests of random weights in the shape of a model, e.g. 2b-4t, without its file',
        ).conflicts([...GENERATION_ONLY, 'kernels', 'compare', 'model']),
      )
      .option(
        '--moe <mixture>',
        'with --size, experts in place of each feed-forward: experts=8,top=2',
      )
      .option(
        '--ffn-sparsity <share>',
        "with --size, share of the feed-forward's gates that are off, from 0.5 to 1 (default: as chance has it)",
        decimalNumber({ min: 0.5, max: 1 }),
      )
      .addOption(energyFlag().conflicts([...GENERATION_ONLY, 'kernels', 'compare']))
      .addOption(
        new Option('--kernels', 'time single operations at the shapes of a model').conflicts([
          ...GENERATION_ONLY,
          'model',
          'runs',
        ]),
      )
      .option('--shape <name>', 'shapes of which model, with --kernels (default: 2b-4t)')
      .option('--only <text>', 'with --kernels, operations whose name has this text (default: all)')
      .addOption(
        new Option('--compare <files...>', 'compare two results of --json').conflicts([
          ...GENERATION_ONLY,
          'kernels',
        ]),
      )
    addModelFlags(command)
      .option('--markdown', 'tables for a Markdown document')
      .addOption(new Option('--json', JSON_HELP).conflicts('markdown'))
  },
  json: false,
  examples: `\
  $ bitnet bench                                        the same generation ten times
  $ bitnet bench -m model.gguf --prefill 512 --decode 128
  $ bitnet bench --decode 64 --depth 0,2048 --batch 1,8 --markdown
  $ bitnet bench --size 2b-4t --ffn-sparsity 0.8 --decode 64
  $ bitnet bench --decode 128 --json > before.json
  $ bitnet bench --compare before.json after.json
  $ bitnet bench --kernels --shape 2b-4t --isa x86-avx2
  $ bitnet bench --kernels --only "1 token"`,
  run(context, flags) {
    if (flags.moe !== undefined && flags.size === undefined) {
      throw new UsageError('Expected --size with --moe: a model of its own has its experts.')
    }
    if (flags.ffnSparsity !== undefined && flags.size === undefined) {
      throw new UsageError(
        "Expected --size with --ffn-sparsity: a model's own weights say how much of it is 0.",
      )
    }
    if (flags.compare !== undefined) return compareResults(flags.compare, context)
    if (flags.kernels) return benchKernels(flags, context)
    const asked: Readonly<Record<string, unknown>> = { ...flags }
    if (TESTS.some((test) => asked[test] !== undefined)) return benchSpeed(flags, context)
    return benchGeneration(flags, context)
  },
})
