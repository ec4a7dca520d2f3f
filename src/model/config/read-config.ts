/**
 * From a file's own description of a model to a {@link ModelConfig}.
 */
import type { GgufFile, SafetensorsFile } from '../../formats/model-file.ts'
import type { ModelConfig } from './config.ts'
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
