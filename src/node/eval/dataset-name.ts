/**
 * Which dataset a task is read from if not the usual one, as people write it:
 * `TASK=owner/name[:config[:split]]`. Datasets move between repositories; that should be no dead end.
 */
import { UsageError } from '../../errors.ts'
import type { HubDataset } from '../../eval/task.ts'
import { tasksNamed } from '../../eval/tasks/all-tasks.ts'
import { isSafePath } from '../../hub/repo-file.ts'

/** Where a task's items come from; what is left out stays as the task has it. */
export type DatasetChoice = Pick<HubDataset, 'repo'> & Partial<HubDataset>

const OWNER_AND_NAME = /^[\w-][\w.-]{0,95}\/[\w-][\w.-]{0,95}$/
/** Parts of a path on the hub. */
const PART = /^\w[\w. -]{0,95}$/

/**
 * @returns the task's name and its dataset
 * @throws UsageError for another form, or a task that there is not
 */
export function parseDatasetChoice(text: string): readonly [task: string, DatasetChoice] {
  const [, task = '', rest = ''] = /^([^=]*)=(.*)$/.exec(text) ?? []
  const [repo, config, split, ...more] = rest.split(':')
  const parts = [config, split].filter((part) => part !== undefined)
  const isLegal =
    OWNER_AND_NAME.test(repo) &&
    isSafePath(repo) &&
    parts.every((part) => PART.test(part) && isSafePath(part)) &&
    more.length === 0
  if (!isLegal) {
    throw new UsageError(
      'Expected TASK=owner/name, with :config or :config:split behind it if they are not the ' +
        `usual ones, got "${text}".`,
    )
  }
  const [{ name }, ...others] = tasksNamed([task])
  if (others.length > 0) {
    throw new UsageError(`Expected the name of one task before "=", got the group "${task}".`)
  }
  const choice = {
    repo,
    ...(config === undefined ? {} : { config }),
    ...(split === undefined ? {} : { split }),
  }
  return [name, choice]
}
