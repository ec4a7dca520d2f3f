/**
 * The backends that tests compare with the reference: every kernel variant of the native addon and of
 * the WebAssembly modules, with one and with two threads. What does not run here is listed with the
 * reason, and is skipped unless REQUIRE_BACKENDS (names with commas between, e.g. native-x86-avx2) says
 * that it must run.
 */
/// <reference types="@webgpu/types" />
import { existsSync } from 'node:fs'
import type { Backend } from '../../src/backends/backend.ts'
import { nativeVariants, openNativeBackend } from '../../src/backends/native/native-backend.ts'
import { openWasmBackend, wasmVariants } from '../../src/backends/wasm/wasm-backend.ts'
import { BASE_ISA, openWebGpuBackend, TUNED_ISA } from '../../src/backends/webgpu/webgpu-backend.ts'
import { BackendError } from '../../src/errors.ts'
import { SERVICES } from './services.ts'

export interface TestBackend {
  /** The backend with its variant, e.g. "native-x86-avx2", and how it is set up. */
  readonly title: string
  /** Absent where it does not run here. */
  readonly open: (() => Backend | Promise<Backend>) | undefined
}

const threadCounts = [1, 2]

/** Variants that REQUIRE_BACKENDS may name and that arm-replay.test.ts runs in an emulator. */
export const EMULATED: readonly string[] = ['arm-neon', 'arm-dotprod']
/** Likewise the variants that emulated-replay.test.ts runs, each with the one whose instructions it needs. */
export const EMULATED_X86: Readonly<Record<string, string>> = {
  'x86-amx': 'x86-avx512vbmi',
  'x86-avxvnni': 'x86-avx2',
}
/** What REQUIRE_BACKENDS calls them. */
export function emulatedName(isa: string): string {
  return `emulated-${isa}`
}
/** What REQUIRE_BACKENDS calls the tests in test/browser. */
export const BROWSER = 'browser'

/** What it calls the GPU in software. */
export const WEBGPU = 'webgpu-base'

/** What REQUIRE_BACKENDS names. */
export function requiredBackends(): Set<string> {
  return new Set((process.env['REQUIRE_BACKENDS'] ?? '').split(',').filter(Boolean))
}

/**
 * @throws Error if a backend in REQUIRE_BACKENDS does not run here
 */
export function testBackends(): TestBackend[] {
  const required = requiredBackends()
  const emulated = [...EMULATED, ...Object.keys(EMULATED_X86).map(emulatedName)]
  for (const name of [...emulated, BROWSER, WEBGPU, ...Object.keys(SERVICES)]) required.delete(name)
  const onMissing = (name: string, reason: string) => {
    if (required.has(name)) throw new Error(`REQUIRE_BACKENDS names ${name}, but ${reason}.`)
  }
  const backends = [...nativeBackends(onMissing), ...wasmBackends(onMissing)]
  for (const name of required) {
    if (!backends.some(({ title }) => title.startsWith(name))) {
      throw new Error(`REQUIRE_BACKENDS names ${name}, but there is no such backend.`)
    }
  }
  return backends
}

function nativeBackends(onMissing: (name: string, reason: string) => void): TestBackend[] {
  let variants: ReturnType<typeof nativeVariants>
  try {
    variants = nativeVariants()
  } catch (error) {
    if (!(error instanceof BackendError)) throw error
    for (const name of (process.env['REQUIRE_BACKENDS'] ?? '').split(',')) {
      onMissing(name, error.message)
    }
    return [{ title: `native (${error.message})`, open: undefined }]
  }
  return variants.flatMap(({ isa, supported, reason = 'it does not run here' }): TestBackend[] => {
    const name = `native-${isa}`
    if (!supported) {
      onMissing(name, reason)
      return [{ title: `${name} (${reason})`, open: undefined }]
    }
    return threadCounts.map((threads) => ({
      title: `${name}, threads: ${threads}`,
      open: () => openNativeBackend({ isa, threads }),
    }))
  })
}

function wasmBackends(onMissing: (name: string, reason: string) => void): TestBackend[] {
  return wasmVariants().flatMap(
    ({ isa, supported, reason = 'it does not run here' }): TestBackend[] => {
      const name = isa
      if (!supported) {
        onMissing(name, reason)
        return [{ title: `${name} (${reason})`, open: undefined }]
      }
      return threadCounts.map((threads) => ({
        title: `${name}, threads: ${threads}`,
        open: () => openWasmBackend({ isa, threads }),
      }))
    },
  )
}

/** Debian's Chromium brings a GPU in software, with its loader and its list of drivers. */
const VULKAN_LOADER = '/usr/lib/x86_64-linux-gnu/libvulkan.so.1'
export const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json'

/**
 * Those of {@link testBackends}, which give the reference's floats, and WebGPU through Dawn on the GPU in
 * software, whose floats are near: slow, but with every rule of WebGPU checked.
 */
export function everyBackend(): TestBackend[] {
  const missing = missingForGpu()
  if (missing !== undefined && requiredBackends().has(WEBGPU)) {
    throw new Error(`REQUIRE_BACKENDS names ${WEBGPU}, but ${missing}.`)
  }
  // No GPU in software has the matrices of the first variant.
  const gpu = [TUNED_ISA, BASE_ISA].map((isa): TestBackend => {
    if (missing !== undefined) return { title: `${isa} (${missing})`, open: undefined }
    return { title: isa, open: () => openSoftwareGpu(isa) }
  })
  return [...testBackends(), ...gpu]
}

/** What the GPU in software lacks here; undefined where it runs. */
export function missingForGpu(): string | undefined {
  const file = [SWIFTSHADER, VULKAN_LOADER].find((path) => !existsSync(path))
  return file && `there is no ${file}`
}

/** WebGPU on the GPU in software. */
export async function openSoftwareGpu(isa?: string): Promise<Backend> {
  return openWebGpuBackend(await softwareGpu(), isa)
}

let software: GPU | undefined

/** The same for all tests of a process: what it takes is never given back. */
export async function softwareGpu(): Promise<GPU> {
  process.env['VK_ICD_FILENAMES'] = SWIFTSHADER
  const { create } = await import('webgpu')
  software ??= create([])
  return software
}
