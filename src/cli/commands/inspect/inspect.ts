/**
 * `bitnet inspect`: what is in a model, without running it; of a model that is not on this machine, its
 * header alone is read.
 */
import { resolve } from 'node:path'
import { BitnetError, UsageError } from '../../../errors.ts'
import type { OpenedModel } from '../../../formats/model-file.ts'
import { loadTokenizer } from '../../../generate/load/load-text.ts'
import { USUAL_PACE } from '../../../hub/download/patience.ts'
import type { RemoteModel } from '../../../hub/remote-model.ts'
import type { FfnZeros } from '../../../model/ffn-zeros.ts'
import { findCached } from '../../../node/hub/cached-model.ts'
import { listImages } from '../../../node/images/image-folder.ts'
import { openModelFile } from '../../../node/open-model.ts'
import { resolveName } from '../../../node/resolve-model.ts'
import { takingTurns } from '../../../turns.ts'
import type { CommandContext } from '../../command-context.ts'
import { defineCommand } from '../../define-command.ts'
import { addMemoryFlags } from '../../flags/load-flags.ts'
import {
  describeImages,
  describeInspection,
  type ImageFact,
  type TokenizerInspection,
} from './inspect-report.ts'
import type { MemoryOptions } from './memory-need.ts'
import { inspectModel, type ModelInspection } from './model-inspection.ts'

export interface InspectFlags extends MemoryOptions {
  readonly activations?: string
  readonly json?: boolean
}

export const command = defineCommand<InspectFlags, [source: string | undefined]>({
  flags(command) {
    command.argument(
      '[model]',
      'name, owner/name, address, .gguf, .safetensors or folder (default: embedded)',
    )
    addMemoryFlags(command, ['kv', 'head', 'weights', 'sparse'])
    command.option(
      '--activations <text>',
      'run the text, and count what is 0 in the feed-forward of each layer',
    )
  },
  examples: `\
  $ bitnet inspect
  $ bitnet inspect model.gguf --kv int8
  $ bitnet inspect folder-with-safetensors/ --json
  $ bitnet inspect --activations "$(cat notes.txt)"   what products may leave out
  $ bitnet inspect bitnet-2b                          reads the header only, fetches nothing
  $ bitnet inspect hf:owner/name:model-i2_s.gguf

Of a model that is not in the cache only the header is read, so the shares of -1, 0 and +1 are left out.`,
  async run(context, { json: _, activations, ...options }, source) {
    const { signal, status } = context
    await using named = await openNamed(source, context)
    const { opened, path, remote } = named
    const onLayer = (layer: number, count: number): void => {
      signal.throwIfAborted()
      status.show(`Counting the weights of layer ${layer + 1} of ${count}`)
    }
    const counting = remote === undefined ? { onLayer } : {}
    const model = await inspectModel(opened.file, { ...options, ...counting })
    const tokenizer = await inspectTokenizer(opened, model)
    const seen = remote === undefined ? null : { ...remote.facts, readBytes: remote.readBytes() }
    const images = remote === undefined ? await imagesOf(opened.file.name) : []
    const zeros = activations === undefined ? {} : await zerosOf(activations, path, context)
    await context.print({ path, remote: seen, ...model, ...zeros, tokenizer, images }, () => [
      ...describeInspection({ model, ...zeros, tokenizer, remote: seen }),
      ...(remote === undefined ? ['', describeImages(images)] : []),
    ])
  },
})

/**
 * @param path of a model on this machine
 * @throws UsageError for any other, and for one without zeros
 */
async function zerosOf(
  text: string,
  path: string | null,
  context: CommandContext,
): Promise<{ readonly activations: readonly FfnZeros[] }> {
  if (path === null) {
    throw new UsageError(
      'Expected a model on this machine for --activations, as its layers are computed. Fetch it with: bitnet pull',
    )
  }
  await using model = await context.loadModel({ model: path })
  context.status.show('Running the text')
  return { activations: await model.ffnZeros(text, { signal: context.signal }) }
}

interface NamedModel extends AsyncDisposable {
  readonly opened: OpenedModel
  /** Null for a model that is not on this machine. */
  readonly path: string | null
  readonly remote?: RemoteModel
}

/** On this machine if it is there, also in the cache; else where it is. */
async function openNamed(source: string | undefined, context: CommandContext): Promise<NamedModel> {
  const { env, signal, status } = context
  const resolved = await resolveName(source, env)
  if (resolved.kind === 'path') return openLocal(resolved.path)
  const { model, settings } = resolved
  const cached = await findCached(settings.cacheFolder, model)
  if (cached !== undefined) return openLocal(cached)
  // What is on this machine need not wait for what speaks HTTP.
  const [{ notCached }, { NodeClient }, { openRemoteModel }] = await Promise.all([
    import('../../../node/hub/pull-model.ts'),
    import('../../../node/hub/node-client.ts'),
    import('../../../hub/remote-model.ts'),
  ])
  if (settings.offline) throw notCached(model, settings)
  status.show('Reading the header')
  const client = new NodeClient(settings, USUAL_PACE)
  try {
    const remote = await context.waitingFor(`Waiting for ${source}`, () =>
      openRemoteModel(model, client, { signal }),
    )
    const close = async () => {
      await remote.opened.file.close()
      await client.close()
    }
    return { opened: remote.opened, path: null, remote, [Symbol.asyncDispose]: close }
  } catch (error) {
    await client.close()
    throw error
  }
}

async function openLocal(path: string): Promise<NamedModel> {
  const opened = await openModelFile(path)
  return { opened, path, [Symbol.asyncDispose]: () => opened.file.close() }
}

async function inspectTokenizer(
  opened: OpenedModel,
  { config }: ModelInspection,
): Promise<TokenizerInspection> {
  try {
    const tokenizer = await takingTurns(loadTokenizer(opened, config?.vocabSize ?? 0))
    const { description, vocabSize, bosId = null, stopIds, chatTemplate = null } = tokenizer
    return { description, vocabSize, bosId, stopIds, chatTemplate }
  } catch (error) {
    if (!(error instanceof BitnetError)) throw error
    return { problem: error.message }
  }
}

/** @param modelPath the name of the model's opened file */
async function imagesOf(modelPath: string): Promise<ImageFact[]> {
  const source = resolve(modelPath)
  return (await listImages())
    .filter((image) => image.source === source)
    .map(({ path, byteLength, settings = null }) => ({ path, byteLength, settings }))
}
