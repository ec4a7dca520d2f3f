/**
 * The addon's functions (native/addon.c) and where its binary is looked for. Node only.
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { BackendError } from '../../errors.ts'

declare const poolBrand: unique symbol
declare const programBrand: unique symbol
export interface PoolHandle {
  readonly [poolBrand]: true
}
export interface ProgramHandle {
  readonly [programBrand]: true
}

export interface Addon {
  /** Kernel variants in the binary, fastest first; `missing` names what this machine lacks. */
  variants(): { isa: string; missing: string | null }[]
  /** Zeroed pages; `largePages` for what is filled whole and streamed. */
  allocate(bytes: number, largePages: boolean): ArrayBuffer
  addressOf(buffer: ArrayBuffer): number
  /** Detaches the buffer and gives its pages back. */
  release(buffer: ArrayBuffer): void
  openPool(isa: string, threads: number): PoolHandle
  closePool(pool: PoolHandle): void
  poolThreads(pool: PoolHandle): number
  /** The variant whose kernels ran the last program; null before the first. */
  ranIsa(pool: PoolHandle): string | null
  /** Commands as kernels/commands.ts lays them out. */
  record(slots: Float64Array): ProgramHandle
  submit(pool: PoolHandle, program: ProgramHandle): Promise<void>
  /**
   * The checksum of a file, and its bytes in memory if `map` is set: they must not be written to. `file`
   * is the address of what {@link Addon.readSparse} reads from, for as long as the bytes are not released.
   */
  openImage(
    path: string,
    threads: number,
    map: boolean,
  ): Promise<{ bytes: ArrayBuffer | null; checksum: string; file: number }>
  /** Of a part of a mapped file: all of it is read in every pass. */
  markDense(bytes: ArrayBuffer, byteOffset: number, byteLength: number): void
  /**
   * Puts a file's pages in place of a part of a buffer that holds the same bytes, and frees its memory.
   *
   * @returns false, and nothing has changed, where the system cannot
   */
  replace(
    buffer: ArrayBuffer,
    byteOffset: number,
    byteLength: number,
    file: number,
    fileOffset: number,
  ): boolean
  /**
   * Fills `source`, a buffer of SPARSE_SOURCE_BYTES: commands that have it as their source copy
   * sparse bytes from the file, where those of `address` are at `fileOffset`.
   */
  readSparse(source: ArrayBuffer, file: number, address: number, fileOffset: number): void
}

const require = createRequire(import.meta.url)

/** "linux-x64", "linux-x64-musl", "darwin-arm64", ...: the names of scripts/build-native.mjs. */
function platformName(): string {
  const { platform, arch } = process
  if (platform !== 'linux') return `${platform}-${arch}`
  const header = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header
  return header.glibcVersionRuntime ? `linux-${arch}` : `linux-${arch}-musl`
}

let loaded: Addon | undefined

/**
 * The addon: from the platform's own package if that is installed, else as built in a checkout.
 *
 * @throws BackendError that says where it was looked for
 */
export function loadAddon(): Addon {
  if (loaded) return loaded
  const platform = platformName()
  const built = fileURLToPath(
    new URL(`../../../native/build/${platform}/bitnet.node`, import.meta.url),
  )
  const packaged = `@bitnet-ts/native-${platform}`
  let path: string
  try {
    path = require.resolve(packaged)
  } catch {
    path = built
    if (!existsSync(built)) {
      throw new BackendError(
        `Expected the native addon in the package ${packaged} or in ${built}, found neither. In a checkout, build it with: npm run build`,
      )
    }
  }
  try {
    loaded = require(path) as Addon
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    throw new BackendError(`The native addon ${path} does not load: ${reason}`, { cause })
  }
  return loaded
}
