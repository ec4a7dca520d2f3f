/** Reading and writing safetensors. */
export { parseSafetensors } from './parse.ts'
export { writeSafetensors } from './write.ts'
