/**
 * `bitnet generate --prompt-cache`: a file with what is computed of a prompt. Another prompt that begins in the
 * same way goes on from there.
 */
import { UsageError } from '../../../errors.ts'
import type { LanguageModel } from '../../../generate/language-model.ts'
import type { GenerateResult } from '../../../generate/options.ts'
import { isStateFile } from '../../../generate/state/state-file.ts'
import { errorCode } from '../../../node/files/system.ts'
import { writeWhole } from '../../../node/files/write-file.ts'
import { mostStateBytes } from '../../console/saved-state.ts'
import { readSaved } from '../chat/conversation-file.ts'

/** So few tokens are computed again sooner than a file is written. */
const WORTH_KEEPING = 16

export class PromptCache {
  readonly #path: string
  readonly #model: LanguageModel

  private constructor(path: string, model: LanguageModel) {
    this.#path = path
    this.#model = model
  }

  /**
   * Takes in what the file has, if there is one.
   *
   * @throws UsageError | FormatError for a file of another kind, or another model, which stays as it is
   */
  static async open(path: string, model: LanguageModel): Promise<PromptCache> {
    const bytes = await readSaved(path, (isState) =>
      isState ? mostStateBytes(model) : 'start',
    ).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    })
    if (bytes !== undefined) {
      if (!isStateFile(bytes)) {
        throw new UsageError(
          `Expected ${path} to be a prompt cache, or not to be there yet, got another file.`,
        )
      }
      await model.loadState(bytes)
    }
    return new PromptCache(path, model)
  }

  /** Writes the file if more is computed of the prompt than it had. */
  async keep({ promptTokenIds, usage }: GenerateResult): Promise<void> {
    const { promptTokens, cachedTokens } = usage
    if (promptTokens - cachedTokens <= WORTH_KEEPING) return
    await writeWhole(this.#path, await this.#model.saveState(promptTokenIds))
  }
}
