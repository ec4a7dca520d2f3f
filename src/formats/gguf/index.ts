/** Reading and writing GGUF. */
export type { GgufTypedValue } from './header-writer.ts'
export { parseGguf } from './parse.ts'
export { type GgufTensorToWrite, writeGguf } from './write.ts'
