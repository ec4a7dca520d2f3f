/**
 * The kernel variants for AMX and AVX-VNNI on x86 Linux machines without these instructions, which
 * native/test/emulate-instructions.c executes in software; where the processor has them, the same cases
 * run on it. The other instructions of a variant must be there (AVX-512 VBMI, AVX2): naming
 * emulated-x86-amx or emulated-x86-avxvnni in REQUIRE_BACKENDS makes their absence a failure.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nativeVariants } from '../src/backends/native/native-backend.ts'
import { BackendError } from '../src/errors.ts'
import { ternaryCase } from '../src/kernels/ternary-matmul/cases.ts'
import { EMULATED_X86, emulatedName, requiredBackends } from './support/backends.ts'
import { buildReplayProgram, casesUpTo, writeReplayFile } from './support/replay-file.ts'

const run = promisify(execFile)

/** A signal for an instruction takes microseconds: larger products show nothing that smaller ones do not. */
const MAX_WEIGHTS = 1 << 17
/** Attention over the longest rows of codes takes more instructions than all other cases together. */
const LONG_ATTENTION =
  /over (257|700) positions.*int[48]|int[48]: .*(, 21 rows|window (256|300|1000))/
/** Two blocks of 32 tokens and a rest; AMX takes 32, then 16 at a time, and what is left without tiles. */
const MAX_TOKENS = 70
/** Columns up to which a stripe is unpacked to the stack: AMX_MAX_COLS of x86-amx.c. */
const AMX_MAX_COLS = 32768

const TILES = ['ldtilecfg', 'tilerelease', 'tilezero', 'tileloadd', 'tilestored', 'tdpbsud']

/** Which variants the processor has itself and which it can emulate; unset: why none. */
function findVariants(): { native: string[]; emulated: string[] } | string {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'only on x86 Linux'
  try {
    const variants = nativeVariants()
    const runs = (isa: string) => variants.some((v) => v.isa === isa && v.supported)
    const isas = Object.keys(EMULATED_X86)
    return {
      native: isas.filter(runs),
      emulated: isas.filter((isa) => !runs(isa) && runs(EMULATED_X86[isa] ?? '')),
    }
  } catch (error) {
    if (error instanceof BackendError) return error.message
    throw error
  }
}

const found = findVariants()
const { native, emulated } = typeof found === 'string' ? { native: [], emulated: [] } : found
const variants = [...native, ...emulated]
for (const isa of Object.keys(EMULATED_X86)) {
  if (requiredBackends().has(emulatedName(isa)) && !variants.includes(isa)) {
    const reason = typeof found === 'string' ? found : `this machine has no ${EMULATED_X86[isa]}`
    throw new Error(`REQUIRE_BACKENDS names ${emulatedName(isa)}, but ${reason}.`)
  }
}

/** The program's lines: the variant, the cases that differ, how many there were, what was emulated. */
async function runProgram(...args: string[]): Promise<{ lines: string[]; emulated: string[] }> {
  const { stdout } = await run(program, args).catch((error) => error)
  const lines: string[] = stdout.trim().split('\n')
  const counts = lines.pop()?.replace(/^emulated: ?/, '') ?? ''
  return { lines, emulated: counts.split(', ').map((count) => count.replace(/^\d+ /, '')) }
}

let program = ''

describe.skipIf(variants.length === 0)('kernels for AMX and AVX-VNNI', () => {
  let folder = ''
  let total = 0
  const conformance = () => join(folder, 'conformance')
  const prompts = () => join(folder, 'prompts')

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bitnet-replay-'))
    program = await buildReplayProgram()
    const cases = casesUpTo(MAX_WEIGHTS)
    cases['attention'] = cases['attention'].filter(({ name }) => !LONG_ATTENTION.test(name))
    const counts = await writeReplayFile(conformance(), cases)
    total = Object.values(counts).reduce((sum, count) => sum + count, 0)
    const tokenCounts = Array.from({ length: MAX_TOKENS }, (_, i) => i + 1)
    const columns = [AMX_MAX_COLS, AMX_MAX_COLS + 1]
    await writeReplayFile(prompts(), {
      'ternary-matmul': [
        ...tokenCounts.map((tokens) => ternaryCase({ rows: 33, cols: 129, tokens })),
        ...tokenCounts.map((tokens) =>
          ternaryCase({ rows: 33, cols: 129, tokens, packing: 'base3' }),
        ),
        ...columns.map((cols) => ternaryCase({ rows: 17, cols, tokens: 17 })),
      ],
    })
  }, 240_000)

  afterAll(() => rmSync(folder, { recursive: true }))

  test('the instructions do what plain arithmetic says, in every form', async () => {
    const { lines } = await runProgram('--check-emulation')
    expect(lines).toEqual([])
  })

  test.skipIf(!emulated.includes('x86-amx')).each([
    ['unknown-instruction', 'no instruction that is emulated'],
    ['no-configuration', 'tiles are not configured'],
    ['reserved-byte', 'a reserved byte'],
    ['rows-beyond-16', 'more than 16 rows'],
    ['rows-without-bytes', 'rows without bytes'],
    ['other-shapes', 'shapes do not fit'],
    ['odd-rows', 'no multiple of 4 bytes'],
    ['unconfigured-tile', 'leaves out'],
    ['one-tile-twice', 'one tile twice'],
  ])('what a processor refuses (%s) ends the program with the reason', async (fault, reason) => {
    const failure = run(program, ['--check-emulation', fault])
    await expect(failure).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining(reason),
    })
  })

  const fate = (isa: string) => (native.includes(isa) ? 'runs' : 'emulated')

  test.each(variants)('%s gives the reference bytes in all cases', async (isa) => {
    const outcome = await runProgram('--emulate', isa, conformance())
    const used = isa === 'x86-amx' ? TILES : ['vpdpbusd']
    expect(outcome).toEqual({
      lines: [`${isa}: ${fate(isa)}`, `cases: ${total}`],
      emulated: native.includes(isa) ? [''] : used,
    })
  })

  test.skipIf(!variants.includes('x86-amx'))(
    'x86-amx does so for every length of a prompt',
    async () => {
      const { lines } = await runProgram('--emulate', 'x86-amx', prompts())
      expect(lines).toEqual([`x86-amx: ${fate('x86-amx')}`, `cases: ${2 * MAX_TOKENS + 2}`])
    },
  )
})
