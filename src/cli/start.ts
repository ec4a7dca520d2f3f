/**
 * What `npm start` runs. With a terminal: a chat with the embedded model. Without one: a Japanese and
 * an English sample, with their speed.
 */
import { command as chat } from './commands/chat/chat.ts'
import { generateOne } from './commands/generate/generate.ts'
import { reportFailure } from './console/failure.ts'
import { runInProcess } from './console/process.ts'
import { EXIT } from './console/surroundings.ts'
import { writeLine } from './console/terminal.ts'
import { defineCommand } from './define-command.ts'

const SAMPLES: readonly string[] = [
  'むかしむかし、あるところに、',
  'Once upon a time, there was a little girl',
]

/** Tokens of a sample: some sentences, a second or two. */
const SAMPLE_TOKENS = 60

const samples = defineCommand({
  async run(context) {
    const { stdout, signal } = context
    await using model = await context.loadModel({})
    for (const prompt of SAMPLES) {
      await writeLine(stdout, `> ${prompt}`)
      // A fixed seed: whoever tries this twice sees the same text.
      const options = { maxTokens: SAMPLE_TOKENS, seed: 1, signal }
      const [{ finishReason }] = await generateOne(model, prompt, options, context)
      if (finishReason === 'cancelled') {
        context.exitCode = EXIT.interrupted
        return
      }
      await writeLine(stdout)
    }
  },
})

await runInProcess(async (surroundings) => {
  try {
    const command = surroundings.stdin.isTTY === true ? chat : samples
    return await command.run({}, surroundings)
  } catch (error) {
    return reportFailure(error, surroundings)
  }
})
