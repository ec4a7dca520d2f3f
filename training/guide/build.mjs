/**
 * Writes what the model is tuned on.
 *
 *   node training/guide/build.mjs OUT [FACTS.jsonl]
 *
 * OUT gets guide.jsonl, facts.jsonl, held.jsonl and systems.json, system messages by language. A wording whose SHA-256, as a number, is 0 modulo 10 is held out:
 * it is in held.jsonl, with its answer, and nothing like it is in the other files. FACTS: further conversations.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { guide, read, tuningData } from './data.mjs'
import { systems } from './systems.mjs'

const [out, facts] = process.argv.slice(2)
if (out === undefined) {
  console.error('usage: node training/guide/build.mjs OUT [FACTS.jsonl]')
  process.exit(2)
}
mkdirSync(out, { recursive: true })
const data = tuningData(guide(), facts === undefined ? [] : read(facts))
for (const [name, rows] of Object.entries(data)) {
  writeFileSync(`${out}/${name}.jsonl`, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  console.log(name, rows.length)
}
writeFileSync(`${out}/systems.json`, JSON.stringify(systems()))
