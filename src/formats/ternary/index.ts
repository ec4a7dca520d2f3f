/** Ternary matrices out of files and into them. */
export { countZeros } from './code-words.ts'
export { encodeTernary, storedScale, type TernaryStorage } from './encode.ts'
export { packHf } from './hf-packed.ts'
export { type OpenTernaryOptions, openTernary } from './open-ternary.ts'
