/** Every object of options of the library: misspelt and foreign names, and values that do not fit. */
import { describe, expect, test } from 'vitest'
import { loadModel as loadInBrowser } from '../src/browser.ts'
import {
  compareFiles,
  compareShapes,
  convertFile,
  evaluate,
  loadModel,
  type ModelFile,
  openTernary,
  perplexity,
  type TensorInfo,
  UsageError,
} from '../src/index.ts'
import { numericTokenizer } from '../src/tokenizer/numeric.ts'
import { tokenizerFromGguf } from '../src/tokenizer/open-tokenizer.ts'
import { MockEngine } from './support/mock-engine.ts'
import { mockModel } from './support/mock-model.ts'
import { BYTE_LEVEL, tokenizerMetadata } from './support/vocabularies.ts'

/** Called with options of any kind, as from JavaScript. */
type Call = (options: never) => unknown

const model = mockModel(new MockEngine())
const tokenizers = [tokenizerFromGguf(tokenizerMetadata(BYTE_LEVEL)), numericTokenizer(8)]

/** By the owner that messages name. */
const CALLS: Readonly<Record<string, readonly Call[]>> = {
  loadModel: [
    (options) => loadModel('nowhere.gguf', options),
    (options) => loadInBrowser('nowhere.gguf', options),
  ],
  generate: [
    (options) => model.generate('a', options).result,
    (options) => model.chat().send('a', options).result,
  ],
  generateBatch: [(options) => model.generateBatch(['a'], options)],
  embed: [(options) => model.embed(['a'], options)],
  chat: [(options) => model.chat(options)],
  evaluate: [(options) => evaluate(model, ['arc_easy'], options)],
  perplexity: [(options) => perplexity(model, 'a', options)],
  compareShapes: [(options) => compareShapes(options)],
  convertFile: [(options) => convertFile('nowhere', 'nowhere.gguf', options)],
  compareFiles: [(options) => compareFiles('nowhere', 'nowhere', options)],
  openTernary: [(options) => openTernary({} as ModelFile, {} as TensorInfo, options)],
  'tokenizer.encode': tokenizers.map((each) => (options) => each.encode('a', options)),
  'tokenizer.decode': tokenizers.map((each) => (options) => each.decode([1], options)),
  'tokenizer.stream': tokenizers.map((each) => (options) => each.stream(options)),
  'tokenizer.encodeChat': [(options) => tokenizers[0].encodeChat([], options)],
}

/** What a call throws or rejects with. */
async function failure(call: Call, options: unknown): Promise<Error> {
  try {
    await call(options as never)
  } catch (error) {
    return error as Error
  }
  throw new Error(`${JSON.stringify(options)} was taken`)
}

describe.each(Object.entries(CALLS))('%s', (owner, calls) => {
  test('refuses unknown options, and options that are no object', async () => {
    for (const call of calls) {
      const error = await failure(call, { num_beams: 4 })
      expect(error).toBeInstanceOf(UsageError)
      expect(error.message).toMatch(`Expected an option of ${owner}, got "num_beams". `)
      expect((await failure(call, 5)).message).toBe('Expected options to be an object, got 5.')
      expect((await failure(call, null)).message).toBe(
        'Expected options to be an object, got null.',
      )
    }
  })
})

test.each([
  ['loadModel', 'n_threads', 'threads'],
  ['loadModel', 'cache_type', 'kv'],
  ['loadModel', 'matmul_precision', 'matmulPrecision'],
  ['loadModel', 'abortSignal', 'signal'],
  ['generate', 'max_length', 'maxTokens'],
  ['generate', 'max_new_tokens', 'maxTokens'],
  ['generate', 'num_predict', 'maxTokens'],
  ['generate', 'top_p', 'topP'],
  ['generate', 'top_k', 'topK'],
  ['generate', 'min_p', 'minP'],
  ['generate', 'do_sample', 'temperature'],
  ['generate', 'temprature', 'temperature'],
  ['generate', 'repetition_penalty', 'repetitionPenalty'],
  ['generate', 'repeat_penalty', 'repetitionPenalty'],
  ['generate', 'frequency_penalty', 'frequencyPenalty'],
  ['generate', 'stop_strings', 'stop'],
  ['generate', 'assistant_model', 'draft'],
  ['generateBatch', 'max_length', 'maxTokens'],
  ['generateBatch', 'batch_size', 'parallel'],
  ['embed', 'truncate_dim', 'dimensions'],
  ['chat', 'system_prompt', 'system'],
  ['evaluate', 'num_fewshot', 'settings'],
  ['evaluate', 'data_dir', 'dataDir'],
  ['perplexity', 'max_length', 'window'],
  ['compareShapes', 'prompt_tokens', 'promptTokens'],
  ['convertFile', 'outtype', 'weights'],
  ['openTernary', 'weight_scale', 'weightScale'],
  ['tokenizer.encode', 'add_special_tokens', 'addBos'],
  ['tokenizer.encode', 'parseSpecials', 'parseSpecial'],
  ['tokenizer.decode', 'skip_special_tokens', 'skipSpecial'],
  ['tokenizer.encodeChat', 'add_generation_prompt', 'addGenerationPrompt'],
])('%s leads from %s to %s', async (owner, wrong, right) => {
  for (const call of CALLS[owner]) {
    const { message } = await failure(call, { [wrong]: 1 })
    expect(message).toContain(`an option of ${owner}, got "${wrong}". Use ${right}, `)
  }
})

test.each([
  ['loadModel', { kv: 'q8' }, 'Expected kv to be f32, f16, int8, int4, got "q8".'],
  ['loadModel', { backend: 'gpu' }, 'Expected backend to be auto, '],
  ['loadModel', { isa: 3 }, 'Expected isa to be a text, got 3.'],
  ['loadModel', { image: 'no' }, 'Expected image to be true or false, got "no" (string).'],
  ['loadModel', { threads: '2' }, 'Expected threads to be a whole number from 1 on'],
  ['loadModel', { onProgress: true }, 'Expected onProgress to be a function, got true.'],
  ['loadModel', { signal: new AbortController() }, 'Expected signal to be an AbortSignal'],
  ['generate', { speculate: { max: 3 } }, 'got "speculate.max". Use speculate.maxTokens, '],
  ['generate', { draft: 'tiny' }, 'Expected draft to be a loaded model, got "tiny" (string).'],
  ['embed', { signal: 1 }, 'Expected signal to be an AbortSignal, got 1.'],
  ['chat', { messages: 'Hi' }, 'Expected messages to be an array of messages, got "Hi" (string).'],
  ['evaluate', { limit: 0 }, 'Expected limit to be a whole number from 1 on, got 0.'],
  ['evaluate', { settings: { num_fewshot: 5 } }, 'Use settings.numFewshot, an integer >= 0.'],
  ['evaluate', { settings: { bos: 'yes' } }, 'Expected settings.bos to be auto, always, never'],
  ['evaluate', { datasets: { arc: {} } }, 'Use datasets.arc_easy, '],
  ['evaluate', { datasets: { piqa: { repo: 1 } } }, 'Expected datasets.piqa.repo to be a text'],
  ['perplexity', { preset: 'paper' }, 'Expected preset to be bitnet-paper, got "paper".'],
  ['perplexity', { packed: 1 }, 'Expected packed to be true or false, got 1.'],
  ['compareShapes', { sizes: ['70b'] }, 'Expected sizes to be a list of '],
  ['compareShapes', { energy: 'sun' }, 'Expected energy to be cpu, gpu, all, got "sun".'],
  ['convertFile', { weights: 'Q4' }, 'Expected weights to be I2_S, TQ1_0, TQ2_0, got "Q4".'],
  ['openTernary', { scaleConvention: 'times' }, 'to be multiply, divide, got "times".'],
  ['tokenizer.encode', { addBos: 'no' }, 'Expected addBos to be true or false, got "no" (string).'],
])('%s refuses %o', async (owner, options, message) => {
  for (const call of CALLS[owner]) {
    const error = await failure(call, options)
    expect(error).toBeInstanceOf(UsageError)
    expect(error.message).toContain(message)
  }
})
