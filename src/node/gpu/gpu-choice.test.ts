/** Whether 'auto' takes a GPU: by a measurement that is made once, and never by waiting where there is none. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { missingForGpu, openSoftwareGpu } from '../../../test/support/backends.ts'
import { createReferenceBackend } from '../../backends/reference/index.ts'
import { shapeNamed } from '../../bench/shapes.ts'
import { shapeOfSize } from '../../bench/token-time.ts'
import { openBestBackend } from '../open-backend.ts'
import { gpuChoice, measureAside } from './gpu-choice.ts'
import { gpuIdentity, mayHaveGpu } from './gpu-signs.ts'
import { type GpuMeasurement, measureGpu } from './measure-gpu.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gpu-choice-'))
  vi.stubEnv('BITNET_CACHE', folder)
})

afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

const TWO_BILLION = 850e6
const SMALL = {
  ...shapeNamed('125m'),
  ...{ dim: 128, ffnDim: 256, nLayers: 2, nHeads: 2, nKvHeads: 1, headDim: 64, vocabSize: 200 },
}

/** A machine with a GPU that takes so long for a token, beside processors that take a second. */
function machine(result: number | { reason: string }, driver = 'driver 1') {
  const asked: string[] = []
  const found: GpuMeasurement =
    typeof result === 'number'
      ? { title: 'Some GPU', gpuSeconds: result, processorSeconds: 1 }
      : result
  let time = 1e12
  return {
    asked,
    pass: (ms: number) => {
      time += ms
    },
    obstacle: async (): Promise<string | undefined> => undefined,
    identity: async () => `${folder} ${driver}`,
    measure: async (shape: string) => {
      asked.push(shape)
      return found
    },
    now: () => time,
    known: new Map<string, GpuMeasurement>(),
  }
}

describe('the choice', () => {
  test('is the GPU only where it is clearly faster', async () => {
    expect(await gpuChoice(TWO_BILLION, machine(0.5))).toEqual({
      ...{ title: 'Some GPU', gpuSeconds: 0.5, processorSeconds: 1 },
      ...{ shape: '2b-4t', isFaster: true },
    })
    expect(await gpuChoice(TWO_BILLION, machine(0.95, 'other'))).toMatchObject({ isFaster: false })
    expect(await gpuChoice(TWO_BILLION, machine(2, 'another'))).toMatchObject({ isFaster: false })
  })

  test('is kept for a size, until the driver is another one', async () => {
    const one = machine(0.5)
    await gpuChoice(TWO_BILLION, one)
    await gpuChoice(TWO_BILLION * 1.02, one)
    // Another process.
    one.known.clear()
    expect(await gpuChoice(TWO_BILLION, one)).toMatchObject({ isFaster: true, title: 'Some GPU' })
    expect(one.asked).toEqual(['2b-4t'])
    await gpuChoice(60e6, one)
    expect(one.asked).toEqual(['2b-4t', '125m'])
    const other = machine(3, 'driver 2')
    expect(await gpuChoice(TWO_BILLION, other)).toMatchObject({ isFaster: false })
    expect(other.asked).toEqual(['2b-4t'])
  })

  test('is made again where what was kept is damaged, and a day after it failed', async () => {
    const failing = machine({ reason: 'no room' })
    expect(await gpuChoice(TWO_BILLION, failing)).toMatchObject({
      ...{ isFaster: false, reason: 'no room' },
    })
    failing.pass(23 * 3600e3)
    failing.known.clear()
    await gpuChoice(TWO_BILLION, failing)
    expect(failing.asked).toHaveLength(1)
    failing.pass(2 * 3600e3)
    failing.known.clear()
    await gpuChoice(TWO_BILLION, failing)
    expect(failing.asked).toHaveLength(2)

    const [name] = readdirSync(join(folder, 'gpu'))
    writeFileSync(join(folder, 'gpu', name), '{"title": 1, "gpuSec')
    failing.known.clear()
    await gpuChoice(TWO_BILLION, failing)
    expect(failing.asked).toHaveLength(3)
  })

  test('needs no cache that can be written to', async () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    vi.stubEnv('BITNET_CACHE', file)
    const one = machine(0.5)
    for (let i = 0; i < 2; i++) expect((await gpuChoice(TWO_BILLION, one)).isFaster).toBe(true)
    expect(one.asked).toHaveLength(1)
  })

  test('asks nothing where there is no GPU, and says why', async () => {
    const none = { ...machine(0.1), obstacle: async () => 'there is none' }
    expect(await gpuChoice(TWO_BILLION, none)).toEqual({
      ...{ reason: 'there is none', shape: '2b-4t', isFaster: false },
    })
    expect(none.asked).toEqual([])
    expect(readdirSync(folder)).toEqual([])
  })

  test('goes by the shape that is nearest in bytes', () => {
    expect([20e6, 60e6, 330e6, 850e6, 1e12].map(shapeOfSize)).toEqual([
      ...['125m', '125m', '1.3b', '2b-4t', 'falcon3-10b'],
    ])
  })
})

describe('what a system shows', () => {
  test('is a device, and changes with its driver', async () => {
    const system = { platform: 'linux', root: folder }
    expect(await mayHaveGpu(system)).toBe(false)
    expect(await mayHaveGpu({ ...system, platform: 'darwin' })).toBe(true)
    mkdirSync(join(folder, 'dev/dri'), { recursive: true })
    writeFileSync(join(folder, 'dev/dri/card0'), '')
    // A card of which nothing but pictures can be had.
    expect(await mayHaveGpu(system)).toBe(false)
    writeFileSync(join(folder, 'dev/dri/renderD128'), '')
    expect(await mayHaveGpu(system)).toBe(true)
    const before = await gpuIdentity(system)
    expect(await gpuIdentity(system)).toBe(before)
    mkdirSync(join(folder, 'proc/driver/nvidia'), { recursive: true })
    writeFileSync(join(folder, 'proc/driver/nvidia/version'), 'NVRM version: 580')
    const with580 = await gpuIdentity(system)
    expect(with580).not.toBe(before)
    mkdirSync(join(folder, 'etc/vulkan/icd.d'), { recursive: true })
    writeFileSync(join(folder, 'etc/vulkan/icd.d/nvidia_icd.json'), '{}')
    expect(await gpuIdentity(system)).not.toBe(with580)
  })
})

describe('a measurement', () => {
  const facts = { title: 'SwiftShader', isSoftware: false, features: [], limits: {} }
  const processor = async () => createReferenceBackend()
  const with_ = (found: object | undefined, openGpu = processor) => ({
    facts: async () => found as never,
    ...{ openGpu, openProcessor: processor },
  })

  test('is never made of a GPU in software, or of none', async () => {
    const refuse = () => Promise.reject(new Error('it was opened'))
    expect(await measureGpu(SMALL, with_({ ...facts, isSoftware: true }, refuse))).toEqual({
      reason: 'SwiftShader is a processor that does the work of a GPU',
    })
    expect(await measureGpu(SMALL, with_(undefined, refuse))).toMatchObject({
      reason: expect.stringContaining('install one with Vulkan'),
    })
    expect(await measureGpu(SMALL, with_(facts, refuse))).toEqual({ reason: 'it was opened' })
  })

  test.skipIf(missingForGpu() !== undefined)(
    'times a token on both',
    { timeout: 120_000 },
    async () => {
      const both = with_(facts, () => openSoftwareGpu('webgpu-base') as never)
      const { openBackend } = await import('../../backends/select.ts')
      const found = await measureGpu(SMALL, { ...both, openProcessor: () => openBackend() })
      expect(found).toMatchObject({ title: 'SwiftShader' })
      if ('reason' in found) throw new Error(found.reason)
      expect(found.processorSeconds).toBeGreaterThan(1e-5)
      expect(found.gpuSeconds).toBeGreaterThan(found.processorSeconds)
    },
  )
})

describe('a process of its own', () => {
  const programOf = (text: string) => {
    const path = join(folder, 'program.mjs')
    writeFileSync(path, text)
    return path
  }

  test('gives what it prints, or why it printed nothing', async () => {
    const found = { title: 'Some GPU', gpuSeconds: 0.5, processorSeconds: 1 }
    const text = `process.stdout.write('${JSON.stringify(found)}')`
    expect(await measureAside('2b-4t', programOf(text))).toEqual(found)
    expect(await measureAside('2b-4t', programOf('process.exit(3)'))).toMatchObject({
      reason: expect.stringMatching(/^measuring it failed/),
    })
  })

  test.each([
    ['cannot be ended gently', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"],
    [
      'leaves its pipes to somebody who stays',
      "import { spawn } from 'node:child_process'\n" +
        "spawn(process.execPath, ['-e', 'setTimeout(() => {}, 8000)'], { stdio: 'inherit', detached: true })\n" +
        'process.exit(0)',
    ],
  ])('is given up where it %s', async (_, text) => {
    const began = performance.now()
    expect(await measureAside('2b-4t', programOf(text), 1500)).toEqual({
      reason: 'measuring it took more than 1.5 seconds',
    })
    expect(performance.now() - began).toBeLessThan(6000)
  })
})

describe('opening', () => {
  const choose = (isFaster: boolean) => {
    return vi.fn(async () => ({ isFaster, shape: '2b-4t', reason: 'as told' }) as const)
  }
  const opened = async (...given: Parameters<typeof openBestBackend>) => {
    const backend = await openBestBackend(...given)
    await backend.dispose()
    return backend
  }

  test('asks only where everything is open', async () => {
    vi.stubEnv('BITNET_BACKEND', '')
    vi.stubEnv('BITNET_ISA', '')
    const asked = choose(true)
    const expectedBytes = TWO_BILLION
    for (const options of [
      {},
      { expectedBytes, backend: 'wasm', threads: 1 },
      { expectedBytes, threads: 1 },
      { expectedBytes, isa: 'typescript' },
      { expectedBytes, without: { webgpu: 'it has no room.' } },
    ] as const) {
      expect((await opened(options, asked)).name).not.toBe('webgpu')
    }
    vi.stubEnv('BITNET_BACKEND', 'reference')
    expect((await opened({ expectedBytes }, asked)).name).toBe('reference')
    expect(asked).not.toHaveBeenCalled()
  })

  test('takes processors where the GPU is slower, and where it then fails, saying so', async () => {
    vi.stubEnv('BITNET_BACKEND', '')
    vi.stubEnv('BITNET_ISA', '')
    const expectedBytes = TWO_BILLION
    expect((await opened({ expectedBytes }, choose(false))).fallbacks).toEqual([])
    vi.stubEnv('BITNET_WEBGPU', 'none-such')
    const { name, fallbacks } = await opened({ expectedBytes }, choose(true))
    expect(name).not.toBe('webgpu')
    expect(fallbacks[0]).toMatch(/^webgpu: Expected a shader variant/)
  })
})
