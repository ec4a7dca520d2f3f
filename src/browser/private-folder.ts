/**
 * What TypeScript's description of folders in a browser leaves out, and names that may not be there.
 */

export async function namesIn(folder: FileSystemDirectoryHandle): Promise<string[]> {
  const entries = folder as unknown as { keys(): AsyncIterable<string> }
  const names: string[] = []
  for await (const name of entries.keys()) names.push(name)
  return names
}

/** What `find` gives; undefined where there is nothing of that name. */
export async function ifThere<T>(find: () => Promise<T>): Promise<T | undefined> {
  try {
    return await find()
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return undefined
    throw error
  }
}
