/**
 * Reads one dataset's file with a library that trusts what it reads: a damaged file may keep it busy for
 * ever, eat memory, or reject a promise that nobody awaits. On a thread of its own it can be ended
 * (dataset-file.ts). Plain JavaScript, because it is started by its URL.
 */
import { parentPort, workerData } from 'node:worker_threads'

const { path, maxRows, maxTextBytes } = workerData

async function parquetRows() {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = await import(
    'hyparquet'
  )
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file)
  if (metadata.num_rows > maxRows) {
    throw new Error(`it has ${metadata.num_rows} rows, more than ${maxRows}`)
  }
  return parquetReadObjects({ file, metadata })
}

async function unpackedText() {
  const { readFile } = await import('node:fs/promises')
  const { default: Bunzip } = await import('seek-bzip')
  let text = Buffer.alloc(1 << 20)
  let length = 0
  const writeByte = (byte) => {
    if (length === text.length) {
      if (length >= maxTextBytes) throw new Error(`it unpacks to more than ${maxTextBytes} bytes`)
      text = Buffer.concat([text], 2 * length)
    }
    text[length++] = byte
  }
  Bunzip.decode(await readFile(path), { writeByte })
  return text.subarray(0, length)
}

parentPort.postMessage(await (path.endsWith('.bz2') ? unpackedText() : parquetRows()))
