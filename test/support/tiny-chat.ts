/** A model that chats nonsense by the embedded model's tokenizer and template, small enough for a GPU in software. */
import { join } from 'node:path'
import { metadataFromGguf } from '../../src/convert/gguf-metadata.ts'
import { memorySink } from '../../src/formats/byte-sink.ts'
import { parseGguf, writeGguf } from '../../src/formats/gguf/index.ts'
import { readConfig } from '../../src/model/config/read-config.ts'
import { openFileSource } from '../../src/node/files/file-source.ts'
import { ROOT } from './built-program.ts'
import { ggufTensors, type Shapes, seededValues } from './family-model.ts'

const SIZES = {
  block_count: 1,
  embedding_length: 64,
  feed_forward_length: 128,
  'attention.head_count': 1,
  'attention.head_count_kv': 1,
  'rope.dimension_count': 64,
}

/** @returns the bytes of a GGUF file */
export async function tinyChat(): Promise<Uint8Array> {
  const path = join(ROOT, 'models', 'bitnet-ja-en-58m.gguf')
  const file = await parseGguf(await openFileSource(path))
  try {
    const config = readConfig(file)
    const metadata = metadataFromGguf(file, config, 'I2_S').map(([key, own]) => {
      const value = Object.entries(SIZES).find(([name]) => key.endsWith(`.${name}`))?.[1]
      return [key, value === undefined ? own : ({ type: 'u32', value } as const)] as const
    })
    const ffn = new Set([
      'blk.0.ffn_gate.weight',
      'blk.0.ffn_up.weight',
      'blk.0.ffn_sub_norm.weight',
    ])
    const shapes: Record<string, readonly number[]> = {}
    for (const { name } of file.tensors.values()) {
      const norm = /norm/.test(name)
      const rows = name === 'token_embd.weight' ? config.vocabSize : ffn.has(name) ? 128 : 64
      const cols = name === 'blk.0.ffn_down.weight' ? 128 : 64
      if (!/^blk\.[1-9]/.test(name)) shapes[name] = norm ? [rows] : [rows, cols]
    }
    const tensors = ggufTensors(seededValues(shapes satisfies Shapes), {
      projections: 'I2_S',
    })
    const sink = memorySink()
    await writeGguf(sink, { metadata, tensors })
    return sink.bytes()
  } finally {
    await file.close()
  }
}
