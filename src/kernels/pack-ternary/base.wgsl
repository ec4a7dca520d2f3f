// Packs rows of codes (rows, out.cols) into a ternary matrix, from firstRow on, an invocation for each word: one
// row of one tile. With the last row of the matrix the padding rows of its stripe too. Layouts: ternary/pack.ts
// and ternary/base3.ts. Codes: 0 int8, 1 I2_S. Packings: 0 2bit, 1 base3.
struct Params {
  rows: u32,
  out_rows: u32,
  out_cols: u32,
  out_packing: u32,
  out_order: u32,
  firstRow: u32,
  codesType: u32,
  codes_at: u32,
  out_data_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read_write> out_data: array<u32>;

fn byteAt(at: u32) -> u32 {
  return (codes[params.codes_at + (at >> 2u)] >> ((at & 3u) * 8u)) & 0xffu;
}

/// w + 1 of one element; past the end of the row and in padding rows what the packing has there.
fn code(row: u32, col: u32) -> u32 {
  let isPadding = row >= params.firstRow + params.rows;
  if (isPadding || col >= params.out_cols) {
    return select(1u, 0u, params.out_packing == 1u && !isPadding);
  }
  let at = (row - params.firstRow) * params.out_cols + col;
  if (params.codesType == 0u) {
    return (byteAt(at) + 1u) & 0xffu;
  }
  let stored = (byteAt((at >> 7u) * 32u + (at & 31u)) >> (6u - 2u * ((at & 127u) >> 5u))) & 3u;
  return select(stored, 1u, stored == 3u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let isBase3 = params.out_packing == 1u;
  let perByte = select(4u, 5u, isBase3);
  let tiles = (params.out_cols + perByte * 4u - 1u) / (perByte * 4u);
  let tile = group.x * 64u + own;
  if (tile >= tiles) {
    return;
  }
  let row = params.firstRow + group.y;
  var word = 0u;
  for (var j = 0u; j < 4u; j++) {
    var byte = 0u;
    var unit = 1u;
    for (var p = 0u; p < perByte; p++) {
      byte += code(row, tile * perByte * 4u + 4u * p + j) * unit;
      unit *= select(4u, 3u, isBase3);
    }
    word |= byte << (j * 8u);
  }
  out_data[params.out_data_at + ((row >> 4u) * tiles + tile) * 16u + (row & 15u)] = word;
}
