/** All tasks by name, and names of groups of them. */
import { UsageError } from '../../errors.ts'
import type { EvalTask } from '../task.ts'
import { arcChallenge, arcEasy, boolQ, jCommonsenseQa, openBookQa, piqa } from './question-tasks.ts'
import { hellaSwag, lambadaOpenAi, winoGrande } from './sentence-tasks.ts'
import { wikitext } from './wikitext.ts'

/** The zero-shot table of the BitNet b1.58 paper, in its order. */
const BITNET_SEVEN = [arcEasy, arcChallenge, hellaSwag, boolQ, openBookQa, piqa, winoGrande]

const GROUPS: Readonly<Record<string, readonly EvalTask[]>> = {
  bitnet7: BITNET_SEVEN,
  all: [...BITNET_SEVEN, lambadaOpenAi, wikitext, jCommonsenseQa],
}

/** Names of all tasks. */
export const evalTaskNames: readonly string[] = GROUPS['all'].map(({ name }) => name)

/**
 * The tasks of these names, each once; `bitnet7` and `all` stand for several.
 *
 * @throws UsageError for a name that there is not
 */
export function tasksNamed(names: readonly string[]): readonly EvalTask[] {
  const tasks = new Set<EvalTask>()
  for (const name of names) {
    const task = GROUPS['all'].find((task) => task.name === name)
    const group = task !== undefined ? [task] : Object.hasOwn(GROUPS, name) ? GROUPS[name] : []
    if (group.length === 0) {
      throw new UsageError(
        `Expected tasks out of ${evalTaskNames.join(', ')}, or the groups ` +
          `${Object.keys(GROUPS).join(' and ')}, got "${name}".`,
      )
    }
    for (const one of group) tasks.add(one)
  }
  return [...tasks]
}
