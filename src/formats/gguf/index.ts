/** Reading and writing GGUF. */
export { parseGguf } from './parse-gguf.ts'
export { isGgufName, joinParts, partCount, partNames } from './parts.ts'
export { type GgufTypedValue, withType } from './value-types.ts'
export { type GgufTensorToWrite, writeGguf } from './write-gguf.ts'
