/**
 * `bitnet doctor`: what machine this is, which backends and kernel variants load and why others do not,
 * how fast each does ternary products, what memory and arithmetic give at all, and what that means for
 * a model of two billion parameters.
 */
import type { Command } from 'commander'
import { type Expectation, expectationOf } from '../../../bench/expectations.ts'
import { shapeNamed } from '../../../bench/shapes.ts'
import { hostFacts } from '../../console/host-facts.ts'
import { EXIT, type Surroundings } from '../../console/surroundings.ts'
import { StatusLine, writeJson, writeLine } from '../../console/terminal.ts'
import { allImages } from '../inspect/image-facts.ts'
import {
  type Diagnosis,
  diagnoseBackends,
  PRODUCT,
  PROMPT_TOKENS,
  type ProductDiagnosis,
} from './backend-diagnosis.ts'
import { type DoctorReport, describeMachine } from './doctor-report.ts'

export interface DoctorFlags {
  readonly json?: boolean
}

export function addDoctorCommand(
  command: Command,
  run: (flags: DoctorFlags) => Promise<void>,
): void {
  command
    .option('--json', 'print one JSON object, and nothing else, on standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ bitnet doctor
  $ bitnet doctor --json`,
    )
    .action(run)
}

/** @returns the exit code */
export async function runDoctor(
  flags: DoctorFlags,
  { stdout, stderr }: Surroundings,
): Promise<number> {
  const line = new StatusLine(stderr)
  try {
    const host = hostFacts()
    const diagnosis = await diagnoseBackends((what) => line.show(`Measuring ${what}`))
    line.clear()
    const expectation = expect(diagnosis)
    const report: DoctorReport = {
      host,
      product: { rows: PRODUCT.rows, cols: PRODUCT.cols, promptTokens: PROMPT_TOKENS },
      ...diagnosis,
      images: await allImages(),
      ...(expectation === undefined ? {} : { expectation }),
    }
    if (flags.json) await writeJson(stdout, report)
    else await writeLine(stdout, describeMachine(report).join('\n'))
    return EXIT.ok
  } finally {
    line.clear()
  }
}

/** Of BitNet b1.58 2B-4T on what is chosen, in the packing that decodes faster. */
function expect({ backends, chosenIsa, limits }: Diagnosis): Expectation | undefined {
  const limit = limits.at(-1)
  const products = backends.find(({ isa }) => isa === chosenIsa)?.products ?? []
  const rates = products.flatMap(ratesOf).sort((a, b) => b.tokensPerSecond - a.tokensPerSecond)
  if (limit === undefined || 'reason' in limit || rates.length === 0) return undefined
  return expectationOf(shapeNamed('2b-4t'), rates[0], limit)
}

function ratesOf({ packing, decode, prefill }: ProductDiagnosis) {
  const { bytesPerSecond } = decode
  const macsPerSecond = prefill?.macsPerSecond
  if (bytesPerSecond === undefined || macsPerSecond === undefined) return []
  return [
    { packing, bytesPerSecond, macsPerSecond, tokensPerSecond: 1e6 / decode.microseconds.min },
  ]
}
