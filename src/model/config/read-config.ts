/**
 * From a file's own description of a model to a {@link ModelConfig}.
 */
import type { GgufFile, SafetensorsFile } from '../../formats/model-file.ts'
import { isTernaryAlready } from '../../formats/ternary/index.ts'
import { locateParts } from '../weights/weight-plan.ts'
import type { ModelConfig } from './config.ts'
import { checkExperts } from './expert-fields.ts'
import { configFromGguf } from './gguf-config.ts'
import { configFromHuggingFace } from './hugging-face-config.ts'

/**
 * The configuration of an opened model, whatever its format.
 *
 * @throws FormatError naming the field that is missing, out of range or not supported
 */
export function readConfig(file: GgufFile | SafetensorsFile): ModelConfig {
  return file.format === 'gguf'
    ? configFromGguf(file)
    : configFromHuggingFace(file.config, file.name, file.tensors)
}

/**
 * As {@link readConfig}, where a dense model turns out to be ternary if all rows looked at, of each
 * projection of the first layer, hold one magnitude besides zero: checkpoints of the llama family whose
 * float weights are ternary already, TriLM's above all, call themselves nothing else than what dense
 * ones do. They then run with int8 activations.
 *
 * @throws FormatError
 */
export async function configToRun(file: GgufFile | SafetensorsFile): Promise<ModelConfig> {
  const config = readConfig(file)
  const isTernary = config.linear === 'ternary' || (await holdsTernary(file, config))
  const run: ModelConfig = isTernary ? { ...config, linear: 'ternary' } : config
  checkExperts(file.name, run)
  return run
}

async function holdsTernary(file: GgufFile | SafetensorsFile, config: ModelConfig) {
  if (config.nLayers === 0) return false
  for (const { kind, layer, tensor } of locateParts(file, config)) {
    if (kind === 'linear' && layer === 0 && !(await isTernaryAlready(tensor))) return false
  }
  return true
}
