// Everything at once, at random: results as alone, nothing left behind, nobody starved.
import { expect, test } from 'vitest'
import { runSchedule } from '../../../test/support/random-schedules.ts'

/** More of them by `npm run schedules`. */
const COUNT = Number(process.env['SCHEDULES'] ?? 300)
const SEED = Number(process.env['SCHEDULE_SEED'] ?? 1)

test(`random schedules of all kinds of requests end as each request does alone`, async () => {
  for (let seed = SEED; seed < SEED + COUNT; seed++) {
    expect(await runSchedule(seed), `schedule ${seed}`).toEqual([])
  }
}, 3_600_000)
