// out (rows, cols) = rows of a dense table named by the step buffer's tokens; see reference.ts.
// Types: 0 f32, 1 f16, 2 int8, 3 int4, in the layouts of dense-matmul/layout.ts.
struct Params {
  rows: u32,
  table_rows: u32,
  table_cols: u32,
  table_type: u32,
  factor: f32,
  step_at: u32,
  table_data_at: u32,
  table_scales_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: array<i32>;
@group(0) @binding(2) var<storage, read> table_data: array<u32>;
@group(0) @binding(3) var<storage, read> table_scales: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

const STEP_WORDS = 4u;
/// Stripes of the table that the binding has.
const FIRST = 0u;
const END = 0xffffffffu;

/// The float whose bits are a half; exact, subnormals too.
fn half(bits: u32) -> f32 {
  let sign = (bits & 0x8000u) << 16u;
  let magnitude = bits & 0x7fffu;
  if (magnitude < 0x400u) {
    let small = f32(magnitude) * 5.9604644775390625e-8;
    return bitcast<f32>(bitcast<u32>(small) | sign);
  }
  let high = select(0x38000000u, 0x70000000u, magnitude >= 0x7c00u);
  return bitcast<f32>(((magnitude << 13u) + high) | sign);
}

fn element(row: u32, col: u32) -> f32 {
  let stripe = row >> 4u;
  let lane = row & 15u;
  switch (params.table_type) {
    case 0u: {
      return bitcast<f32>(table_data[params.table_data_at + (stripe * params.table_cols + col) * 16u + lane]);
    }
    case 1u: {
      let at = (stripe * params.table_cols + col) * 16u + lane;
      return half((table_data[params.table_data_at + (at >> 1u)] >> ((at & 1u) * 16u)) & 0xffffu);
    }
    case 2u: {
      let groups = (params.table_cols + 3u) >> 2u;
      let word = table_data[params.table_data_at + (stripe * groups + (col >> 2u)) * 16u + lane];
      let w = f32((word >> ((col & 3u) * 8u)) & 0xffu) - 128.0;
      return w * table_scales[params.table_scales_at + row];
    }
    default: {
      let groups = (params.table_cols + 7u) >> 3u;
      let plane = ((params.table_rows + 15u) >> 4u) * groups * 16u;
      let at = params.table_data_at + (stripe * groups + (col >> 3u)) * 16u + lane;
      let shift = (col & 3u) * 8u + (col & 4u);
      let w = ((table_data[at] >> shift) & 15u) * 16u + ((table_data[at + plane] >> shift) & 15u);
      return (f32(w) - 128.0) * table_scales[params.table_scales_at + row];
    }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let col = group.x * 64u + own;
  if (col >= params.table_cols) {
    return;
  }
  let row = group.y;
  let token = u32(step[params.step_at + row * STEP_WORDS]);
  if ((token >> 4u) < FIRST || (token >> 4u) >= END) {
    return;
  }
  var value = element(token, col);
  if (params.factor != 1.0) {
    value *= params.factor;
  }
  out[params.out_at + row * params.table_cols + col] = value;
}
