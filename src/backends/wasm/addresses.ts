/**
 * The two widths of addresses that modules are built for. Here addresses are numbers, which are exact
 * far beyond either; modules with 64 bits take and give them as bigint.
 */

export type AddressType = 'i32' | 'i64'

/** An address as a module of its width takes it. */
export type ModuleAddress = number | bigint

export const PAGE = 65536

/**
 * 32 bits: one page short of 4 GiB, so that an end address still fits. 64 bits: the 16 GiB at which the
 * JavaScript interface of WebAssembly ends a memory.
 */
export const MAX_PAGES: Record<AddressType, number> = { i32: 65535, i64: 262144 }

/** Also for counts of pages. */
export function moduleAddress(type: AddressType, value: number): ModuleAddress {
  return type === 'i64' ? BigInt(value) : value
}

/** @throws RangeError if the engine gives none of this size */
export function createMemory(
  type: AddressType,
  limits: { readonly initial: number; readonly maximum?: number; readonly shared?: boolean },
): WebAssembly.Memory {
  if (type === 'i32') return new WebAssembly.Memory(limits)
  const { initial, maximum, shared = false } = limits
  const wide = {
    address: type,
    initial: moduleAddress(type, initial),
    ...(maximum !== undefined && { maximum: moduleAddress(type, maximum) }),
    shared,
  }
  // TypeScript's library knows nothing of 64-bit memories.
  return new WebAssembly.Memory(wide as unknown as WebAssembly.MemoryDescriptor)
}

/** @throws RangeError if the engine gives no more */
export function growMemory(type: AddressType, memory: WebAssembly.Memory, pages: number): void {
  const growing: { grow(pages: ModuleAddress): ModuleAddress } = memory
  growing.grow(moduleAddress(type, pages))
}
