/**
 * Where this program keeps what it can make again (packed images, journals of evaluation), and what it
 * cannot: lines that were typed.
 *
 * Models that were fetched lie where Hugging Face's own tools look for them: node/hub/hub-settings.ts.
 */
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * BITNET_CACHE, else the system's place for caches: XDG_CACHE_HOME/bitnet-ts or ~/.cache/bitnet-ts,
 * ~/Library/Caches/bitnet-ts, %LOCALAPPDATA%\bitnet-ts.
 */
export function cacheFolder(): string {
  const { env } = process
  if (env['BITNET_CACHE']) return expandPath(env['BITNET_CACHE'], env)
  if (env['XDG_CACHE_HOME']) return join(expandPath(env['XDG_CACHE_HOME'], env), 'bitnet-ts')
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'bitnet-ts')
  if (process.platform === 'win32') return windowsFolder()
  return join(homedir(), '.cache', 'bitnet-ts')
}

/**
 * BITNET_STATE, else the system's place for what programs remember: XDG_STATE_HOME/bitnet-ts or
 * ~/.local/state/bitnet-ts, ~/Library/Application Support/bitnet-ts, %LOCALAPPDATA%\bitnet-ts.
 */
export function stateFolder(): string {
  const { env } = process
  if (env['BITNET_STATE']) return expandPath(env['BITNET_STATE'], env)
  if (env['XDG_STATE_HOME']) return join(expandPath(env['XDG_STATE_HOME'], env), 'bitnet-ts')
  if (process.platform === 'darwin') {
    return join(homedir(), 'Library', 'Application Support', 'bitnet-ts')
  }
  if (process.platform === 'win32') return windowsFolder()
  return join(homedir(), '.local', 'state', 'bitnet-ts')
}

function windowsFolder(): string {
  const { LOCALAPPDATA = join(homedir(), 'AppData', 'Local') } = process.env
  return join(LOCALAPPDATA, 'bitnet-ts')
}

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * A path as a variable has it, with what no shell has replaced: "~" at its start, and variables as $NAME or
 * ${NAME}, on Windows %NAME% too. What is not set stays as it is, as in Hugging Face's own tools.
 */
export function expandPath(path: string, env: Environment): string {
  const forms =
    process.platform === 'win32' ? /\$(\w+)|\$\{(\w+)\}|%(\w+)%/g : /\$(\w+)|\$\{(\w+)\}/g
  const replaced = path.replace(forms, (whole, ...names: (string | undefined)[]) => {
    return env[names.slice(0, 3).find((name) => name !== undefined) ?? ''] ?? whole
  })
  return expandHome(replaced)
}

/** "~" and "~/" at the beginning of a path, in place of which shells put the home folder. */
export function expandHome(path: string): string {
  return /^~($|[\\/])/.test(path) ? join(homedir(), path.slice(1)) : path
}
