/**
 * The configuration by which a file is run, where its description is not enough: checkpoints of the
 * llama family whose float weights are ternary already, TriLM's above all, call themselves nothing else
 * than what dense ones do. Their weights tell.
 */
import type { GgufFile, SafetensorsFile } from '../../formats/model-file.ts'
import { isTernaryAlready } from '../../formats/ternary/index.ts'
import { planWeights } from '../weights/weight-plan.ts'
import type { ModelConfig } from './config.ts'
import { readConfig } from './read-config.ts'

/**
 * As {@link readConfig}, and a dense model turns out to be ternary if all rows looked at, of each
 * projection of the first layer, hold one magnitude besides zero. It then runs with int8 activations.
 *
 * @throws FormatError
 */
export async function configToRun(file: GgufFile | SafetensorsFile): Promise<ModelConfig> {
  const config = readConfig(file)
  if (config.linear === 'ternary' || config.nLayers === 0) return config
  for (const { kind, layer, tensor } of planWeights(file, config)) {
    if (kind === 'linear' && layer === 0 && !(await isTernaryAlready(tensor))) return config
  }
  return { ...config, linear: 'ternary' }
}
