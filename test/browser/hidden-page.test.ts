/**
 * A tab that nobody sees, behind another one, where browsers hold timers back: loading and generating go on there,
 * with the tokens of Node, and rest on no timer. A GPU that is lost there is told, and the model loads again.
 */
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { loadModel } from '../../src/node/load-model.ts'
import { BROWSER, requiredBackends } from '../support/backends.ts'
import { buildProgram, hasEmbeddedModel, ROOT } from '../support/built-program.ts'
import { visitBare } from './bare-tab.ts'
import { findChromium } from './chromium.ts'

const executable = findChromium()
const missing =
  executable === undefined ? 'no Chromium' : hasEmbeddedModel() ? undefined : 'no embedded model'
if (missing !== undefined && requiredBackends().has(BROWSER)) {
  throw new Error(`REQUIRE_BACKENDS names ${BROWSER}, but there is ${missing}.`)
}

describe.skipIf(missing !== undefined)(`a hidden page${missing ? ` (${missing})` : ''}`, () => {
  let expected: readonly number[]

  beforeAll(async () => {
    await buildProgram()
    await using model = await loadModel()
    const options = { temperature: 0, repetitionPenalty: 1, maxTokens: 40 }
    const prompt = 'Once upon a time, there was a little'
    expected = (await model.generate(prompt, options).result).tokenIds
  })

  async function visit(path: string, isolated = true): Promise<unknown> {
    const files = { '/page.js': join(ROOT, 'test/browser/hidden-page.js') }
    const options = { isolated, files, path }
    return JSON.parse((await visitBare(executable ?? '', options)).said)
  }

  test.each([
    ['wasm', true],
    ['wasm', false],
  ])('loads and generates on %s, isolated: %s, with no timer', async (backend, isolated) => {
    expect(await visit(`?backend=${backend}`, isolated)).toEqual({
      tokenIds: expected,
      state: 'hidden',
      timers: 0,
      backend,
    })
  })
})
