/**
 * The types of the packed package, as strict projects of both kinds of resolution see them, with Node's
 * types and without; and that whatever a signature names can be imported by name.
 */
import { join } from 'node:path'
import ts from 'typescript'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type PackedProject, packedProject } from './support/packed-package.ts'
import { unexportedTypes } from './support/public-types.ts'

/** What both entries have, used as a caller would. */
const COMMON = `
import {
  BitnetError, loadModel, type LoadOptions, type LanguageModel, type GenerateOptions, type ModelSource,
} from 'ENTRY'

declare const file: File
const sources: ModelSource[] = ['a.gguf', new URL('file:///a.gguf'), new Uint8Array(1), new ArrayBuffer(1), file]
const options: LoadOptions = { kv: 'int8', threads: 2, wasm: '/bitnet/', onDownload: ({ doneBytes }) => doneBytes }
const asked: GenerateOptions = { maxTokens: 3, speculate: { maxTokens: 2 }, signal: new AbortController().signal }

export async function use(): Promise<string> {
  await using model: LanguageModel = await loadModel(sources[0], options)
  for await (const piece of model.generate('a', asked)) piece.trim()
  const [result] = await model.generateBatch(['a'], { parallel: 2 })
  const vectors: readonly Float32Array[] = await model.embed(['a'])
  const name: 'stop' | 'length' | 'cancelled' = result.finishReason
  return name + vectors.length + (new BitnetError('A', 'b').code)
}
// @ts-expect-error: a misspelt option is a mistake that the compiler sees
loadModel('a', { thread: 2 })
// @ts-expect-error: so is a value that an option does not take
loadModel('a', { kv: 'q8' })
// @ts-expect-error: and what is no model
loadModel(5)
`
const NODE = `
import { convertFile, evaluate, perplexity, readConfig, openModelFile } from 'bitnet-ts'
export const report = async () => {
  const model = await (await import('bitnet-ts')).loadModel()
  const { results } = await evaluate(model, ['arc_easy'], { settings: { numFewshot: 5 } })
  const { file } = await openModelFile('a')
  return [results['arc_easy'], await perplexity(model, 'a'), readConfig(file), await convertFile('a', 'b')]
}
`
const SERVER = `
import { loadModel } from 'bitnet-ts'
import { type BitnetServer, createBitnetServer, type ServerOptions } from 'bitnet-ts/server'
const options: ServerOptions = { models: [{ id: 'embedded', load: () => loadModel() }] }
const server: BitnetServer = createBitnetServer(options)
export const answer: Promise<Response> = server.fetch(new Request('http://localhost/v1/models'))
`

const BASE: ts.CompilerOptions = {
  strict: true,
  noEmit: true,
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
  target: ts.ScriptTarget.ES2022,
  types: [],
}
const NODE16 = {
  module: ts.ModuleKind.Node16,
  moduleResolution: ts.ModuleResolutionKind.Node16,
}
const BUNDLER = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler }

let project: PackedProject

beforeAll(async () => {
  project = await packedProject(['@types/node', 'undici-types'])
  const common = (entry: string) => COMMON.replace('ENTRY', entry)
  await project.write({
    'node.ts': common('bitnet-ts') + NODE,
    'browser.ts': common('bitnet-ts/browser'),
    'page.ts': common('bitnet-ts'),
    'server.ts': SERVER,
  })
})
afterAll(() => project?.[Symbol.asyncDispose]())

/** Libraries are the same for all programs. */
const parsed = new Map<string, ts.SourceFile | undefined>()

function programOf(options: ts.CompilerOptions, names: readonly string[]): ts.Program {
  const host = ts.createCompilerHost(options)
  const read = host.getSourceFile
  host.getSourceFile = (name, how, ...rest) => {
    const mode = typeof how === 'object' ? how.impliedNodeFormat : how
    const key = `${mode} ${name}`
    if (!parsed.has(key)) parsed.set(key, read(name, how, ...rest))
    return parsed.get(key)
  }
  host.getCurrentDirectory = () => project.folder
  const rootNames = names.map((name) => join(project.folder, name))
  return ts.createProgram({ rootNames, options: { ...BASE, ...options }, host })
}

test.each<[what: string, options: ts.CompilerOptions, names: readonly string[]]>([
  ['node16, without types of Node', NODE16, ['node.ts', 'browser.ts', 'server.ts']],
  [
    'node16, with types of Node and without those of browsers',
    { ...NODE16, lib: ['lib.es2022.d.ts'], types: ['node'] },
    ['node.ts'],
  ],
  ['a bundler', BUNDLER, ['node.ts', 'browser.ts', 'server.ts']],
  [
    "a bundler that takes the browser's entry",
    { ...BUNDLER, customConditions: ['browser'] },
    ['page.ts'],
  ],
])('types are right for %s', (_what, options, names) => {
  const program = programOf(options, names)
  const problems = ts.getPreEmitDiagnostics(program).map(({ file, start = 0, messageText }) => {
    const line = file === undefined ? 0 : ts.getLineAndCharacterOfPosition(file, start).line + 1
    return `${file?.fileName}:${line} ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
  })
  expect(problems).toEqual([])
})

test.each(['index.d.ts', 'browser.d.ts'])(
  '%s exports all types that its signatures name',
  (entry) => {
    const home = join(project.folder, 'node_modules', 'bitnet-ts', 'dist')
    const path = join('node_modules', 'bitnet-ts', 'dist', entry)
    const program = programOf(NODE16, [path])
    expect(unexportedTypes(program, join(project.folder, path), home)).toEqual([])
  },
)
