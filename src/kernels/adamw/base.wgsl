// A step of AdamW, an invocation an element; see reference.ts.
struct Params {
  rows: u32,
  cols: u32,
  parameters_at: u32,
  gradients_at: u32,
  means_at: u32,
  squares_at: u32,
  numbers_at: u32,
  squareSum_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> means: array<f32>;
@group(0) @binding(4) var<storage, read_write> squares: array<f32>;
@group(0) @binding(5) var<storage, read> numbers: array<f32>;
@group(0) @binding(6) var<storage, read> squareSum: array<f32>;

fn number(index: u32) -> f32 {
  return numbers[params.numbers_at + index];
}

/// What gradients are multiplied by; 0 where they are not finite, told by the bits as drivers may take no float
/// for infinite.
fn clipFactor(squares: f32, maxNorm: f32, scale: f32) -> f32 {
  if ((bitcast<u32>(squares) & 0x7f800000u) == 0x7f800000u) {
    return 0.0;
  }
  if (maxNorm == 0.0) {
    return scale;
  }
  return min(1.0, maxNorm / (sqrt(squares) * scale + 1e-6)) * scale;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let i = (group.y * 32768u + group.x) * 256u + own;
  let factor = clipFactor(squareSum[params.squareSum_at], number(8u), number(9u));
  if (i >= params.rows * params.cols || factor == 0.0) {
    return;
  }
  let g = gradients[params.gradients_at + i] * factor;
  let mean = means[params.means_at + i] * number(2u) + g * number(3u);
  let square = squares[params.squares_at + i] * number(4u) + g * g * number(5u);
  means[params.means_at + i] = mean;
  squares[params.squares_at + i] = square;
  let size = sqrt(square) * number(6u) + number(7u);
  let at = params.parameters_at + i;
  parameters[at] = parameters[at] * number(1u) - number(0u) * (mean / size);
}
