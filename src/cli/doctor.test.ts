/**
 * The doctor on the machine that runs the tests: whatever that has, the reference backend is there.
 */
import { expect, test } from 'vitest'
import { mockSurroundings } from '../../test/mock-language-model.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { runDoctor } from './doctor.ts'
import { timeProduct } from './product-timing.ts'

test('--json names the host, every backend, and a reason for each that does not run', async () => {
  const mock = mockSurroundings()
  expect(await runDoctor({ json: true }, mock)).toBe(0)
  const report = JSON.parse(mock.out()) as {
    host: { node: string }
    backends: { name: string; available: boolean; reason?: string; timing?: object }[]
  }
  expect(report.host.node).toBe(process.version)
  const names = report.backends.map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(['native', 'reference', 'wasm']))
  expect(report.backends.find(({ name }) => name === 'reference')?.available).toBe(true)
  for (const { available, reason, timing } of report.backends) {
    expect(available ? timing : reason).toBeTruthy()
  }
})

test('the table has a line for each backend', async () => {
  const mock = mockSurroundings()
  await runDoctor({}, mock)
  expect(mock.out()).toMatch(/^node +v\d+/)
  expect(mock.out()).toMatch(/^reference +typescript +1 +\d+ us/m)
  expect(mock.out()).toMatch(/^wasm .*announced/m)
})

test('timing a product frees all that it allocated', async () => {
  const backend = createReferenceBackend()
  const { microseconds, weightsPerSecond } = await timeProduct(backend, 1, 0)
  expect(microseconds).toBeGreaterThan(0)
  expect(weightsPerSecond).toBeCloseTo((2560 * 6912) / (microseconds / 1e6), 0)
  expect(backend.allocatedBytes).toBe(0)
  backend.dispose()
})
