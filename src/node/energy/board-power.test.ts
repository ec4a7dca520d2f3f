/**
 * NVIDIA boards that the tests do not have: scripts in the place of nvidia-smi, with times of their own,
 * so that nothing here depends on how long it takes.
 */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openBoardMeter } from './board-power.ts'
import { openEnergyMeter } from './energy-meter.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boards-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** A busy machine takes its time. */
const PATIENT = { timeout: 20_000 }
const NOON = new Date(2026, 0, 31, 12).getTime()

/** A line of nvidia-smi, so many milliseconds after noon. */
function reading(ms: number, index: number, watts: string): string {
  const seconds = (ms / 1000).toFixed(3).padStart(6, '0')
  return `2026/01/31 12:00:${seconds}, ${index}, ${watts}`
}

/** A program that runs these shell commands. */
async function program(name: string, ...commands: readonly string[]): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, ['#!/bin/sh', ...commands, ''].join('\n'))
  await chmod(path, 0o755)
  return path
}

const print = (...lines: readonly string[]) => lines.map((line) => `echo '${line}'`).join('; ')

/** A script that prints the first lines, the others when it is told to, and then hangs. */
async function boards(first: readonly string[], then: readonly string[]) {
  const name = `boards-${Math.random()}`
  const command = await program(
    name,
    print(...first),
    `while [ ! -e '${join(folder, name)}.go' ]; do sleep 0.01; done`,
    print(...then),
    'exec sleep 600',
  )
  return { command, goOn: () => writeFile(`${command}.go`, '') }
}

describe('a meter of boards', () => {
  test('adds up what all boards draw, from one reading to the next', async () => {
    const { command, goOn } = await boards(
      [reading(0, 0, '100.00'), reading(0, 1, '20')],
      [reading(500, 0, '300.00'), reading(900, 1, '20.00'), reading(900, 0, '300.00')],
    )
    let clock = NOON
    const meter = await openBoardMeter({ command, now: () => clock })
    if ('reason' in meter) throw new Error(meter.reason)
    expect(meter.description).toBe('NVIDIA boards, power.draw.instant')
    await goOn()
    clock = NOON + 1000
    // The last readings hold to the end: 100 W and 300 W for half a second each, 20 W for all of it.
    await vi.waitFor(() => expect(meter.readJoules()).toBeCloseTo(50 + 150 + 20, 6), PATIENT)
    // Nothing was read for longer than a board may be silent.
    clock = NOON + 5000
    expect(meter.readJoules()).toBeUndefined()
    meter.dispose?.()
  })

  test('takes the mean power of drivers that do not know the instant one', async () => {
    const command = await program(
      'old',
      'case "$1" in *instant*) echo \'Field "power.draw.instant" is not a valid field\'; exit 2;; esac',
      print(reading(0, 0, '70.5')),
      'exec sleep 600',
    )
    const meter = await openBoardMeter({ command, now: () => NOON })
    expect(meter).toMatchObject({ description: 'NVIDIA boards, power.draw' })
    if ('dispose' in meter) meter.dispose?.()
  })

  test('is not there without the program', async () => {
    const meter = await openBoardMeter({ command: join(folder, 'no-such-program') })
    expect(meter).toEqual({ reason: expect.stringMatching(/nvidia-smi tells no power: .*ENOENT/) })
  })

  test('is not there if the program says something else', async () => {
    const noise = [
      'NVIDIA-SMI has failed',
      reading(0, 0, '[N/A]'),
      reading(0, 0, '-5'),
      '2026, 0, 7',
    ]
    const command = await program('garbage', print(...noise), 'exit 9')
    const meter = await openBoardMeter({ command })
    expect(meter).toEqual({ reason: expect.stringContaining('it ended with 9') })
  })

  test('ends a program that says nothing', async () => {
    const pid = join(folder, 'pid')
    const command = await program('silent', `echo $$ > '${pid}'`, 'exec sleep 600')
    const meter = await openBoardMeter({ command, patienceMs: 300 })
    expect(meter).toEqual({ reason: expect.stringContaining('no reading in 300 ms') })
    // On a busy machine it may have been ended before it wrote its id.
    const id = await readFile(pid, 'utf8').catch(() => '')
    if (id !== '') expect(() => process.kill(Number(id), 0)).toThrow('ESRCH')
  })
})

describe('a meter of several sources', () => {
  test('measures with those that are there, and says which', async () => {
    const { command } = await boards([reading(0, 0, '100')], [])
    using meter = await openEnergyMeter('all', { command, root: folder, now: () => NOON })
    expect(meter.counted).toEqual({ counters: 'NVIDIA boards, power.draw.instant' })
    expect(meter.readJoules?.()).toBe(0)
  })

  test('gives the reasons of all that are not', async () => {
    using meter = await openEnergyMeter('all', { command: join(folder, 'none'), root: folder })
    expect(meter.readJoules).toBeUndefined()
    expect(meter.counted).toEqual({
      reason: expect.stringMatching(/no energy counters; nvidia-smi tells no power/),
    })
  })

  test('leaves the boards alone where the processor is asked for', async () => {
    using meter = await openEnergyMeter('cpu', { command: join(folder, 'none'), root: folder })
    expect(meter.counted).toEqual({ reason: 'this system shows no energy counters' })
  })
})
