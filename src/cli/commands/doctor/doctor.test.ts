/**
 * The doctor on the machine that runs the tests: whatever that has, the reference backend is there.
 */
import { expect, test } from 'vitest'
import { mockSurroundings } from '../../../../test/support/mock-language-model.ts'
import { expectationOf } from '../../../bench/expectations.ts'
import { shapeNamed } from '../../../bench/shapes.ts'
import { hostFacts } from '../../console/host-facts.ts'
import { formatReport } from '../../console/table.ts'
import { command, type DoctorReport, describeMachine, expectationHere } from './doctor.ts'

const linesOf = (report: DoctorReport) => formatReport(describeMachine(report))

test('--json names the host, every backend, and a reason for each that does not run', async () => {
  const mock = mockSurroundings()
  expect(await command.run({ json: true }, mock)).toBe(0)
  const report = JSON.parse(mock.out()) as DoctorReport
  expect(report.host.node).toBe(process.version)
  expect(report.host.cores.threads).toBeGreaterThanOrEqual(1)
  const names = report.backends.map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(['native', 'reference', 'wasm']))
  expect(report.backends.find(({ name }) => name === 'reference')?.available).toBe(true)
  for (const { available, reason, products } of report.backends) {
    if (available) expect(products?.[0].decode.microseconds.min).toBeGreaterThan(0)
    else expect(reason).toBeTruthy()
  }

  const table = linesOf(report).join('\n')
  expect(table).toMatch(/^node +v\d+/)
  expect(table).toMatch(/^reference +typescript +1 +2 bits +\d+ us/m)
  expect(table).toMatch(/^wasm +wasm-simd /m)
  if (report.expectation !== undefined)
    expect(table).toMatch(/^ {2}decode +about [\d.]+ tokens\/s/m)
})

const NOTHING: DoctorReport = {
  host: hostFacts(),
  threads: 2,
  chosen: 'none',
  chosenIsa: '',
  product: { rows: 1, cols: 1, promptTokens: 64 },
  backends: [],
  images: { folder: '/cache/images', count: 2, byteLength: 1.5e9 },
  limits: [],
  gpu: { reason: 'no package' },
  adapters: [],
  gpuChoice: { shape: '2b-4t', isFaster: false, reason: 'no card' },
}

test('what does not run has its reason in the table', () => {
  const reason = 'this machine has no such thing'
  const lines = linesOf({
    ...NOTHING,
    backends: [{ name: 'native', isa: 'x86-avx2', available: false, reason }],
    limits: [{ reason: 'not built' }],
  })
  expect(lines.at(-1)).toMatch(/^native +x86-avx2 .*this machine has no such thing$/)
  expect(lines.join('\n')).toContain('not measured: not built')
})

test('a GPU is told with what it allows, or why there is none', () => {
  expect(linesOf(NOTHING).join('\n')).toMatch(/^gpu +none: no package$/m)
  const limits = {
    maxBufferSize: 2 ** 31,
    maxStorageBufferBindingSize: 2 ** 27,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxStorageBuffersPerShaderStage: 8,
  }
  const has = { isSoftware: false, int8Matrices: false, features: ['subgroups'], limits }
  const gpu = { title: 'Some GPU', ...has }
  const text = linesOf({ ...NOTHING, gpu: { ...gpu, readBytesPerSecond: 4e11 } }).join('\n')
  expect(text).toMatch(
    /gpu +Some GPU; reads 400\S* GB\/s from its memory; variants: webgpu-tuned webgpu-base; bindings of 134\S* MB, 8/,
  )
  expect(text).toContain('features: subgroups')
  const soft = linesOf({ ...NOTHING, gpu: { ...gpu, isSoftware: true } }).join('\n')
  expect(soft).toContain('a processor that does the work of one, which auto never takes')
  const fast = { api: 'vulkan', name: 'Fast GPU', count: 8, ...gpu, int8Matrices: true }
  const broken = { api: 'metal', name: 'Old GPU', count: 1, reason: 'no driver' }
  const both = linesOf({ ...NOTHING, adapters: [fast, broken] }).join('\n')
  expect(both).toMatch(
    /^adapter +8 x Fast GPU \(vulkan\): Some GPU; variants: webgpu-matrix webgpu/m,
  )
  expect(both).toMatch(/buffers of 2\S* GB; workgroups of 256 \(256 in a row\) with 16\S* kB/)
  expect(both).toMatch(/^adapter +Old GPU \(metal\): does not open: no driver$/m)
})

test('what auto makes of a GPU is told with its measurement', () => {
  expect(linesOf(NOTHING).join('\n')).toMatch(/^gpu for auto +no: no card$/m)
  const gpuChoice = { shape: '2b-4t', title: 'Some GPU', gpuSeconds: 0.00125 } as const
  const measured = { ...gpuChoice, processorSeconds: 0.025, isFaster: true }
  const text = linesOf({ ...NOTHING, gpuChoice: measured }).join('\n')
  expect(text).toMatch(
    /gpu for auto +yes: a token of a model like 2b-4t takes about 1\.\S* ms there/,
  )
})

test('cores and quota are told', () => {
  const cores = { physicalCores: 4, logicalCpus: 8, quota: 1.5, threads: 1 }
  const lines = linesOf({ ...NOTHING, host: { ...NOTHING.host, cores } })
  expect(lines.join('\n')).toContain(
    '4 physical cores, 8 logical processors, a quota of 1.5 of them',
  )
})

test('expectations follow from bytes and multiply-adds of the model', () => {
  const rates = { packing: '2bit', bytesPerSecond: 20e9, macsPerSecond: 300e9 } as const
  const limits = { readBytesPerSecond: 32e9, macsPerSecond: 400e9 }
  const expectation = expectationOf(shapeNamed('2b-4t'), rates, limits)
  // 521 MB of ternary weights at 20 GB/s and 328 MB of head at 32 GB/s.
  expect(expectation.ternaryBytes / 1e6).toBeCloseTo(521, 0)
  expect(expectation.headBytes / 1e6).toBeCloseTo(328.3, 1)
  expect(expectation.decode).toBeCloseTo(1 / (0.52101 / 20 + 0.32834 / 32), 1)
  expect(expectation.decodeLimit).toBeCloseTo(32 / 0.84935, 1)
  expect(expectation.prefill).toBeCloseTo(300 / 2.0840448, 6)
  expect(expectation.prefillLimit).toBeCloseTo(400 / 2.0840448, 6)

  const lines = describeMachine({ ...NOTHING, expectation })
  expect(lines.at(-2)).toMatch(/decode {3}about 27\.5 tokens\/s.*521\.0 MB.*would allow 37\.7\./)
  expect(lines.at(-1)).toMatch(/prefill {2}about 144 tokens\/s.*2\.08 G.*would allow 192\./)
})

test('what is expected is of the packing that a load takes, which weighs prompts', () => {
  const timing = (min: number, rates: object) => ({
    name: '',
    isTernary: true,
    microseconds: { mean: min, standardDeviation: 0, min, max: min },
    ...rates,
  })
  const productOf = (packing: '2bit' | 'base3', token: number, prompt: number) => ({
    packing,
    decode: timing(token, { bytesPerSecond: 100e9 }),
    prefill: timing(prompt, { macsPerSecond: 1e15 / prompt }),
  })
  const bytesWith = (token: number, prompt: number) =>
    expectationHere({
      chosenIsa: 'x86-amx',
      limits: [{ threads: 16, readBytesPerSecond: 119e9, macsPerSecond: 20e12 }],
      backends: [
        {
          name: 'native',
          isa: 'x86-amx',
          available: true,
          products: [productOf('2bit', 37, 189), productOf('base3', token, prompt)],
        },
      ],
    })?.ternaryBytes
  expect(bytesWith(34, 631)).toBe(bytesWith(90, 189))
  expect(bytesWith(34, 190)).toBeLessThan(0.81 * (bytesWith(34, 631) ?? 0))
})
