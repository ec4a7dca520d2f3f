// Reads a model file without running it: its sizes, its tensors, and the share of -1, 0 and +1.
import { openModelFile, openTernary, readConfig } from 'bitnet-ts'

const path = process.argv[2] ?? new URL('../models/bitnet-ja-en-58m.gguf', import.meta.url).pathname
const { file } = await openModelFile(path)
const config = readConfig(file)
console.log(
  `${config.name}: ${config.nLayers} layers, dim ${config.dim}, ${file.tensors.size} tensors`,
)

for (const tensor of file.tensors.values()) {
  const isTernary = /attn_q\.weight|q_proj\.weight$/.test(tensor.name)
  if (!isTernary) continue
  const matrix = await openTernary(file, tensor)
  const codes = new Int8Array(matrix.rows * matrix.cols)
  await matrix.readCodes(0, matrix.rows, codes)
  const counts = [0, 0, 0]
  for (const code of codes) counts[code + 1]++
  const shares = counts.map((n) => `${((100 * n) / codes.length).toFixed(1)} %`).join(' / ')
  console.log(
    `${tensor.name}  ${matrix.rows} x ${matrix.cols}  scale ${matrix.scale.toFixed(4)}  ${shares}`,
  )
}
await file.close()
