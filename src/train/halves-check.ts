/** Whether products of halves are right here: drivers have faults, and what one makes of a shader only running tells. */
import type { Backend } from '../backends/backend.ts'
import { BackendError } from '../errors.ts'
import { bytesOf } from '../model/buffer-owner.ts'

/** Both tiles' edges lie in it. */
const SHAPE = { rows: 192, cols: 160, inner: 64 }
/** Of the largest result; halves are off by 2^-11 each. */
const TOLERANCE = 0.004

/** @throws BackendError where they are not */
export async function checkHalves(backend: Backend): Promise<void> {
  const { rows, cols, inner } = SHAPE
  const a = Float32Array.from({ length: rows * inner }, (_, i) => Math.sin(i * 1.7))
  const b = Float32Array.from({ length: inner * cols }, (_, i) => Math.cos(i * 0.9))
  const buffers = [a, b, new Float32Array(rows * cols)].map((values) => {
    const buffer = backend.allocate(values.byteLength, 'check of halves')
    backend.write(buffer, 0, bytesOf(values))
    return buffer
  })
  try {
    const [slotA, slotB, out] = buffers
    const command = { op: 'matmul', ...SHAPE, a: slotA, b: slotB, out, halves: true } as const
    const program = await backend.record([command])
    backend.submit(program)
    program.dispose()
    const bytes = await backend.read(out)
    const got = new Float32Array(bytes.buffer, bytes.byteOffset, rows * cols)
    for (let i = 0; i < got.length; i++) {
      const [row, col] = [Math.floor(i / cols), i % cols]
      let expected = 0
      for (let k = 0; k < inner; k++) expected += a[row * inner + k] * b[k * cols + col]
      if (Math.abs(got[i] - expected) <= TOLERANCE * inner) continue
      throw new BackendError(
        `Expected products of halves on ${backend.description} to be right, got ${got[i]} for ${expected}. ` +
          'Update its driver, or train in float32 (--precision f32).',
      )
    }
  } finally {
    for (const buffer of buffers) backend.free(buffer)
  }
}
