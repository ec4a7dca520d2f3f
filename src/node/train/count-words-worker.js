/**
 * A thread that counts the words of texts, a block at a time. Plain JavaScript, because it is started by its URL
 * (word-threads.ts).
 */
import { parentPort } from 'node:worker_threads'
import { WordCounts } from '../../tokenizer/training/word-counts.js'

const counts = new WordCounts()
parentPort.on('message', ({ units, ends }) => {
  let start = 0
  for (const end of ends) {
    counts.addText(units, start, end)
    start = end
  }
  const counted = counts.take()
  parentPort.postMessage(
    counted,
    Object.values(counted).map(({ buffer }) => buffer),
  )
})
