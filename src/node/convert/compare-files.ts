/**
 * Comparison of two models on disk.
 */
import { type ComparisonOptions, compareModels, type ModelComparison } from '../../convert/index.ts'
import { checkOptions, FUNCTION, type OptionRules, SIGNAL } from '../../option-checks.ts'
import { openModelFile } from '../open-model.ts'

const COMPARISON_OPTIONS: OptionRules<ComparisonOptions> = {
  onProgress: FUNCTION,
  signal: SIGNAL,
}

/**
 * Compares the models at two places (see openModelFile) weight by weight.
 *
 * @throws ModelNotFoundError and FormatError as openModelFile does, ShapeError if they are not of one
 *   model
 */
export async function compareFiles(
  a: string,
  b: string,
  options: ComparisonOptions = {},
): Promise<ModelComparison> {
  checkOptions('compareFiles', options, COMPARISON_OPTIONS)
  const first = await openModelFile(a)
  try {
    const second = await openModelFile(b)
    try {
      return await compareModels(first.file, second.file, options)
    } finally {
      await second.file.close()
    }
  } finally {
    await first.file.close()
  }
}
