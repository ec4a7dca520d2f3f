/**
 * What a file is that is not what its name promises: what people really have where a model should be.
 */

/** Enough of a file's start to tell. */
export const TELLING_BYTES = 256

const LFS_POINTER = 'version https://git-lfs'

const MAGICS: readonly (readonly [start: readonly number[] | string, what: string])[] = [
  ['ggml', 'a GGML file from before GGUF. Convert the original checkpoint'],
  ['lmgg', 'a GGML file from before GGUF. Convert the original checkpoint'],
  ['tjgg', 'a GGML file from before GGUF. Convert the original checkpoint'],
  [[0x1f, 0x8b], 'compressed with gzip. Unpack it first'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'compressed with zstd. Unpack it first'],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], 'compressed with xz. Unpack it first'],
  ['PK\u0003\u0004', 'a ZIP archive, as PyTorch writes too. Take the safetensors or GGUF file'],
  [[0x80, 0x02], 'a pickle of PyTorch, which is not read. Take the safetensors or GGUF file'],
]

/**
 * A sentence about what the file is, to follow a message of what was expected; empty if it is not known.
 *
 * @param start the file's first bytes, {@link TELLING_BYTES} of them if there are so many
 * @param expected what it should be, which is then nothing to tell
 */
export function foreignContent(
  start: Uint8Array,
  expected: 'gguf' | 'safetensors' | 'text',
): string {
  const text = Array.from(start.subarray(0, TELLING_BYTES), (byte) =>
    String.fromCharCode(byte),
  ).join('')
  if (text.startsWith(LFS_POINTER)) {
    const size = /\nsize (\d{1,15})\n/.exec(text)?.[1]
    const whole = size === undefined ? 'the file itself' : `the file itself, ${size} bytes,`
    return (
      ` It is a Git LFS pointer: ${whole} was not fetched. Run "git lfs pull" where it was cloned, or ` +
      'fetch the model with "bitnet pull".'
    )
  }
  if (/^\s*<(!doctype|html|\?xml)/i.test(text)) {
    return ' It is a web page, as servers send in place of a file. Check the address it came from.'
  }
  // Eight bytes of length, then the JSON of the tensors.
  if (expected !== 'safetensors' && /^[\s\S]{4}\0{4}\{"/.test(text)) {
    return ' It is a safetensors file. Give it a name that ends in .safetensors, with config.json beside.'
  }
  if (expected !== 'gguf' && text.startsWith('GGUF')) {
    return ' It is a GGUF file. Give it a name that ends in .gguf.'
  }
  const found = MAGICS.find(([magic]) => {
    const bytes = typeof magic === 'string' ? Array.from(magic, (c) => c.charCodeAt(0)) : magic
    return bytes.every((byte, i) => start[i] === byte)
  })
  return found === undefined ? '' : ` It is ${found[1]}.`
}
