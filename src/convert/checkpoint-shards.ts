/**
 * A checkpoint's weights in one file or in several, named as transformers names them.
 */

/** What transformers takes by default. */
const DEFAULT_SHARD_BYTES = 5e9

/**
 * Tensors in files of up to `shardBytes`, in the order given; one that is larger has a file of its own.
 * Codes and their scale follow each other and stay together.
 */
export function checkpointShards<T extends { readonly name: string; readonly byteLength: number }>(
  tensors: readonly T[],
  shardBytes: number = DEFAULT_SHARD_BYTES,
): T[][] {
  const shards: T[][] = [[]]
  let bytes = 0
  for (const tensor of tensors) {
    const isFull = bytes > 0 && bytes + tensor.byteLength > shardBytes
    if (isFull && !tensor.name.endsWith('_scale')) {
      shards.push([])
      bytes = 0
    }
    shards[shards.length - 1].push(tensor)
    bytes += tensor.byteLength
  }
  return shards
}

/** File names of `count` shards. */
export function shardNames(count: number): string[] {
  if (count === 1) return ['model.safetensors']
  const digits = (n: number) => String(n).padStart(5, '0')
  return Array.from(
    { length: count },
    (_, i) => `model-${digits(i + 1)}-of-${digits(count)}.safetensors`,
  )
}
