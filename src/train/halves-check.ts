/** Whether products of halves are right here: drivers have faults, and what one makes of a shader only running tells. */
import type { Backend } from '../backends/backend.ts'
import { BackendError } from '../errors.ts'
import { causalAttention } from '../kernels/causal-attention/reference.ts'
import { causalAttentionBackward } from '../kernels/causal-attention-backward/reference.ts'
import { matmul } from '../kernels/matmul/reference.ts'
import type { Command } from '../kernels/ops.ts'
import type { DeviceBuffer } from '../kernels/slice.ts'
import { bytesOf } from '../model/buffer-owner.ts'

/** Tiles' edges lie in them. */
const PRODUCT = { rows: 192, cols: 160, inner: 64 }
const SEQUENCES = { rows: 128, length: 64, nHeads: 2, nKvHeads: 1, headDim: 64 }
/** Of the largest result; halves are off by 2^-11 each. */
const TOLERANCE = 0.005

interface Probe {
  readonly what: string
  readonly memory: Readonly<Record<string, Float32Array>>
  command(buffers: Readonly<Record<string, DeviceBuffer>>): Command
  /** What is compared, and what it must be. */
  readonly result: string
  readonly expected: Float32Array
}

function waves(length: number, step: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * step))
}

function products(): Probe[] {
  const { rows, cols, inner } = PRODUCT
  return [false, true].flatMap((transposeA) =>
    [false, true].map((transposeB): Probe => {
      const form = { ...PRODUCT, transposeA, transposeB, accumulate: false }
      const [a, b] = [waves(rows * inner, 1.7), waves(inner * cols, 0.9)]
      const expected = new Float32Array(rows * cols)
      matmul(expected, a, b, form)
      return {
        what: 'products',
        memory: { a, b, out: new Float32Array(rows * cols) },
        command: ({ a, b, out }) => ({ op: 'matmul', ...form, a, b, out, halves: true }),
        result: 'out',
        expected,
      }
    }),
  )
}

function attentions(): Probe[] {
  const { rows, nHeads, nKvHeads, headDim } = SEQUENCES
  const qkv = waves(rows * (nHeads + 2 * nKvHeads) * headDim, 1.3)
  const empty = (count: number) => new Float32Array(count)
  const [out, softmax] = [empty(rows * nHeads * headDim), empty(rows * nHeads * 2)]
  causalAttention({ qkv, out, softmax }, SEQUENCES)
  const [dOut, dQkv] = [waves(out.length, 0.7), empty(qkv.length)]
  causalAttentionBackward({ qkv, out, softmax, dOut, dQkv }, SEQUENCES)
  return [
    {
      what: 'attention',
      memory: { qkv, out: empty(out.length), softmax: empty(softmax.length) },
      command: ({ qkv, out, softmax }) => {
        return { op: 'causal-attention', ...SEQUENCES, qkv, out, softmax, halves: true }
      },
      result: 'out',
      expected: out,
    },
    {
      what: 'gradients of attention',
      memory: { qkv, out, softmax, dOut, dQkv: empty(dQkv.length) },
      command: ({ qkv, out, softmax, dOut, dQkv }) => ({
        op: 'causal-attention-backward',
        ...SEQUENCES,
        qkv,
        out,
        softmax,
        dOut,
        dQkv,
        halves: true,
      }),
      result: 'dQkv',
      expected: dQkv,
    },
  ]
}

/** @throws BackendError where they are not */
export async function checkHalves(backend: Backend): Promise<void> {
  for (const probe of [...products(), ...attentions()]) await check(backend, probe)
}

async function check(backend: Backend, probe: Probe): Promise<void> {
  const buffers: Record<string, DeviceBuffer> = {}
  try {
    for (const [name, values] of Object.entries(probe.memory)) {
      buffers[name] = backend.allocate(values.byteLength, `check of halves: ${name}`)
      backend.write(buffers[name], 0, bytesOf(values))
    }
    const program = await backend.record([probe.command(buffers)])
    backend.submit(program)
    program.dispose()
    const { buffer, byteOffset } = await backend.read(buffers[probe.result])
    const { what, expected } = probe
    const got = new Float32Array(buffer, byteOffset, expected.length)
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    const wrong = expected.findIndex(
      (value, i) => !(Math.abs(got[i] - value) <= TOLERANCE * largest),
    )
    if (wrong < 0) return
    throw new BackendError(
      `Expected ${what} of halves on ${backend.description} to be right, got ${got[wrong]} for ${expected[wrong]}. ` +
        'Update its driver, or train in float32 (--precision f32).',
    )
  } finally {
    for (const buffer of Object.values(buffers)) backend.free(buffer)
  }
}
