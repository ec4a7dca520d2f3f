/** Every operation x every backend x every case; see test/support/conformance-suite.ts. */
import { afterAll } from 'vitest'
import { conformanceCases } from '../../test/support/all-cases.ts'
import { everyBackend } from '../../test/support/backends.ts'
import { describeOperation } from '../../test/support/conformance-suite.ts'
import { shaders } from '../backends/webgpu/shaders.js'
import { TUNED_ISA } from '../backends/webgpu/webgpu-backend.ts'
import { operationNames } from './commands.ts'

const backends = await Promise.all(
  everyBackend().map(async ({ title, open }) => ({ title, backend: await open?.() })),
)

afterAll(() => {
  for (const { backend } of backends) backend?.dispose()
})

for (const op of operationNames) {
  // Without a shader of its own the tuned variant runs the base's.
  const isTuned = Object.keys(shaders).some((name) => name.startsWith(`${op}/`))
  const own = backends.filter(({ title }) => isTuned || !title.startsWith(TUNED_ISA))
  describeOperation(op, conformanceCases[op], own)
}
