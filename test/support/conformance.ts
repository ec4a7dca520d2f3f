/**
 * The cases of every operation, and how a case is run on a backend: what the conformance suite and the
 * replay on other processors share.
 */
import type { Backend } from '../../src/backends/backend.ts'
import { attentionCases } from '../../src/kernels/attention/cases.ts'
import type { DeviceBuffer, OpName } from '../../src/kernels/commands.ts'
import { denseMatmulCases } from '../../src/kernels/dense-matmul/cases.ts'
import { embedCases } from '../../src/kernels/embed/cases.ts'
import { gatedActivationCases } from '../../src/kernels/gated-activation/cases.ts'
import { gatherRowsCases } from '../../src/kernels/gather-rows/cases.ts'
import { headMatmulCases } from '../../src/kernels/head-matmul/cases.ts'
import { packDenseCases } from '../../src/kernels/pack-dense/cases.ts'
import { packTernaryCases } from '../../src/kernels/pack-ternary/cases.ts'
import { quantizeCases } from '../../src/kernels/quantize/cases.ts'
import { rmsNormCases } from '../../src/kernels/rms-norm/cases.ts'
import { ropeCacheCases } from '../../src/kernels/rope-cache/cases.ts'
import { ternaryMatmulCases } from '../../src/kernels/ternary-matmul/cases.ts'
import type {
  CaseArray,
  CaseData,
  KernelCase,
} from '../../src/kernels/testing/conformance-cases.ts'
import { tokenScoresCases } from '../../src/kernels/token-scores/cases.ts'

export const conformanceCases: Record<OpName, readonly KernelCase[]> = {
  embed: embedCases,
  'gather-rows': gatherRowsCases,
  'rms-norm': rmsNormCases,
  quantize: quantizeCases,
  'ternary-matmul': ternaryMatmulCases,
  'dense-matmul': denseMatmulCases,
  'head-matmul': headMatmulCases,
  'rope-cache': ropeCacheCases,
  attention: attentionCases,
  'gated-activation': gatedActivationCases,
  'token-scores': tokenScoresCases,
  'pack-ternary': packTernaryCases,
  'pack-dense': packDenseCases,
}

/** Bytes after the end of every buffer that nothing may write to. */
const GUARD_BYTES = 64
export const GUARD = 0xa5

/** The bytes of an array and its guard. */
export function withGuard(array: CaseArray): Uint8Array {
  const bytes = new Uint8Array(array.byteLength + GUARD_BYTES).fill(GUARD)
  bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
  return bytes
}

/** Buffers by name, guards included. */
export type Results = ReadonlyMap<string, Uint8Array>

/** The bytes of all buffers, guards included, after the command has run once. */
export async function runCase(backend: Backend, data: CaseData): Promise<Results> {
  const buffers: Record<string, DeviceBuffer> = {}
  for (const [name, array] of Object.entries(data.contents)) {
    const bytes = withGuard(array)
    const buffer = backend.allocate(bytes.byteLength, name)
    backend.write(buffer, 0, bytes)
    buffers[name] = buffer
  }
  const program = backend.record([data.command(buffers)])
  try {
    await backend.submit(program)
    const results = new Map<string, Uint8Array>()
    for (const [name, buffer] of Object.entries(buffers)) {
      results.set(name, await backend.read(buffer, 0, buffer.byteLength))
    }
    return results
  } finally {
    program.dispose()
    for (const buffer of Object.values(buffers)) backend.free(buffer)
  }
}
