// Replaces some bits of one word, where a write begins or ends within it.
struct Params {
  word: u32,
  mask: u32,
  bits: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(1)
fn main() {
  words[params.word] = (words[params.word] & ~params.mask) | params.bits;
}
