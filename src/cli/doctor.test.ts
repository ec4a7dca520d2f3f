/**
 * The doctor on the machine that runs the tests: whatever that has, the reference backend is there.
 */
import { expect, test } from 'vitest'
import { mockSurroundings } from '../../test/mock-language-model.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { type DoctorReport, describeMachine, runDoctor } from './doctor.ts'
import { hostFacts } from './host-facts.ts'
import { timeProduct } from './product-timing.ts'

test('--json names the host, every backend, and a reason for each that does not run', async () => {
  const mock = mockSurroundings()
  expect(await runDoctor({ json: true }, mock)).toBe(0)
  const report = JSON.parse(mock.out()) as DoctorReport
  expect(report.host.node).toBe(process.version)
  const names = report.backends.map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(['native', 'reference', 'wasm']))
  expect(report.backends.find(({ name }) => name === 'reference')?.available).toBe(true)
  for (const { available, reason, timing } of report.backends) {
    expect(available ? timing : reason).toBeTruthy()
  }

  const table = describeMachine(report).join('\n')
  expect(table).toMatch(/^node +v\d+/)
  expect(table).toMatch(/^reference +typescript +1 +\d+ us/m)
  expect(table).toMatch(/^wasm +wasm-simd /m)
})

test('a backend that does not run has its reason in the table', () => {
  const reason = 'this machine has no such thing'
  const lines = describeMachine({
    host: hostFacts(),
    threads: 2,
    chosen: 'none',
    product: { rows: 1, cols: 1, tokens: 1 },
    backends: [{ name: 'native', isa: 'x86-avx2', available: false, reason }],
    memoryBandwidth: { reason: 'not built' },
  })
  expect(lines.at(-1)).toMatch(/^native +x86-avx2 .*this machine has no such thing$/)
  expect(lines.join('\n')).toContain('not measured: not built')
})

test('timing a product frees all that it allocated', async () => {
  const backend = createReferenceBackend()
  const { microseconds, weightsPerSecond } = await timeProduct(backend, 1, 0)
  expect(microseconds).toBeGreaterThan(0)
  expect(weightsPerSecond).toBeCloseTo((2560 * 6912) / (microseconds / 1e6), 0)
  expect(backend.allocatedBytes).toBe(0)
  backend.dispose()
})
