/** The self-test finds nothing where all is right, and says what is not. */
import { afterAll, describe, expect, test } from 'vitest'
import { createReferenceBackend } from '../reference/index.ts'
import { faultOf } from './self-test.ts'

describe('the self-test', () => {
  const backend = createReferenceBackend()
  const read = backend.read.bind(backend)

  afterAll(() => backend.dispose())

  test('finds no fault in the reference', async () => {
    expect(await faultOf(backend)).toBeUndefined()
  })

  test('finds a wrong result, and one that depends on its neighbours', async () => {
    let reads = 0
    const faulty = (by: (which: number) => number) => {
      reads = 0
      backend.read = async (slice) => {
        const floats = new Float32Array((await read(slice)).buffer)
        floats[3] += by(reads++)
        return new Uint8Array(floats.buffer)
      }
      return faultOf(backend)
    }
    expect(await faulty(() => 100)).toMatch(/^result 3 of 40 tokens is .* in place of/)
    expect(await faulty(() => Number.NaN)).toMatch(/^result 3 of 40 tokens is NaN in place of/)
    expect(await faulty((which) => Number(which === 2) * 1e-5)).toMatch(/in a pass of 1 and/)
    expect(await faulty((which) => which * 1e-5)).toMatch(
      /^result 3 of a token is .* in a pass of 5 and .* among others/,
    )
  })
})
