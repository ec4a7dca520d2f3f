/**
 * The variants of the WebAssembly modules, and which of them this engine can run: relaxed SIMD or plain
 * SIMD, with shared memory for threads or without, with addresses of 32 bits or of 64.
 */
import type { AddressType } from './instance.ts'

export type WasmIsa = 'wasm-relaxed-simd' | 'wasm-simd' | typeof WIDE_ISA

/** 64-bit addresses, for what does not fit 4 GiB: up to a seventh slower than 32-bit ones. */
export const WIDE_ISA = 'wasm64-relaxed-simd'

export function addressTypeOf(isa: WasmIsa): AddressType {
  return isa === WIDE_ISA ? 'i64' : 'i32'
}

export interface WasmFeatures {
  readonly simd: boolean
  readonly relaxedSimd: boolean
  /** 64-bit addresses. */
  readonly memory64: boolean
  /** Why there is no shared memory: in a browser there is only on a cross-origin isolated page. */
  readonly sharedMemoryReason: string | undefined
}

/** Each is a module that only validates where the feature exists. */
const PROBES = {
  // (func (result v128) i32.const 0 i8x16.splat i8x16.popcnt)
  simd: [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253,
    15, 253, 98, 11,
  ],
  // (func (result v128) i32.const 1 i8x16.splat i32.const 2 i8x16.splat i8x16.relaxed_swizzle)
  relaxedSimd: [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253,
    15, 65, 2, 253, 15, 253, 128, 2, 11,
  ],
  // (memory i64 0)
  memory64: [0, 97, 115, 109, 1, 0, 0, 0, 5, 3, 1, 4, 0],
}

/** What this engine offers to the backend. */
export function wasmFeatures(): WasmFeatures {
  const validates = (bytes: number[]) =>
    typeof WebAssembly === 'object' && WebAssembly.validate(new Uint8Array(bytes))
  return {
    simd: validates(PROBES.simd),
    relaxedSimd: validates(PROBES.relaxedSimd),
    memory64: validates(PROBES.memory64),
    sharedMemoryReason: whyNoSharedMemory(),
  }
}

function whyNoSharedMemory(): string | undefined {
  if (typeof SharedArrayBuffer === 'undefined' || globalThis.crossOriginIsolated === false) {
    return 'the page is not cross-origin isolated; serve it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp'
  }
  return undefined
}
