/** Every shader declares what its operation describes: numbers and slices, in order, with their access. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Operation } from '../../kernels/define-op.ts'
import { operations } from '../../kernels/ops.ts'
import { shaders } from './shaders.js'

const all: readonly Operation[] = operations
const shaded = all.filter(({ workgroups }) => workgroups !== undefined)

function fileOf(name: string): string {
  return readFileSync(new URL(`../../kernels/${name}/base.wgsl`, import.meta.url), 'utf8')
}

/** "table.rows" as a name in WGSL. */
function nameOf(name: string): string {
  return name.replaceAll('.', '_')
}

/** Operations of training that run on processors alone. */
const ON_PROCESSORS: readonly string[] = [
  'matmul',
  'quantize-weights',
  'unpack-ternary',
  'dequantize',
  'rms-norm-backward',
  'axpy',
  'square-sum',
  'gated-activation-backward',
  'cross-entropy',
  'scatter-add',
  'adamw',
  'rope',
  'causal-attention',
  'causal-attention-backward',
]

test('every operation that results depend on has a shader, but for some of training', () => {
  const lacking = all.filter(({ hasReference, workgroups }) => hasReference && !workgroups)
  expect(lacking.map(({ name }) => name)).toEqual(ON_PROCESSORS)
})

describe.each(shaded.map((operation) => [operation.name, operation] as const))(
  '%s',
  (name, own) => {
    const text = fileOf(name)

    test('has its numbers in the order in which they are written', () => {
      const struct = /struct Params \{([^}]*)\}/.exec(text)?.[1] ?? ''
      const fields = [...struct.matchAll(/(\w+): (\w+),/g)].map(([, field, type]) => [field, type])
      expect(fields).toEqual([
        ...own.integers.map((number) => [nameOf(number.name), 'u32']),
        ...own.floats.map((number) => [nameOf(number.name), 'f32']),
        ...own.slices.map((slice) => [`${nameOf(slice.name)}_at`, 'u32']),
      ])
    })

    test('binds its slices in their order, and may write to those that change', () => {
      const bindings = [...text.matchAll(/@binding\((\d+)\) var<storage, (\w+)> (\w+)/g)]
      expect(bindings.map(([, at, access, slice]) => [Number(at), access, slice])).toEqual(
        own.slices.map(({ name, isConst }, i) => [
          i + 1,
          isConst ? 'read' : 'read_write',
          nameOf(name),
        ]),
      )
    })

    test('is in the module of shaders as it is in its folder', () => {
      const bare = (shader: string) => shader.replaceAll(/\/\/.*|\s+/g, '')
      expect(bare(shaders[name])).toBe(bare(text))
    })
  },
)

/** Shaders are valid each on its own, so that what several need stands in each of them. */
test.each(['half', 'halfBits', 'quotient', 'sumOf', 'placeOf', 'codeAt', 'keyOf'])(
  'what is called %s is the same wherever it stands',
  (name) => {
    const bodies = shaded.flatMap((operation) => {
      return new RegExp(`fn ${name}\\([\\s\\S]*?\\n}\\n`).exec(fileOf(operation.name))?.[0] ?? []
    })
    expect(bodies.length).toBeGreaterThan(1)
    expect(new Set(bodies).size).toBe(1)
  },
)
