/** Every shader declares what its operation describes: numbers and slices, in order, with their access. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Operation } from '../../kernels/define-op.ts'
import { operations } from '../../kernels/ops.ts'
import { shaders } from './shaders.js'

const all: readonly Operation[] = operations
const shaded = all.filter(({ workgroups }) => workgroups !== undefined)

/** Files of an operation's folder and of this one: name in shaders.js, and text. */
function filesIn(folder: string, prefix: string): { name: string; text: string }[] {
  const url = new URL(folder, import.meta.url)
  const files = readdirSync(url).filter((file) => file.endsWith('.wgsl'))
  return files.map((file) => ({
    name: file === 'base.wgsl' ? prefix.slice(0, -1) : `${prefix}${file.slice(0, -5)}`,
    text: readFileSync(new URL(file, url), 'utf8'),
  }))
}

const files = shaded.flatMap((operation) =>
  filesIn(`../../kernels/${operation.name}/`, `${operation.name}/`).map((file) => ({
    ...file,
    operation,
  })),
)

/** "table.rows" as a name in WGSL, which keeps the word "from" for itself. */
function nameOf(name: string): string {
  return name === 'from' ? 'source' : name.replaceAll('.', '_')
}

test('every operation has a shader, but for those that leave out what cannot matter', () => {
  const lacking = all.filter(({ hasReference, workgroups }) => hasReference && !workgroups)
  expect(lacking.map(({ name }) => name)).toEqual(['gated-matmul', 'head-draw', 'look-weights'])
})

describe.each(files.map(({ name, text, operation }) => [name, text, operation] as const))(
  '%s',
  (name, text, own) => {
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
      const between = own.finish ? [{ name: 'between', isConst: false }] : []
      expect(bindings.map(([, at, access, slice]) => [Number(at), access, slice])).toEqual(
        [...own.slices, ...between].map(({ name, isConst }, i) => [
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
test('what is called the same is the same wherever it stands, but for what each is about', () => {
  const bodies = new Map<string, Set<string>>()
  for (const { text } of [...files, ...filesIn('./', '')]) {
    for (const [body, name] of text.matchAll(/(?:\/\/\/.*\n)*fn (\w+)\([\s\S]*?\n}\n/g)) {
      bodies.set(name, (bodies.get(name) ?? new Set()).add(body))
    }
  }
  const several = [...bodies].filter(([, texts]) => texts.size > 1).map(([name]) => name)
  // Those of one name that are about another operation's memory.
  const own = ['element', 'finish', 'largestOf', 'main']
  expect(several.sort()).toEqual(own)
})
