/** Reading and writing safetensors. */
export { parseSafetensors } from './parse-safetensors.ts'
export {
  DTYPE_BYTES,
  type SafetensorsDtype,
  type SafetensorsTensorToWrite,
  writeSafetensors,
} from './write-safetensors.ts'
