/** The cases of every operation, from its folder. */
import { operationNames } from '../../src/kernels/commands.ts'
import type { KernelCase } from '../../src/kernels/testing/conformance-cases.ts'

export const conformanceCases: Readonly<Record<string, readonly KernelCase[]>> = Object.fromEntries(
  await Promise.all(
    operationNames.map(async (op) => [
      op,
      (await import(`../../src/kernels/${op}/cases.ts`)).cases,
    ]),
  ),
)
