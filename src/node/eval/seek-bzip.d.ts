/** The part of seek-bzip that is used here; the package has no types. */
declare module 'seek-bzip' {
  const Bunzip: {
    /** Hands every byte of the unpacked file to `output`. Throws on a damaged file. */
    decode(input: Buffer, output: { writeByte(byte: number): void }): void
  }
  export = Bunzip
}
