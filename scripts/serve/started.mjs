/** A `bitnet serve` of the build on a free port of the loopback, and what asks it; for the programs beside this one. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { fileURLToPath } from 'node:url'

/** A server that does not stop by then is killed. */
const STOP_MS = 40_000
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
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      await ended
      clearTimeout(late)
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
export async function soloAnswers(url, signal) {
  const texts = []
  for (const question of QUESTIONS) texts.push((await streamed(url, question, signal)).text)
  return texts
}

/**
 * `count` clients, each asking again as soon as it is answered.
 *
 * @param work answers question i, and says how many tokens that took
 * @returns answers, tokens and seconds; those that run when the time is up are waited for
 */
export async function crowd(count, ms, work, isOver = () => false) {
  const began = performance.now()
  const answers = []
  await Promise.all(
    Array.from({ length: count }, async (_, client) => {
      for (let i = client; performance.now() - began < ms && !isOver(); i += 7) {
        answers.push(await work(i))
      }
    }),
  )
  const seconds = (performance.now() - began) / 1000
  const tokens = sum(answers.map((answer) => answer.tokens))
  return { answers, tokens, seconds, speed: tokens / seconds }
}

export const sum = (values) => values.reduce((total, value) => total + value, 0)
export const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
export const share = (values, part) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))]
