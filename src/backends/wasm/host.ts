/**
 * What this backend asks of its host, the JavaScript engine around it, in Node and in browsers: nothing here
 * imports node:*, so that bundlers for browsers find nothing to complain about.
 */
import { BackendError } from '../../errors.ts'

/**
 * Node's process, whose `getBuiltinModule` stands in for imports; undefined in a browser.
 *
 * @throws BackendError if this Node lacks it
 */
export function nodeProcess(): NodeJS.Process | undefined {
  const found: NodeJS.Process | undefined = globalThis.process
  if (found?.versions?.node === undefined) return undefined
  if (typeof found.getBuiltinModule === 'function') return found
  throw new BackendError(
    `Expected Node 20.18.1 or newer for the WebAssembly backend, got ${found.version}. Update Node.`,
  )
}

/** Processors that this process or page may use; at least 1. */
export function processorCount(): number {
  const node = nodeProcess()
  if (node) return node.getBuiltinModule('node:os').availableParallelism()
  return globalThis.navigator?.hardwareConcurrency || 1
}
