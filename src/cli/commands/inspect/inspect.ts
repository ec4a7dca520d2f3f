/**
 * `bitnet inspect`: what is in a model, without running it; of a model that is not on this machine, its
 * header alone is read.
 */
import type { Command } from 'commander'
import { BitnetError } from '../../../errors.ts'
import type { OpenedModel } from '../../../formats/model-file.ts'
import { loadTokenizer } from '../../../generate/assemble-model.ts'
import { findCached } from '../../../node/hub/cached-model.ts'
import type { RemoteModel } from '../../../node/hub/remote-model.ts'
import { openModelFile } from '../../../node/open-model.ts'
import { resolveName } from '../../../node/resolve-model.ts'
import { EXIT, interruption, type Surroundings } from '../../console/surroundings.ts'
import { StatusLine, writeJson, writeLine } from '../../console/terminal.ts'
import { parseHead, parseKv, parsePacking } from '../../flags/generation-flags.ts'
import { describeImages, imagesOf } from './image-facts.ts'
import { describeInspection, type TokenizerInspection } from './inspect-report.ts'
import type { MemoryOptions } from './memory-need.ts'
import { inspectModel, type ModelInspection } from './model-inspection.ts'

export interface InspectFlags extends MemoryOptions {
  readonly json?: boolean
}

export function addInspectCommand(
  command: Command,
  run: (source: string | undefined, flags: InspectFlags) => Promise<void>,
): void {
  command
    .argument(
      '[model]',
      'name, owner/name, address, .gguf, .safetensors or folder (default: embedded)',
    )
    .option(
      '--kv <type>',
      'for the memory: f32, f16, int8 or int4 (default: f16 and int8)',
      parseKv,
    )
    .option('--head <type>', 'for the memory: head as f16, int8 or int4', parseHead)
    .option('--weights <packing>', 'for the memory: auto, 2bit or base3', parsePacking)
    .option('--json', 'print one JSON object, and nothing else, on standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ bitnet inspect
  $ bitnet inspect model.gguf --kv int8
  $ bitnet inspect folder-with-safetensors/ --json
  $ bitnet inspect bitnet-2b                          reads the header only, fetches nothing
  $ bitnet inspect hf:owner/name:model-i2_s.gguf

Of a model that is not in the cache only the header is read, so the shares of -1, 0 and +1 are left out.`,
    )
    .action(run)
}

/** @returns the exit code */
export async function runInspect(
  source: string | undefined,
  { json, ...options }: InspectFlags,
  surroundings: Surroundings,
): Promise<number> {
  const { stdout, stderr } = surroundings
  const line = new StatusLine(stderr)
  const { signal, [Symbol.dispose]: release } = interruption(surroundings)
  try {
    const { opened, path, remote, close } = await openNamed(source, surroundings, signal, line)
    try {
      const onLayer = (layer: number, count: number): void => {
        signal.throwIfAborted()
        line.show(`Counting the weights of layer ${layer + 1} of ${count}`)
      }
      const counting = remote === undefined ? { onLayer } : {}
      const model = await inspectModel(opened.file, { ...options, ...counting })
      line.clear()
      const tokenizer = inspectTokenizer(opened, model)
      const seen = remote === undefined ? null : { ...remote.facts, readBytes: remote.readBytes() }
      const images = remote === undefined ? await imagesOf(opened.file.name) : []
      if (json) await writeJson(stdout, { path, remote: seen, ...model, tokenizer, images })
      else {
        const lines = describeInspection({ model, tokenizer, remote: seen })
        if (remote === undefined) lines.push('', describeImages(images))
        await writeLine(stdout, lines.join('\n'))
      }
      return EXIT.ok
    } finally {
      await close()
    }
  } finally {
    line.clear()
    release()
  }
}

interface NamedModel {
  readonly opened: OpenedModel
  /** Null for a model that is not on this machine. */
  readonly path: string | null
  readonly remote?: RemoteModel
  readonly close: () => Promise<void>
}

/** On this machine if it is there, also in the cache; else where it is. */
async function openNamed(
  source: string | undefined,
  { env }: Surroundings,
  signal: AbortSignal,
  line: StatusLine,
): Promise<NamedModel> {
  const resolved = await resolveName(source, env)
  if (resolved.kind === 'path') return openLocal(resolved.path)
  const { model, settings } = resolved
  const cached = await findCached(settings.cacheFolder, model)
  if (cached !== undefined) return openLocal(cached)
  // What is on this machine need not wait for what speaks HTTP.
  const [{ notCached }, { openRemoteModel }] = await Promise.all([
    import('../../../node/hub/pull-model.ts'),
    import('../../../node/hub/remote-model.ts'),
  ])
  if (settings.offline) throw notCached(model, settings)
  line.show('Reading the header')
  const remote = await openRemoteModel(model, settings, { signal })
  return { opened: remote.opened, path: null, remote, close: remote.close }
}

async function openLocal(path: string): Promise<NamedModel> {
  const opened = await openModelFile(path)
  return { opened, path, close: () => opened.file.close() }
}

function inspectTokenizer(opened: OpenedModel, { config }: ModelInspection): TokenizerInspection {
  try {
    const tokenizer = loadTokenizer(opened, config?.vocabSize ?? 0)
    const { description, vocabSize, bosId = null, stopIds, chatTemplate = null } = tokenizer
    return { description, vocabSize, bosId, stopIds, chatTemplate }
  } catch (error) {
    if (!(error instanceof BitnetError)) throw error
    return { problem: error.message }
  }
}
