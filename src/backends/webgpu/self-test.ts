/**
 * Whether a variant of the shaders computes here what the reference does. Drivers have faults, and what one
 * of them makes of a shader is known only when it has run.
 */
import type { Command } from '../../kernels/ops.ts'
import { packTernary, padToTile } from '../../ternary/index.ts'
import type { Backend } from '../backend.ts'
import { createReferenceBackend } from '../reference/index.ts'

const COLS = 128
const MATRIX_ROWS = 80
/** Enough for tiles, a few, and one row alone. */
const TOKENS = [40, 5, 1]
/** Of the largest result: a value may have been rounded to the next integer. */
const TOLERANCE = 0.02

/** @returns what is wrong; undefined if nothing is */
export async function faultOf(backend: Backend): Promise<string | undefined> {
  const reference = createReferenceBackend()
  try {
    const [expected, got] = [await results(reference), await results(backend)]
    for (const [i, tokens] of TOKENS.entries()) {
      const largest = Math.max(...expected[i].map(Math.abs))
      const at = expected[i].findIndex((value, k) => {
        return !(Math.abs(got[i][k] - value) <= TOLERANCE * largest)
      })
      if (at < 0) continue
      return `result ${at} of ${tokens} tokens is ${got[i][at]} in place of ${expected[i][at]}`
    }
    for (const own of got.slice(1)) {
      const at = own.findIndex((value, k) => value !== got[0][k])
      if (at < 0) continue
      const tokens = own.length / MATRIX_ROWS
      return `result ${at} of a token is ${own[at]} in a pass of ${tokens} and ${got[0][at]} among others`
    }
    return undefined
  } finally {
    await reference.dispose()
  }
}

/** A ternary layer of random inputs, for each number of tokens. */
async function results(backend: Backend): Promise<Float32Array[]> {
  const buffers = new Set<ReturnType<Backend['allocate']>>()
  const filled = (values: ArrayBufferView) => {
    const own = backend.allocate(values.byteLength, 'self-test')
    buffers.add(own)
    const { buffer, byteOffset, byteLength } = values
    backend.write(own, 0, new Uint8Array(buffer, byteOffset, byteLength))
    return own
  }
  let state = 1
  const draw = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  const rows = Math.max(...TOKENS)
  const codes = Int8Array.from({ length: MATRIX_ROWS * COLS }, () => Math.floor(draw() * 3) - 1)
  const x = filled(Float32Array.from({ length: rows * COLS }, () => draw() * 2 - 1))
  const weight = filled(Float32Array.from({ length: COLS }, () => draw() + 0.5))
  const weights = {
    rows: MATRIX_ROWS,
    cols: COLS,
    data: filled(packTernary(codes, MATRIX_ROWS, COLS).bytes),
    scales: filled(new Float32Array(padToTile(MATRIX_ROWS)).fill(0.1)),
  }
  const out = {
    q: filled(new Uint8Array(rows * COLS)),
    scales: filled(new Float32Array(rows)),
    sums: filled(new Int32Array(rows)),
  }
  const products = TOKENS.map((tokens) => filled(new Float32Array(tokens * MATRIX_ROWS)))
  const commands = TOKENS.flatMap((tokens, i): Command[] => [
    { op: 'quantize', rows: tokens, cols: COLS, eps: 1e-5, x, weight, out },
    { op: 'ternary-matmul', rows: tokens, weights, x: out, out: products[i], accumulate: false },
  ])
  try {
    // Once more from the start, so that nothing of the products' inputs has to be kept.
    const program = await backend.record([...commands, ...commands])
    backend.submit(program)
    program.dispose()
    const read = products.map(async (own) => new Float32Array((await backend.read(own)).buffer))
    return await Promise.all(read)
  } finally {
    for (const own of buffers) backend.free(own)
  }
}
