/**
 * What `npm start` runs. With a terminal: a chat with the embedded model. Without one: a Japanese and
 * an English sample, with their speed.
 */
import { runChat } from './chat.ts'
import { reportFailure } from './failure.ts'
import { runGenerate } from './generate.ts'
import { runInProcess } from './process.ts'
import { EXIT, type Surroundings } from './surroundings.ts'
import { writeLine } from './terminal.ts'

const SAMPLES: readonly string[] = [
  'むかしむかし、あるところに、',
  'Once upon a time, there was a little girl',
]

/** Tokens of a sample: some sentences, a second or two. */
const SAMPLE_TOKENS = 60

async function start(surroundings: Surroundings): Promise<number> {
  try {
    return surroundings.stdin.isTTY === true
      ? await runChat({}, surroundings)
      : await showSamples(surroundings)
  } catch (error) {
    return reportFailure(error, surroundings)
  }
}

async function showSamples(surroundings: Surroundings): Promise<number> {
  for (const prompt of SAMPLES) {
    await writeLine(surroundings.stdout, `> ${prompt}`)
    // A fixed seed: whoever tries this twice sees the same text.
    const flags = { prompt, maxTokens: SAMPLE_TOKENS, seed: 1 }
    const exitCode = await runGenerate(flags, surroundings)
    if (exitCode !== EXIT.ok) return exitCode
    await writeLine(surroundings.stdout)
  }
  return EXIT.ok
}

await runInProcess(start)
