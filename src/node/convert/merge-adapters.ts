/**
 * Adapters and the model that they were learnt beside as one: w + s B A, in float16. Such matrices are ternary no more,
 * and the model runs as a dense one, with inputs that are not quantised either.
 */
import { join } from 'node:path'
import { isObject, isWhole, type JsonObject } from '../../checks.ts'
import { FormatError, UsageError } from '../../errors.ts'
import { decodeDense, isDense } from '../../formats/dense-codecs.ts'
import { parseObject } from '../../formats/json-text.ts'
import type { ModelFile, TensorInfo } from '../../formats/model-file.ts'
import { parseSafetensors, writeSafetensors } from '../../formats/safetensors/index.ts'
import { float32ToFloat16 } from '../../kernels/float16.ts'
import type { ModelConfig } from '../../model/config/config.ts'
import { configToRun } from '../../model/config/read-config.ts'
import { shapeOf, writtenName } from '../../model/layers.ts'
import { locateParts, type PlannedPart } from '../../model/weights/weight-plan.ts'
import { filesOf } from '../../train/checkpoint/checkpoint.ts'
import { configJson } from '../../train/checkpoint/config-json.ts'
import { ternaryRows } from '../../train/frozen-base.ts'
import { adapterName, type LowRank, scaleOf } from '../../train/low-rank-plan.ts'
import { openFileSource } from '../files/file-source.ts'
import { statOf, textOf } from '../files/system.ts'
import { openModelFile } from '../open-model.ts'
import { type ResolveOptions, resolveModel } from '../resolve-model.ts'
import { openRunTokenizer } from '../train/tokenizer-folder.ts'
import { openCheckpointFolder } from './sinks.ts'

const FILES = filesOf({ lora: { rank: 1, alpha: 1 } })

export interface MergeReport {
  readonly base: string
  readonly adapters: number
  readonly tensors: number
}

/** Whether a folder holds adapters, as `train` with `lora` and PEFT write them. */
export async function holdsAdapters(path: string): Promise<boolean> {
  return (await statOf(join(path, FILES.config))) !== undefined
}

/**
 * @throws FormatError for adapters that are none or do not fit; what opening the base and writing throw
 */
export async function mergeAdapters(
  source: string,
  target: string,
  options: ResolveOptions = {},
): Promise<MergeReport> {
  const { base, ...lora } = await readAdapterConfig(join(source, FILES.config))
  const text = await openRunTokenizer(base, options)
  const { file } = await openModelFile(await resolveModel(base, options))
  const adapters = await openFileSource(join(source, FILES.weights))
  try {
    const config = await configToRun(file)
    const { tensors } = await parseSafetensors(adapters)
    const parts = locateParts(file, config)
    const merged = { ...config, linear: 'dense' } as const
    const sink = await openCheckpointFolder(target)
    try {
      await writeSafetensors(
        await sink.file('model.safetensors'),
        parts.map((part) => ({
          name: writtenName('safetensors', part, config),
          dtype: 'F16' as const,
          shape: shapeOf(part),
          async *data() {
            options.signal?.throwIfAborted()
            yield halves(await mergedValues(file, config, part, tensors, lora))
          },
        })),
        { format: 'pt' },
      )
      const json = { ...configJson(merged, text.tokenizer), torch_dtype: 'float16', ...MERGED }
      const bytes = new TextEncoder().encode(`${JSON.stringify(json, null, 2)}\n`)
      for (const own of [...text.files, { name: 'config.json', bytes }]) {
        await (await sink.file(own.name)).write(own.bytes)
      }
      await sink.finish()
    } catch (error) {
      await sink.discard()
      throw error
    }
    return { base, adapters: tensors.size / 2, tensors: parts.length }
  } finally {
    await Promise.all([file.close(), adapters.close()])
  }
}

/** BitNet's body is dense where this says so; transformers takes it for dense without a quantisation. */
const MERGED = { merged_adapters: true }

async function readAdapterConfig(path: string): Promise<LowRank & { readonly base: string }> {
  const fields: JsonObject = parseObject(await textOf(path)) ?? {}
  const { peft_type: type, r: rank, lora_alpha: alpha, base_model_name_or_path: base } = fields
  const isPlain = type === 'LORA' && isWhole(rank, 1) && typeof base === 'string'
  const unread = ['use_rslora', 'use_dora', 'fan_in_fan_out'].find((key) => fields[key] === true)
  const patterns = ['rank_pattern', 'alpha_pattern'].find((key) => {
    const value = fields[key]
    return isObject(value) && Object.keys(value).length > 0
  })
  if (isPlain && typeof alpha === 'number' && unread === undefined && patterns === undefined) {
    return { rank, alpha, base }
  }
  const got = unread ?? patterns ?? JSON.stringify({ peft_type: type, r: rank, lora_alpha: alpha })
  throw new FormatError(
    `Expected plain LoRA adapters with r, lora_alpha and base_model_name_or_path in ${path}, got ${got}.`,
    { field: FILES.config, path },
  )
}

type Tensors = ReadonlyMap<string, TensorInfo>

async function mergedValues(
  file: ModelFile,
  config: ModelConfig,
  part: PlannedPart,
  tensors: Tensors,
  lora: LowRank,
): Promise<Float32Array> {
  const { tensor, rows, cols } = part
  if (part.kind !== 'linear') return denseValues(tensor, rows * cols)
  const { codes, scales } = await ternaryRows(file, part)
  const out = Float32Array.from(codes, (code, i) => code * scales[Math.floor(i / cols)])
  const [down, up] = (['A', 'B'] as const).map((own) => tensors.get(adapterName(part, own, config)))
  if (down === undefined && up === undefined) return out
  const { rank } = lora
  const shapes = [down, up].map((own) => own?.shape.join())
  if (!down || !up || shapes[0] !== `${rank},${cols}` || shapes[1] !== `${rows},${rank}`) {
    throw new FormatError(
      `Expected adapters of (${rank}, ${cols}) and (${rows}, ${rank}) for ${tensor.name}, got ` +
        `(${shapes[0] ?? 'none'}) and (${shapes[1] ?? 'none'}): they belong to another model.`,
      { field: tensor.name },
    )
  }
  const [a, b] = await Promise.all([denseValues(down, rank * cols), denseValues(up, rows * rank)])
  const scale = scaleOf(lora)
  for (let row = 0; row < rows; row++) {
    const to = out.subarray(row * cols, (row + 1) * cols)
    for (let k = 0; k < rank; k++) {
      const factor = scale * b[row * rank + k]
      for (let col = 0; col < cols; col++) to[col] += factor * a[k * cols + col]
    }
  }
  return out
}

async function denseValues(tensor: TensorInfo, count: number): Promise<Float32Array> {
  const { type, name, source, offset, byteLength } = tensor
  if (!isDense(type)) {
    throw new UsageError(`Expected ${name} in F32, F16 or BF16 to be merged, got ${type}.`)
  }
  const out = new Float32Array(count)
  decodeDense(type, await source.read(offset, byteLength), out)
  return out
}

function halves(values: Float32Array): Uint8Array {
  const out = Uint16Array.from(values, float32ToFloat16)
  return new Uint8Array(out.buffer)
}
