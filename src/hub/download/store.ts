/**
 * What a download asks of the place it goes to: a folder of a disk, a browser's private files (OPFS), or
 * memory. Names are the store's own; it makes the folders that they need.
 */

export interface DownloadStore {
  /**
   * Opens a file: to be read, which fails if there is none, or to be written and read, which makes an
   * empty one then and keeps what is there otherwise.
   */
  open(name: string, access: 'read' | 'write'): Promise<StoreFile>
  /** Bytes of a file; undefined if there is none. */
  size(name: string): Promise<number | undefined>
  /** At once, and in place of a file of that name. */
  rename(from: string, to: string): Promise<void>
  /** Does nothing if there is no such file. */
  remove(name: string): Promise<void>
  /**
   * Waits until nobody else, of this process or another, has the lock of this name.
   *
   * @returns gives it back
   * @throws the signal's reason
   */
  lock(name: string, waiting: LockWaiting): Promise<() => Promise<void>>
  /** @throws BitnetError with code DISK_FULL if fewer than `bytes` more may be written to a file */
  requireSpace(name: string, bytes: number): Promise<void>
  /** For contents that are too large to be hashed in one piece, as a browser's own hash wants them. */
  hasher(algorithm: 'sha256' | 'sha1'): Promise<Hasher>
}

export interface Hasher {
  update(bytes: Uint8Array): void
  /** Lower-case hexadecimal. */
  digest(): string
}

/** Reads and writes do not share a position; several may run at once. */
export interface StoreFile {
  /** @returns bytes read: fewer than asked for where the file ends */
  read(bytes: Uint8Array, offset: number): Promise<number>
  write(bytes: Uint8Array, offset: number): Promise<void>
  truncate(size: number): Promise<void>
  /** What was written is kept from now on, even if the power fails. */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface LockWaiting {
  readonly signal?: AbortSignal | undefined
  /** Told once if somebody else has the lock. */
  readonly onWait?: (() => void) | undefined
}
