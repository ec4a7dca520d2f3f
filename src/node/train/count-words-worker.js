/**
 * A thread that counts the words of texts, a block at a time. Plain JavaScript, because it is started by its URL
 * (word-threads.ts).
 */
import { parentPort, workerData } from 'node:worker_threads'
import { WordCounts } from '../../tokenizer/training/word-counts.js'

const counts = new WordCounts(workerData)
parentPort.on('message', (texts) => {
  for (const text of texts) counts.addText(text)
  const counted = counts.take()
  parentPort.postMessage(
    counted,
    Object.values(counted).map(({ buffer }) => buffer),
  )
})
