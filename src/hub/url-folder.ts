/**
 * A GGUF file on a server as a file of a folder, which has the other parts of its model where it was
 * split: their names follow from its own.
 */
import { partNames } from '../formats/gguf/index.ts'
import type { ByteSource } from '../formats/model-file.ts'
import type { ModelFolder } from '../formats/model-folder.ts'

/** The last name in an address, without escapes. */
export function fileOf({ pathname }: URL): string {
  const name = pathname.slice(pathname.lastIndexOf('/') + 1)
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/** Addresses of all parts of the model that a file belongs to; its own where it is whole. */
export function partUrls(url: URL): URL[] {
  const names = partNames(fileOf(url))
  return names === undefined ? [url] : names.map((name) => neighbour(url, name))
}

export function urlFolder(
  url: URL,
  open: (url: URL) => Promise<ByteSource>,
): ModelFolder & { readonly file: string } {
  return {
    name: new URL('.', url).href,
    file: fileOf(url),
    list: async () => partUrls(url).map(fileOf),
    pathOf: (file) => neighbour(url, file).href,
    open: (file) => open(file === fileOf(url) ? url : neighbour(url, file)),
    read: async () => undefined,
  }
}

function neighbour(url: URL, file: string): URL {
  const other = new URL(encodeURIComponent(file), url)
  other.search = url.search
  return other
}
