/** Reading and writing GGUF. */
export type { GgufTypedValue } from './header-writer.ts'
export { parseGguf } from './parse-gguf.ts'
export { type GgufTensorToWrite, writeGguf } from './write-gguf.ts'
