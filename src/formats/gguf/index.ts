/** Reading and writing GGUF. */
export type { GgufTypedValue } from './header-writer.ts'
export { parseGguf } from './parse.ts'
export { GGUF_TYPE_IDS, type GgufTensorType } from './tensor-types.ts'
export { type GgufContent, type GgufTensorToWrite, writeGguf } from './write.ts'
