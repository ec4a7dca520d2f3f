/** Where the files lie that tests read. */
import { fileURLToPath } from 'node:url'

const FIXTURES = new URL('../fixtures/', import.meta.url)

/** The folder of a tiny checkpoint, with what transformers computes with it beside it. */
export function tinyModel(name: string): string {
  return fileURLToPath(new URL(`tiny/${name}`, FIXTURES))
}

/** A file or folder that comes with no clone: larger models, vocabularies, datasets. */
export function sharedPath(path: string): string {
  return fileURLToPath(new URL(`../../../shared/${path}`, import.meta.url))
}
