/**
 * What is said where fewer bytes may be written than are wanted, on a disk or in a browser.
 */
import { BitnetError } from '../../errors.ts'

/**
 * @param where for people: "in /a/folder"
 * @param advice what to do about it, in whole sentences
 */
export function noSpace(needed: number, free: number, where: string, advice: string): BitnetError {
  const message = `Expected ${quantity(needed)} of free space ${where}, got ${quantity(free)}. ${advice}`
  return new BitnetError('DISK_FULL', message)
}

/** Bytes for people. */
export function quantity(bytes: number): string {
  return bytes < 1e8 ? `${(bytes / 1e6).toFixed(2)} MB` : `${(bytes / 1e9).toFixed(2)} GB`
}
