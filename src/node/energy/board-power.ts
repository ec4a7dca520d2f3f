/**
 * Joules that NVIDIA boards have used, from the power that nvidia-smi (NVML) prints ten times a second:
 * each reading holds until the next. It is the whole board's, idle draw and whatever else runs included,
 * and sensors lag: runs of seconds are measured well, shorter ones are not.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { PowerMeter } from './power-meter.ts'

export interface BoardMeterOptions {
  /** Unset: found on the PATH. */
  readonly command?: string
  /** Most milliseconds until the first reading; unset: 5000. */
  readonly patienceMs?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

const INTERVAL_MS = 100
/** A board that has not been read for so long is not measured any more. */
const STALE_MS = 2000
/** Where a driver has it, what is drawn now; 'power.draw' is a mean over a second on newer boards. */
const FIELDS = ['power.draw.instant', 'power.draw'] as const

/** Opens the meter, which runs until it is disposed of, or tells why there is none. */
export async function openBoardMeter(
  options: BoardMeterOptions = {},
): Promise<PowerMeter | { readonly reason: string }> {
  const [instant, mean] = FIELDS
  const opened = await openField(instant, options)
  return 'reason' in opened ? openField(mean, options) : opened
}

async function openField(
  field: (typeof FIELDS)[number],
  { command = 'nvidia-smi', patienceMs = 5000, now = Date.now }: BoardMeterOptions,
): Promise<PowerMeter | { readonly reason: string }> {
  const query = [`--query-gpu=timestamp,index,${field}`, '--format=csv,noheader,nounits']
  // Left alone, it ends at its next line, as nobody reads its output.
  const child = spawn(command, [...query, '-lms', String(INTERVAL_MS)], {
    stdio: ['ignore', 'pipe', 'ignore'],
    windowsHide: true,
  })
  const ended = once(child, 'exit').catch(() => [])
  const boards = new Map<string, Board>()
  const firstReading = new Promise<string>((resolve) => {
    const tooLate = setTimeout(() => resolve(`it gave no reading in ${patienceMs} ms`), patienceMs)
    const settle = (reason: string): void => {
      clearTimeout(tooLate)
      resolve(reason)
    }
    child.on('error', (error) => settle(error.message))
    child.on('close', (code) => settle(`it ended with ${code} before it gave a reading`))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const reading = parseReading(line)
      if (reading === undefined) return
      const { index, watts, at } = reading
      const last = boards.get(index)
      boards.set(index, { joules: last === undefined ? 0 : joulesAt(last, at), watts, at })
      settle('')
    })
  })
  const problem = await firstReading
  if (problem !== '') {
    child.kill('SIGKILL')
    await ended
    return { reason: `nvidia-smi tells no power: ${problem}` }
  }
  const first = now()
  const start = sumOf(boards, first) ?? 0
  return {
    description: `NVIDIA boards, ${field}`,
    readJoules: () => {
      const sum = sumOf(boards, now())
      return sum === undefined ? undefined : sum - start
    },
    dispose: () => void child.kill('SIGKILL'),
  }
}

/** Joules of all boards, undefined if one has not been read of late. */
function sumOf(boards: ReadonlyMap<string, Board>, at: number): number | undefined {
  const all = [...boards.values()]
  if (all.some((board) => at - board.at > STALE_MS)) return undefined
  return all.reduce((sum, board) => sum + joulesAt(board, at), 0)
}

/** A board's last reading, and its joules from the first reading until then. */
interface Board {
  readonly joules: number
  readonly watts: number
  readonly at: number
}

/** A clock that was set back must not take joules away. */
function joulesAt({ joules, watts, at }: Board, now: number): number {
  return joules + (watts * Math.max(0, now - at)) / 1000
}

/** "2026/01/31 12:00:00.123, 0, 75.20"; undefined for all else, such as "[N/A]" for the power. */
function parseReading(line: string) {
  const match =
    /^(\d{4})\/(\d\d)\/(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{3}), (\d{1,3}), (\d{1,5}(?:\.\d+)?)$/.exec(
      line,
    )
  if (match === null) return undefined
  const [year, month, day, hour, minute, second, ms] = match.slice(1, 8).map(Number)
  // In local time, as nvidia-smi prints it.
  const at = new Date(year, month - 1, day, hour, minute, second, ms).getTime()
  return { index: match[8], watts: Number(match[9]), at }
}
