/** Reading and writing safetensors. */
export { parseSafetensors } from './parse.ts'
export {
  DTYPE_BYTES,
  type SafetensorsDtype,
  type SafetensorsTensorToWrite,
  writeSafetensors,
} from './write.ts'
