/** Reading and writing safetensors. */
export { type ParsedSafetensors, parseSafetensors, type SkippedTensor } from './parse.ts'
export { type SafetensorsTensorToWrite, writeSafetensors } from './write.ts'
