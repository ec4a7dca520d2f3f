/**
 * Builds native/test/conformance-replay.c, which runs the C kernels on processors that this machine only
 * emulates, and writes conformance cases with the reference's results as it reads them.
 */

import { execFile } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createReferenceBackend } from '../../src/backends/reference/index.ts'
import {
  encodeProgram,
  operationNames,
  scratchByteLength,
  validateCommand,
} from '../../src/kernels/commands.ts'
import { type DeviceBuffer, WholeBuffer } from '../../src/kernels/slice.ts'
import type { CaseData, KernelCase } from '../../src/kernels/testing/conformance-cases.ts'
import { conformanceCases } from './all-cases.ts'
import { ROOT } from './built-program.ts'
import { isExact, runCase, withGuard } from './conformance.ts'

const run = promisify(execFile)

/** As in conformance-replay.c. */
const UNCHANGED = 0
const CHANGED = 1
const SCRATCH = 2
const NEARLY = 3

/** Builds the program for a target of scripts/build-native.mjs, or for this machine. @returns its path */
export async function buildReplayProgram(target?: string): Promise<string> {
  const script = join(ROOT, 'scripts/build-native.mjs')
  const args = target === undefined ? [] : ['--target', target]
  const { stdout } = await run(process.execPath, [script, '--replay', ...args])
  return stdout.trim()
}

/** All cases but those of products with more than `maxWeights` weights. */
export function casesUpTo(maxWeights: number): Record<string, readonly KernelCase[]> {
  const isSmall = ({ weights = 0 }: KernelCase) => weights <= maxWeights
  return Object.fromEntries(
    Object.entries(conformanceCases).map(([op, cases]) => [op, cases.filter(isSmall)]),
  )
}

/**
 * Results whose bytes are not the same everywhere are run and not compared: what is watched there is memory.
 *
 * @returns how many cases of each operation were written
 */
export async function writeReplayFile(
  path: string,
  cases: Readonly<Record<string, readonly KernelCase[]>>,
): Promise<Record<string, number>> {
  const reference = createReferenceBackend()
  const counts: Record<string, number> = {}
  const parts: Uint8Array[] = []
  for (const op of operationNames) {
    counts[op] = cases[op]?.length ?? 0
    for (const { name, create } of cases[op] ?? []) {
      const data = create()
      parts.push(...caseBytes(`${op} ${name}`, data, await runCase(reference, data), isExact(op)))
    }
  }
  reference.dispose()
  const file = openSync(path, 'w')
  try {
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
    for (const part of [word(total), ...parts]) writeSync(file, part)
  } finally {
    closeSync(file)
  }
  return counts
}

function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer)
}

function caseBytes(
  title: string,
  data: CaseData,
  results: ReadonlyMap<string, Uint8Array>,
  isCompared: boolean,
): Uint8Array[] {
  const name = new TextEncoder().encode(title)
  const parts = [word(name.length), name]
  const buffers: DeviceBuffer[] = []
  const add = (buffer: DeviceBuffer, kind: number, ...bytes: Uint8Array[]) => {
    buffers.push(buffer)
    parts.push(word(kind), word(buffer.byteLength), ...bytes)
  }
  const named: Record<string, DeviceBuffer> = {}
  const contents = Object.entries(data.contents)
  for (const [label, array] of contents) {
    named[label] = new WholeBuffer(label, withGuard(array).byteLength)
  }
  const command = data.command(named)
  const valid = validateCommand(command)
  const scratchBytes = scratchByteLength(valid)
  parts.push(word(contents.length + (scratchBytes > 0 ? 1 : 0)))
  for (const [label, array] of contents) {
    const before = withGuard(array)
    const after = results.get(label) ?? before
    if (Buffer.compare(before, after) === 0) add(named[label], UNCHANGED, before)
    else if (isCompared) add(named[label], CHANGED, before, after)
    else add(named[label], NEARLY, before)
  }
  if (scratchBytes > 0) add(new WholeBuffer('scratch', scratchBytes), SCRATCH)
  const slots = encodeProgram([valid], {
    of: ({ buffer }) => buffers.indexOf(buffer) + 1,
    sparseSource: () => 0,
    scratch: scratchBytes > 0 ? buffers.length : 0,
  })
  return [...parts, word(slots.length), new Uint8Array(slots.buffer)]
}
