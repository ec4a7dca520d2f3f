/** Seeded damage to files: what disks, networks and people do to them. */

/** Values that counts, lengths and offsets are replaced by. */
const WORDS = [0n, 1n, 31n, 255n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 40n, 2n ** 53n, 2n ** 63n]
WORDS.push(2n ** 64n - 1n)
const TEXTS = ['-1', '0', '1e308', 'null', '[]', '{}', '"', '\\', '[[[[', '{%', '}}', ',,', '\0']
/** A file may grow to this; what is asked of readers is to bear what is in it. */
const MAX_BYTES = 4 << 20

/**
 * @param random as Math.random
 * @returns a copy with one to three kinds of damage
 */
export function damaged(healthy: Uint8Array, random: () => number): Uint8Array {
  let file: Uint8Array = healthy.slice()
  for (let n = 1 + Math.floor(random() ** 2 * 3); n > 0; n--) file = damagedOnce(file, random)
  return file
}

function damagedOnce(file: Uint8Array, random: () => number): Uint8Array {
  const below = (limit: number) => Math.floor(random() * limit)
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]
  // Headers lie in front, and hold most of what there is to damage.
  const place = () => below(random() < 0.6 ? Math.min(file.length, 4096) : file.length)
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  switch (file.length < 16 ? 0 : below(8)) {
    case 0:
      return file.slice(0, below(file.length + 1))
    case 1:
      for (let n = 1 + below(8); n > 0; n--) file[place()] ^= 1 << below(8)
      return file
    case 2:
      view.setBigUint64(Math.min(place(), file.length - 8), pick(WORDS), true)
      return file
    case 3:
      view.setUint32(Math.min(place(), file.length - 4), Number(pick(WORDS) & 0xffffffffn), true)
      return file
    case 4: {
      // A piece of the file stands elsewhere too.
      const from = place()
      const piece = file.slice(from, from + 1 + below(200))
      const at = place()
      file.set(piece.subarray(0, file.length - at), at)
      return file
    }
    case 5:
      return spliced(file, place(), new TextEncoder().encode(pick(TEXTS)))
    case 6: {
      const from = place()
      return spliced(file, place(), file.slice(from, from + below(2000)))
    }
    default: {
      // The same structure over and over, inside of itself or not.
      const unit = random() < 0.5 ? file.slice(place()).subarray(0, 1 + below(30)) : pick(UNITS)
      const times = Math.min(1 + below(200_000), Math.floor(MAX_BYTES / unit.length))
      const many = new Uint8Array(unit.length * times)
      for (let i = 0; i < times; i++) many.set(unit, i * unit.length)
      return spliced(file, place(), many)
    }
  }
}

const UNITS = ['[', '{"a":', '{},', '(a|a)+', '{{ ', '\n', ','].map((text) => {
  return new TextEncoder().encode(text)
})

function spliced(file: Uint8Array, at: number, piece: Uint8Array): Uint8Array {
  const out = new Uint8Array(file.length + piece.length)
  out.set(file.subarray(0, at))
  out.set(piece, at)
  out.set(file.subarray(at), at + piece.length)
  return out
}
