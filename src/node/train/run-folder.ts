/**
 * The folder of a run: checkpoints, each a folder that appears whole under its name or not at all, however the
 * process ends; tokenised text; a log.
 */
import { appendFile, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { UsageError } from '../../errors.ts'
import { parseObject } from '../../formats/json-text.ts'
import { parseSafetensors } from '../../formats/safetensors/index.ts'
import {
  type CheckpointContent,
  filesOf,
  OPTIMIZER_FILE,
  restore,
  STATE_FILE,
  writeCheckpoint,
} from '../../train/checkpoint/checkpoint.ts'
import { readRunState } from '../../train/checkpoint/run-state.ts'
import { curvesSvg, type RunEvent } from '../../train/curves-svg.ts'
import type { TrainEvent } from '../../train/loop.ts'
import type { StartEvent } from '../../train/settings.ts'
import type { Trainer } from '../../train/trainer.ts'
import { openFileSink } from '../convert/sinks.ts'
import { acquireLock } from '../files/file-lock.ts'
import { openFileSource } from '../files/file-source.ts'
import { makeFolder, namingFile, textOf } from '../files/system.ts'
import { asideOf, writeAside, writeFully } from '../files/write-file.ts'

const STEP_FOLDER = /^step-(\d+)$/
/** A checkpoint that is being written, or was when the process ended. */
const UNFINISHED = /^step-\d+\.[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\.part$/

export function tokenFolder(folder: string): string {
  return join(folder, 'tokens')
}

/**
 * Makes the folder this process's, until the function that it gives is called.
 *
 * @throws UsageError if another run writes there
 */
export function lockRun(folder: string): Promise<() => Promise<void>> {
  return acquireLock(join(folder, '.bitnet-train.lock'), {
    onWait() {
      throw new UsageError(
        `Expected ${folder} for one run alone, but another one is writing there. Choose another folder; ` +
          'if that run was killed on another machine, try again in a minute.',
      )
    },
  })
}

/** What happened in a run, a line of JSON each. */
export function logFile(folder: string): string {
  return join(folder, 'log.jsonl')
}

/** Appends an event to the log. */
export function logEvent(folder: string, event: TrainEvent | StartEvent): Promise<void> {
  const path = logFile(folder)
  return appendFile(path, `${JSON.stringify(event)}\n`).catch((error: unknown) => {
    throw namingFile(path, error)
  })
}

/** Keeps the options of a run as YAML, for `bitnet train --config`. */
export function recordOptions(folder: string, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text)
  return writeAside(join(folder, 'run.yaml'), (handle) => writeFully(handle, bytes, 0))
}

/** Draws the curves of all that the log has into curves.svg beside it. */
export async function drawCurves(folder: string): Promise<void> {
  const lines = (await textOf(logFile(folder))).split('\n')
  // A line that was cut when a process ended is none.
  const events = lines.map((line) => parseObject(line)).filter((event) => event !== undefined)
  const svg = new TextEncoder().encode(curvesSvg(events as unknown as RunEvent[]))
  await writeAside(join(folder, 'curves.svg'), (handle) => writeFully(handle, svg, 0))
}

/** Steps of the checkpoints in a folder, in their order. */
async function stepsIn(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => [])
  return names
    .flatMap((name) => STEP_FOLDER.exec(name)?.slice(1) ?? [])
    .map(Number)
    .sort((a, b) => a - b)
}

function pathOf(folder: string, step: number): string {
  return join(folder, `step-${String(step).padStart(6, '0')}`)
}

/** The newest checkpoint of a run; undefined if there is none. */
export async function newestCheckpoint(folder: string): Promise<string | undefined> {
  const last = (await stepsIn(folder)).at(-1)
  return last === undefined ? undefined : pathOf(folder, last)
}

/**
 * Writes a checkpoint and removes older ones but for the last `keep` and the one with the lowest held-out loss.
 *
 * @returns its path
 * @throws BitnetError with code DISK_FULL where there is no room; the older ones are there still
 */
export async function saveCheckpoint(
  folder: string,
  content: CheckpointContent,
  keep: number,
): Promise<string> {
  const path = pathOf(folder, content.state.step)
  const aside = asideOf(path)
  await makeFolder(folder)
  for (const name of await readdir(folder)) {
    if (UNFINISHED.test(name)) await rm(join(folder, name), { recursive: true, force: true })
  }
  await mkdir(aside)
  let current: Awaited<ReturnType<typeof openFileSink>> | undefined
  try {
    const file = async (name: string) => {
      await current?.finish()
      current = await openFileSink(join(aside, name))
      return current
    }
    await writeCheckpoint({ file }, content)
    await current?.finish()
    current = undefined
    await rm(path, { recursive: true, force: true })
    await rename(aside, path)
    await syncFolder(folder)
  } catch (error) {
    await current?.discard()
    await rm(aside, { recursive: true, force: true })
    throw error
  }
  const steps = await stepsIn(folder)
  const best = await bestOf(folder, steps)
  for (const step of steps.slice(0, -keep)) {
    if (step !== best) await rm(pathOf(folder, step), { recursive: true, force: true })
  }
  return path
}

/** The step with the lowest held-out loss; undefined where none was looked at. */
async function bestOf(folder: string, steps: readonly number[]): Promise<number | undefined> {
  let best: { step: number; loss: number } | undefined
  for (const step of steps) {
    // One that cannot be read is no reason to end a run.
    const kept = await stateOf(pathOf(folder, step)).catch(() => undefined)
    const loss = kept?.state.heldOutLoss
    if (loss !== undefined && loss < (best?.loss ?? Infinity)) best = { step, loss }
  }
  return best?.step
}

/** The new name is on the disk too; where folders cannot be synced, the system does so in its time. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder).catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close()
}

/** What a checkpoint says of its run. @throws FormatError if it is none */
export async function stateOf(path: string) {
  const file = join(path, STATE_FILE)
  return readRunState(await textOf(file), file)
}

/** Weights and moments of a checkpoint. @throws FormatError naming what is damaged */
export async function restoreCheckpoint(path: string, trainer: Trainer): Promise<void> {
  const sources = await Promise.all(
    [filesOf(trainer.plan.shape).weights, OPTIMIZER_FILE].map((name) =>
      openFileSource(join(path, name)),
    ),
  )
  try {
    const [model, optimizer] = await Promise.all(sources.map((own) => parseSafetensors(own)))
    await restore(trainer, model.tensors, optimizer.tensors)
  } finally {
    await Promise.all(sources.map((source) => source.close()))
  }
}
