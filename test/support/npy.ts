/**
 * Reads the .npy files of the goldens: version 1, little-endian float32, C order.
 */
import { readFileSync } from 'node:fs'

export interface FloatArray {
  readonly shape: readonly number[]
  readonly values: Float32Array
}

export function readNpy(path: string): FloatArray {
  const file = readFileSync(path)
  const headerEnd = 10 + file.readUInt16LE(8)
  const header = file.toString('latin1', 10, headerEnd)
  if (!header.includes("'<f4'") || !header.includes("'fortran_order': False")) {
    throw new Error(`Expected little-endian float32 in C order in ${path}, got ${header}`)
  }
  const shape = (/'shape': \(([^)]*)\)/.exec(header)?.[1] ?? '')
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number)
  const bytes = file.subarray(headerEnd)
  const values = new Float32Array(bytes.length / 4)
  new Uint8Array(values.buffer).set(bytes)
  return { shape, values }
}
