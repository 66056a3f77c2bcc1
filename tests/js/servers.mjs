// Starts the built programs for tests in JavaScript: `onepool` on an empty data folder, and the fake upstream.
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
const target = process.env.CARGO_TARGET_DIR ?? path.join(root, 'target')

/** Starts a program; resolves with the matches of `patterns` in its standard output, once all were seen. */
async function start(file, args, env, patterns, withinMs = 20_000) {
  const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
  const output = []
  const found = new Array(patterns.length)
  const matches = await new Promise((resolve, reject) => {
    const give_up = (reason) => reject(new Error(`${path.basename(file)} ${reason}:\n${output.join('\n')}`))
    const timer = setTimeout(() => give_up(`did not print ${patterns} in time`), withinMs)
    const read = (line) => {
      output.push(line)
      patterns.forEach((pattern, index) => (found[index] ??= line.match(pattern) ?? undefined))
      if (found.every(Boolean)) {
        clearTimeout(timer)
        resolve(found)
      }
    }
    createInterface({ input: child.stdout }).on('line', read)
    createInterface({ input: child.stderr }).on('line', read)
    child.on('error', (error) => give_up(error.message))
    child.on('exit', (code) => {
      clearTimeout(timer)
      give_up(`ended with ${code}`)
    })
  })
  return { child, output, matches }
}

/** Ends a program that `start` began; resolves with its exit code. */
async function stop(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  return ended
}

/** A running `onepool`: `url`, `setupUrl`, `dataDir`, `pid`, `output`, `stop()`. */
export async function startOnePool(extraEnv = {}) {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'onepool-test-'))
  const env = { PATH: process.env.PATH, HOME: dataDir, DATA_DIR: dataDir, PORT: '0', ...extraEnv }
  const patterns = [/listening on (http:\/\/127\.0\.0\.1:\d+)/]
  if (!('ADMIN_PASSWORD' in extraEnv)) patterns.push(/(http:\/\/127\.0\.0\.1:\d+\/setup\?code=\S+)/)
  const { child, output, matches } = await start(path.join(target, process.env.ONEPOOL_PROFILE ?? 'debug', 'onepool'), [], env, patterns)
  return {
    url: matches[0][1],
    setupUrl: matches[1]?.[1],
    dataDir,
    pid: child.pid,
    output,
    async stop() {
      const code = await stop(child, 'SIGTERM')
      await rm(dataDir, { recursive: true, force: true })
      return code
    },
  }
}

/** A running fake upstream: `baseUrl`, `control(name, body)`, `calls()`, `stop()`. */
export async function startUpstream() {
  const { child, matches } = await start(
    path.join(target, 'debug/examples/fake_upstream'), [], { PATH: process.env.PATH },
    [/fake upstream on (http:\/\/127\.0\.0\.1:\d+)/],
  )
  const origin = matches[0][1]
  const ask = async (name, body) => {
    const method = body === undefined ? 'GET' : 'POST'
    const response = await fetch(`${origin}/_fake/${name}`, { method, body: JSON.stringify(body) })
    const answer = await response.json()
    if (!response.ok) throw new Error(`fake upstream: ${name}: ${JSON.stringify(answer)}`)
    return answer
  }
  return {
    origin,
    baseUrl: `${origin}/v1`,
    control: (name, body) => ask(name, body ?? {}),
    calls: () => ask('calls'),
    stop: () => stop(child, 'SIGTERM'),
  }
}

/** The text that the fake upstream answers to a prompt with `marker=<marker> words=<words>`. */
export function expectedText(marker, words) {
  const told = Array.from({ length: words }, (_, index) => `${marker}.${index}`)
  return `${told.join(' ')} 终🙂`
}
