/**
 * Solved examples before the question. They are joined with blank lines, as the harness does; which
 * ones an item gets depends on the seed and on its place alone, so that a part of a task, or one that
 * was resumed, has the same prompts as the whole.
 */
import { UsageError } from '../errors.ts'
import { Random } from '../generate/sample/random.ts'
import type { LoadedTask, TaskItem } from './task.ts'

const BETWEEN = '\n\n'

/** How many examples, and which. */
export interface FewShotSettings {
  /** Solved examples before each item. */
  readonly numFewshot: number
  /** Draws the examples; from 0 to 2^32 - 1. */
  readonly seed: number
}

/** @throws UsageError if an item would get fewer examples than were asked for */
export function checkExamples({ task, items, examples }: LoadedTask, count: number): void {
  const available = examples?.length ?? items.length - 1
  if (task.kind === 'rolling' || count <= available) return
  throw new UsageError(
    `Expected at least ${count} solved examples for ${task.name}, got ${available}` +
      `${examples === undefined ? ', the other items of the dataset' : ''}. Ask for fewer.`,
  )
}

/** The item with the task's instruction and its examples before every context. */
export function withExamples(
  { task, items, examples }: LoadedTask,
  index: number,
  { numFewshot: count, seed }: FewShotSettings,
): TaskItem {
  const item = items[index]
  if (task.kind === 'rolling') return item
  const drawn =
    examples === undefined
      ? draw(items.length, count, seed, index, index).map((i) => items[i])
      : draw(examples.length, count, seed, index, undefined).map((i) => examples[i])
  const before = [...drawn.map(solved), ''].join(BETWEEN)
  const prefix = (task.instruction ?? '') + before
  if (prefix === '') return item
  const requests = item.requests.map(({ context, continuation }) => ({
    context: prefix + context,
    continuation,
  }))
  return { ...item, requests }
}

/** An item with its answer. */
function solved({ requests, gold }: TaskItem): string {
  const { context, continuation } = requests[gold]
  return context + continuation
}

/** `count` different places below `length` without `except`; there must be as many. */
function draw(
  length: number,
  count: number,
  seed: number,
  index: number,
  except: number | undefined,
): number[] {
  // The generator takes 53 bits: the seed's 32 and the item's place.
  const random = new Random(seed + index * 2 ** 32)
  const chosen = new Set<number>()
  while (chosen.size < count) {
    const place = Math.floor(random.nextFloat() * length)
    if (place !== except) chosen.add(place)
  }
  return [...chosen]
}
