/**
 * What a checkpoint holds: a model that runs (model.safetensors with float32 masters, config.json, the tokenizer's
 * files) or adapters alone, the optimiser's moments, and where the run was. All of it goes to a place that makes the whole appear at
 * once, or nothing.
 */
import type { JsonObject } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import type { ByteSink } from '../../formats/byte-sink.ts'
import { decodeDense, isDense } from '../../formats/dense-codecs.ts'
import type { TensorInfo } from '../../formats/model-file.ts'
import { type SafetensorsTensorToWrite, writeSafetensors } from '../../formats/safetensors/index.ts'
import { bytesOf } from '../../model/buffer-owner.ts'
import { shapeOf, writtenName } from '../../model/layers.ts'
import { signQuantize } from '../../ternary/index.ts'
import type { BatchCursor } from '../data/batches.ts'
import { adapterName } from '../low-rank-plan.ts'
import type { PlannedPart, TrainingPlan } from '../plan.ts'
import type { TrainingShape } from '../shape.ts'
import { KEPT_ARENAS, type KeptArena, type Trainer } from '../trainer.ts'

/** Where a run was. */
export interface RunState {
  /** Steps done, and of the whole run. */
  readonly step: number
  readonly steps: number
  readonly cursor: BatchCursor
  /** The first loss, which later ones are compared with. */
  readonly firstLoss: number | undefined
  /** Seconds of training. */
  readonly seconds: number
  /** Of held-out text, if it was looked at in this step. */
  readonly heldOutLoss?: number | undefined
}

/** Where a checkpoint is written to. */
export interface CheckpointTarget {
  /** Opens the next file; the one before is complete by then. */
  file(name: string): Promise<ByteSink>
}

export const STATE_FILE = 'trainer.json'
export const OPTIMIZER_FILE = 'optimizer.safetensors'

/** Where what is learnt lies, and what describes it: a model, or adapters as PEFT has them. */
export function filesOf({ lora }: Pick<TrainingShape, 'lora'>) {
  return lora === undefined
    ? { weights: 'model.safetensors', config: 'config.json' }
    : { weights: 'adapter_model.safetensors', config: 'adapter_config.json' }
}

export interface CheckpointContent {
  readonly trainer: Trainer
  readonly state: RunState
  /** Settings of the run, which a continued one must have too. */
  readonly settings: JsonObject
  readonly config: JsonObject
  readonly files: readonly { readonly name: string; readonly bytes: Uint8Array }[]
}

/** @throws what the target throws */
export async function writeCheckpoint(
  target: CheckpointTarget,
  { trainer, state, settings, config, files }: CheckpointContent,
): Promise<void> {
  const { plan } = trainer
  const { quant } = plan.shape
  const tensor = (arena: KeptArena, part: PlannedPart, name: string): SafetensorsTensorToWrite => ({
    name,
    dtype: 'F32',
    shape: shapeOf(part),
    async *data() {
      const values = await trainer.read(arena, part)
      const isBinary = quant === 'b1' && part.kind === 'linear' && arena === 'weights'
      yield bytesOf(isBinary && name === nameOf(plan, part) ? binaryValues(values) : values)
    },
  })
  const weights = plan.parts.map((part) => tensor('weights', part, nameOf(plan, part)))
  const { weights: weightsFile, config: configFile } = filesOf(plan.shape)
  await writeSafetensors(await target.file(weightsFile), weights, { format: 'pt' })
  const kept = KEPT_ARENAS.filter((arena) => arena !== 'weights' || quant === 'b1')
  const others = kept.flatMap((arena) =>
    plan.parts.map((part) => tensor(arena, part, `${arena}.${nameOf(plan, part)}`)),
  )
  await writeSafetensors(await target.file(OPTIMIZER_FILE), others)
  for (const { name, bytes } of files) await (await target.file(name)).write(bytes)
  const json = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`)
  await (await target.file(configFile)).write(json(config))
  await (await target.file(STATE_FILE)).write(json({ state, settings }))
}

/**
 * Loading takes masters for those of b1.58. What b1 makes of its latent weights comes out of that as it went in:
 * the mean magnitude of codes times their scale is that scale.
 */
function binaryValues(latents: Float32Array): Float32Array {
  const { codes, scale } = signQuantize(latents)
  return Float32Array.from(codes, (code) => code * scale)
}

function nameOf(plan: TrainingPlan, part: PlannedPart): string {
  if (part.factor !== undefined) return adapterName(part, part.factor, plan.shape.model)
  return writtenName('safetensors', part, plan.shape.model)
}

type Tensors = ReadonlyMap<string, TensorInfo>

/**
 * Weights and moments of a checkpoint.
 *
 * @throws FormatError naming a tensor that is missing or of another shape
 */
export async function restore(trainer: Trainer, model: Tensors, optimizer: Tensors): Promise<void> {
  const { plan } = trainer
  for (const part of plan.parts) {
    const name = nameOf(plan, part)
    for (const arena of KEPT_ARENAS) {
      const own = optimizer.get(`${arena}.${name}`)
      const found = own ?? (arena === 'weights' ? model.get(name) : undefined)
      trainer.write(arena, part, await valuesOf(found, part, `${arena} of ${name}`))
    }
  }
}

async function valuesOf(
  tensor: TensorInfo | undefined,
  part: PlannedPart,
  name: string,
): Promise<Float32Array> {
  const shape = shapeOf(part)
  const isShape = tensor?.shape.join() === shape.join()
  if (tensor === undefined || !isShape || !isDense(tensor.type)) {
    const got = tensor === undefined ? 'nothing' : `${tensor.type} of ${tensor.shape.join(' x ')}`
    throw new FormatError(
      `Expected float values of ${shape.join(' x ')} for ${name}, got ${got}. The checkpoint is damaged.`,
      { field: name },
    )
  }
  const out = new Float32Array(part.count)
  decodeDense(tensor.type, await tensor.source.read(tensor.offset, tensor.byteLength), out)
  return out
}
