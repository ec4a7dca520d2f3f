/** Training in a browser: texts that a page has, checkpoints in memory or in the browser's own files. */
import type { WasmSource } from '../../backends/backend.ts'
import { openPortableBackend } from '../../backends/open-portable.ts'
import { isObject } from '../../checks.ts'
import { convertToGguf } from '../../convert/index.ts'
import { UsageError } from '../../errors.ts'
import { memorySink } from '../../formats/byte-sink.ts'
import { openModelFolder } from '../../formats/model-folder.ts'
import { parseSafetensors } from '../../formats/safetensors/index.ts'
import { COUNT, checkOptions, type OptionRules, SWITCH } from '../../option-checks.ts'
import { filesOf, OPTIMIZER_FILE, restore, STATE_FILE } from '../../train/checkpoint/checkpoint.ts'
import { readRunState } from '../../train/checkpoint/run-state.ts'
import { byteTokenizer, openTokenizer, type TokenizerFile } from '../../train/data/run-tokenizer.ts'
import type { TrainReport } from '../../train/loop.ts'
import { DEFAULT_PRESET } from '../../train/presets.ts'
import { runTraining } from '../../train/run.ts'
import { RUN_SETTINGS, type RunSettings } from '../../train/settings.ts'
import type { Trainer } from '../../train/trainer.ts'
import { type CheckpointPlace, folderCheckpoints, memoryCheckpoints } from './checkpoint-places.ts'
import { type TrainingText, tokensOf } from './text-sources.ts'

export interface BrowserTrainOptions extends RunSettings {
  /** Texts and files to learn from. */
  readonly data: TrainingText | readonly TrainingText[]
  /** Where checkpoints go, e.g. `await navigator.storage.getDirectory()`. Unset: memory. */
  readonly out?: FileSystemDirectoryHandle | undefined
  /** tokenizer.json and what lies beside it. Unset: a token a byte. */
  readonly tokenizer?: readonly TokenizerFile[] | undefined
  /** How many checkpoints stay. Unset: 1. */
  readonly keep?: number | undefined
  /** Go on from the newest checkpoint in `out`, with the settings it was made with. */
  readonly resume?: boolean | undefined
  /** As in loadModel. */
  readonly wasm?: WasmSource | undefined
}

export interface BrowserTrainReport extends TrainReport {
  /**
   * The newest checkpoint as a GGUF file, which loadModel takes and which can be saved.
   *
   * @throws UsageError for a model without ternary weights
   */
  gguf(): Promise<Uint8Array<ArrayBuffer>>
}

const isText = (value: unknown) => typeof value === 'string' || value instanceof Blob

const TRAIN_OPTIONS: OptionRules<BrowserTrainOptions> = {
  ...RUN_SETTINGS,
  data: {
    expected: 'a text, a File or a list of them',
    holds: (value) =>
      isText(value) || (Array.isArray(value) && value.length > 0 && value.every(isText)),
    takesText: true,
  },
  out: {
    expected: 'a FileSystemDirectoryHandle',
    holds: (value) => isObject(value) && typeof value['getDirectoryHandle'] === 'function',
  },
  tokenizer: { expected: 'a list of files with a name and bytes each', holds: Array.isArray },
  keep: COUNT,
  resume: SWITCH,
  wasm: { expected: 'an address or bytes', holds: () => true, takesText: true },
}

/**
 * Trains a model on texts of a page, best in a worker. Unset, `backend` takes a GPU if there is one.
 *
 * @throws UsageError for options and texts that do not go together; DivergedError; BackendError without memory
 *
 * @example
 * const { gguf } = await train({ data: text, steps: 500, onEvent: console.log })
 * const model = await loadModel(await gguf())
 */
export async function train(options: BrowserTrainOptions): Promise<BrowserTrainReport> {
  checkOptions('train', options, TRAIN_OPTIONS)
  if (options.data === undefined) {
    throw new UsageError("Expected data to learn from, got none: train({ data: 'a long text' }).")
  }
  const { data, out, signal, keep = 1, wasm } = options
  const place = out === undefined ? memoryCheckpoints() : folderCheckpoints(out)
  const newest = (await place.list()).at(-1)
  if ((newest !== undefined) !== (options.resume === true)) {
    throw new UsageError(
      newest === undefined
        ? 'Expected a checkpoint to go on from in out, got none.'
        : `${newest} is there already. Choose another folder, or go on with that run (resume: true).`,
    )
  }
  const files = options.tokenizer ?? byteTokenizer()
  const tokenizer = await openTokenizer(files, 'tokenizer')
  const texts = Array.isArray(data) ? (data as readonly TrainingText[]) : [data as TrainingText]
  const sources: { source: Awaited<ReturnType<typeof tokensOf>>; weight: number }[] = []
  for (const text of texts) {
    sources.push({ source: await tokensOf(text, tokenizer, signal), weight: 1 })
  }
  const report = await runTraining(
    {
      text: { tokenizer, files, hash: await hashOf(files) },
      sources,
      model: undefined,
      kept: newest === undefined ? undefined : await stateOf(place, newest),
      openBackend: (own) => openPortableBackend({ ...own, ...(wasm && { wasm }) }),
      fill: newest === undefined ? undefined : (trainer) => restoreFrom(place, newest, trainer),
      async save(content) {
        const name = `step-${String(content.state.step).padStart(6, '0')}`
        await place.save(name, content)
        for (const old of (await place.list()).slice(0, -keep)) await place.remove(old)
        return name
      },
      log: async () => undefined,
    },
    options,
  )
  return {
    ...report,
    async gguf() {
      const opened = await openModelFolder(place.folder(report.checkpoint))
      const sink = memorySink()
      // A checkpoint is called by its step, which is no name for a model.
      await convertToGguf(opened, sink, { name: `bitnet-ts ${options.preset ?? DEFAULT_PRESET}` })
      return sink.bytes()
    },
  }
}

async function stateOf(place: CheckpointPlace, name: string) {
  const text = new TextDecoder().decode(await place.folder(name).read(STATE_FILE))
  return readRunState(text, `${name}/${STATE_FILE}`)
}

async function restoreFrom(place: CheckpointPlace, name: string, trainer: Trainer): Promise<void> {
  const folder = place.folder(name)
  const [weights, optimizer] = await Promise.all(
    [filesOf({}).weights, OPTIMIZER_FILE].map(async (file) =>
      parseSafetensors(await folder.open(file)),
    ),
  )
  await restore(trainer, weights.tensors, optimizer.tensors)
}

/** Only a run that goes on asks for it, and pages without a secure origin have no files to go on from. */
async function hashOf(files: readonly TokenizerFile[]): Promise<string> {
  if (globalThis.crypto?.subtle === undefined) return ''
  const all = await new Blob(
    files.map(({ bytes }) => bytes as Uint8Array<ArrayBuffer>),
  ).arrayBuffer()
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', all))
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
