/** Writes the conformance cases for conformance-replay: write-cases.mjs FILE STEP takes each STEP-th one. */
import { casesUpTo, writeReplayFile } from '../support/replay-file.ts'

/** Larger products show nothing that smaller ones do not, and sanitizers make them slow. */
const MAX_WEIGHTS = 1 << 17

const [path, step] = process.argv.slice(2)
const cases = Object.entries(casesUpTo(MAX_WEIGHTS)).map(
  ([op, all]) => [op, all.filter((_, i) => i % Number(step) === 0)] as const,
)
const counts = await writeReplayFile(path, Object.fromEntries(cases))
console.log(`${Object.values(counts).reduce((sum, count) => sum + count, 0)} cases`)
