/**
 * `bitnet doctor`: what machine this is, which backends and kernel variants load and why others do not,
 * how fast each does ternary products, what memory and arithmetic give at all, and what that means for
 * a model of two billion parameters.
 */
import { type Expectation, expectationOf } from '../../../bench/expectations.ts'
import { shapeNamed } from '../../../bench/shapes.ts'
import { hostFacts } from '../../console/host-facts.ts'
import { defineCommand, type JsonFlag } from '../../define-command.ts'
import { allImages } from '../inspect/image-facts.ts'
import {
  type Diagnosis,
  diagnoseBackends,
  PRODUCT,
  PROMPT_TOKENS,
  type ProductDiagnosis,
} from './backend-diagnosis.ts'
import { type DoctorReport, describeMachine } from './doctor-report.ts'

export const command = defineCommand<JsonFlag>({
  examples: `\
  $ bitnet doctor
  $ bitnet doctor --json`,
  async run(context) {
    const host = hostFacts()
    const diagnosis = await diagnoseBackends((what) => context.status.show(`Measuring ${what}`))
    const expectation = expect(diagnosis)
    const report: DoctorReport = {
      host,
      product: { rows: PRODUCT.rows, cols: PRODUCT.cols, promptTokens: PROMPT_TOKENS },
      ...diagnosis,
      images: await allImages(),
      ...(expectation === undefined ? {} : { expectation }),
    }
    await context.print(report, () => describeMachine(report))
  },
})

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
