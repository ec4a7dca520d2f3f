/** Every operation x every backend x every case; see test/support/conformance-suite.ts. */
import { afterAll } from 'vitest'
import { conformanceCases } from '../../test/support/all-cases.ts'
import { everyBackend } from '../../test/support/backends.ts'
import { describeOperation } from '../../test/support/conformance-suite.ts'
import { operationNames } from './commands.ts'

const backends = await Promise.all(
  everyBackend().map(async ({ title, open }) => ({ title, backend: await open?.() })),
)

afterAll(() => {
  for (const { backend } of backends) backend?.dispose()
})

for (const op of operationNames) describeOperation(op, conformanceCases[op], backends)
