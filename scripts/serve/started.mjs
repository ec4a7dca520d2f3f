/** A `bitnet serve` of the build on a free port of the loopback, and what asks it; for the programs beside this one. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** @param flags beside --port and --json */
export async function startServer(flags = []) {
  const child = spawn(process.execPath, [MAIN, 'serve', '--port', '0', '--json', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const url = await new Promise((resolve, reject) => {
    child.stdout.once('data', (data) => resolve(JSON.parse(data).url))
    ended.then((code) => reject(new Error(`The server ended with ${code}.`)))
  })
  return {
    url,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    /** Bytes in memory; undefined where the system does not say. */
    memory() {
      try {
        return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`))?.[1])
      } catch {
        return undefined
      }
    },
    async figure(name) {
      const text = await (await fetch(`${url}/metrics`)).text()
      return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1])
    },
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })

/**
 * An answer as it streams.
 *
 * @returns status, its text, its tokens and those of its prompt, and milliseconds to its first text
 */
export function streamed(url, body, signal) {
  const began = performance.now()
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' }
    const asked = request(
      `${url}/v1/chat/completions`,
      { method: 'POST', headers, agent, signal },
      (response) => {
        let rest = ''
        const said = { status: response.statusCode, text: '', tokens: 0, firstMs: undefined }
        response.setEncoding('utf8')
        response.on('data', (data) => {
          const events = (rest + data).split('\n\n')
          rest = events.pop()
          for (const event of events) {
            const chunk = event === 'data: [DONE]' ? undefined : JSON.parse(event.slice(6))
            const text = chunk?.choices[0]?.delta.content
            if (text) said.firstMs ??= performance.now() - began
            said.text += text ?? ''
            said.tokens = chunk?.usage?.completion_tokens ?? said.tokens
            said.prompt = chunk?.usage?.prompt_tokens ?? said.prompt
          }
        })
        response.on('end', () => resolve(said))
        response.on('error', reject)
      },
    )
    asked.on('error', reject)
    asked.end(JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }))
  })
}

const TOPICS =
  'rain,the moon,bread,a bicycle,tea,rivers,glass,bees,snow,a library,salt,maps,wind,paper,stars,a clock'.split(
    ',',
  )

/** Questions of which each has one answer, greedy. */
export const QUESTIONS = TOPICS.flatMap((topic) => [
  `What is special about ${topic}?`,
  `Write a few sentences on ${topic}.`,
]).map((content) => ({
  messages: [{ role: 'user', content }],
  temperature: 0,
  max_tokens: 48,
}))

/** What each question's answer is where nobody else asks. */
export async function soloAnswers(url) {
  const texts = []
  for (const question of QUESTIONS) texts.push((await streamed(url, question)).text)
  return texts
}

export const sum = (values) => values.reduce((total, value) => total + value, 0)
export const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
export const share = (values, part) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))]
