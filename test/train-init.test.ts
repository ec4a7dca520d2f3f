/** Going on from a model that is there: masters and packed forms of it begin with the same loss. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { convertFile } from '../src/node/convert/convert-file.ts'
import { type TrainOptions, train } from '../src/node/train/train.ts'

const folder = mkdtempSync(join(tmpdir(), 'bitnet-train-init-'))
const text = join(folder, 'text.txt')

beforeAll(() => {
  const animals = ['cat', 'dog', 'owl', 'fox', 'hen']
  const lines = Array.from({ length: 600 }, (_, i) => `The ${animals[i % 5]} is at home.`)
  writeFileSync(text, lines.join('\n'))
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function runIn(name: string, options: Partial<TrainOptions>) {
  const small = { data: [text], batch: 4, length: 32, threads: 1, seed: 7 }
  return train({ ...small, out: join(folder, name), ...options })
}

test.each([{ quant: 'b158' }, { quant: 'b1' }, { quant: 'b158', moe: 'experts=4,top=2' }] as const)(
  'a run goes on from packed weights as from masters: $quant $moe',
  async (options) => {
    const name = `${options.quant} ${'moe' in options}`
    const masters = (await runIn(name, { ...options, steps: 12, lr: 4e-3 })).checkpoint
    const [packed, gguf] = [join(folder, `${name}-packed`), join(folder, `${name}.gguf`)]
    await convertFile(masters, packed, { embedding: 'F32' })
    await convertFile(masters, gguf, { embedding: 'Q8_0' })
    const firstLoss = async (init: string, to: string) => {
      const losses: number[] = []
      await runIn(to, {
        ...{ quant: options.quant, init, steps: 4, lr: 1e-3 },
        onEvent: (event) => event.type === 'step' && losses.push(event.loss),
      })
      return losses[0]
    }
    const expected = await firstLoss(masters, `${name} from masters`)
    expect(expected).toBeLessThan(5)
    expect(await firstLoss(packed, `${name} from packed`)).toBeCloseTo(expected, 5)
    // The embedding is rounded.
    expect(await firstLoss(gguf, `${name} from gguf`)).toBeCloseTo(expected, 2)
  },
)
