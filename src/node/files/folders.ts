/**
 * Where this program keeps what it can make again: packed images, journals of evaluation.
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
  if (env['BITNET_CACHE']) return env['BITNET_CACHE']
  if (env['XDG_CACHE_HOME']) return join(env['XDG_CACHE_HOME'], 'bitnet-ts')
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'bitnet-ts')
  if (process.platform === 'win32') {
    return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'bitnet-ts')
  }
  return join(homedir(), '.cache', 'bitnet-ts')
}
