// The two quantisers of BitNet b1.58 and their product, on a matrix small enough to read.
import { absmaxQuantize, absmeanQuantize, packTernary, unpackTernary } from 'bitnet-ts'

const rows = 2
const cols = 4
const W = Float32Array.of(0.9, -0.1, 0.7, -0.8, 0.05, 0.8, -0.9, 0.1)
const x = Float32Array.of(1.5, -0.5, 0.25, -1)

// Weights: divide by the mean magnitude, round, clip to -1, 0, +1.
const weights = absmeanQuantize(W)
console.log('codes ', [...weights.codes].join(' '), '  scale', weights.scale.toFixed(5))

// Activations: the largest magnitude becomes 127.
const activations = absmaxQuantize(x)
console.log('int8  ', [...activations.q].join(' '), '  scale', activations.scale.toFixed(5))

// The product is a sum of whole numbers, and one multiplication with both scales a row. It is not
// close to the unquantised one: a BitNet is trained with the codes, not rounded afterwards.
for (let r = 0; r < rows; r++) {
  let sum = 0
  let exact = 0
  for (let c = 0; c < cols; c++) {
    sum += weights.codes[r * cols + c] * activations.q[c]
    exact += W[r * cols + c] * x[c]
  }
  const y = sum * weights.scale * activations.scale
  console.log(`row ${r}: integer sum ${sum}, y = ${y.toFixed(3)}, unquantised ${exact.toFixed(3)}`)
}

// At 2 bits a weight, in tiles of 16 x 16.
const packed = packTernary(weights.codes, rows, cols)
console.log(`packed: ${packed.bytes.length} bytes`)
console.log('unpacked equals codes:', `${unpackTernary(packed)}` === `${weights.codes}`)
