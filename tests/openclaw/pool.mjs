// A pool for the real client: fake upstreams, and a OnePool whose pool comes from a pool file.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { eventually } from '../js/operator.mjs'
import { root, startOnePool, startUpstream } from '../js/servers.mjs'

export const program = path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, 'target'), 'debug/onepool')
const password = 'correct horse battery staple'

/** A value for a token, 51 characters long, that shows its name. */
export function tokenValue(name) {
  return `sk-${name.replace(/[^a-z0-9]/gi, '')}${'0123456789abcdef'.repeat(3)}`.slice(0, 51)
}

/** Runs `onepool ARGS` on a data folder; gives what it printed. */
export function onepool(dataDir, args, { input, env = {} } = {}) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    env: { PATH: process.env.PATH, HOME: dataDir, ...env, DATA_DIR: dataDir }, input, encoding: 'utf8', cwd: dataDir,
  })
  assert.equal(status, 0, `onepool ${args.join(' ')}: ${status}\n${stdout}\n${stderr}`)
  return stdout
}

/**
 * A running pool: `{ upstream, server, token, change(file, options), stop() }`. `change` applies a pool file, given as an object;
 * a token named `agent` with the profile OpenClaw is added if it has none. `env` are settings of the server.
 */
export async function startPool(env = {}) {
  const upstream = await startUpstream()
  const server = await startOnePool({ ADMIN_PASSWORD: password, ...env })
  const token = tokenValue('agent')
  const channels = new Map()
  return {
    upstream, server, token,
    async change(file, options = []) {
      for (const channel of file.channels) {
        for (const { secret } of channel.keys) await upstream.control('keys', { key: secret })
        channels.set(channel.name, channel.models.map((model) => model.name ?? model))
      }
      const models = [...new Set([...channels.values()].flat())].sort()
      await upstream.control('models', models)
      const tokens = file.tokens ?? [{ name: 'agent', value: token, profile: 'openclaw' }]
      onepool(server.dataDir, ['apply', '-', ...options], { input: JSON.stringify({ ...file, tokens }) })
      const offered = async () => {
        const answer = await fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${token}` } })
        return answer.ok ? (await answer.json()).data.map((model) => model.id) : []
      }
      await eventually('the pool that was applied', async () => String((await offered()).sort()) === String(models))
    },
    async stop() {
      await server.stop()
      await upstream.stop()
    },
  }
}

/** The export as OpenClaw's user gets it with the token: its text. */
export async function exported(server, token, query = '') {
  const answer = await fetch(`${server.url}/openclaw.json5${query}`, { headers: { authorization: `Bearer ${token}` } })
  const text = await answer.text()
  assert.equal(answer.status, 200, text)
  return text
}

/** The calls of an upstream that ask for an inference. */
export async function inferences(upstream) {
  return (await upstream.calls()).filter((call) => call.method === 'POST')
}

/** A folder of a test's own; gives its path, and removes it with `remove()`. */
export async function folder() {
  const place = await mkdtemp(path.join(tmpdir(), 'onepool-openclaw-'))
  return {
    path: place,
    write: (name, text) => writeFile(path.join(place, name), text),
    remove: () => rm(place, { recursive: true, force: true }),
  }
}

/** A port in front of `origin` that can be closed, so that connections are refused, and opened again. */
export async function gate(origin) {
  const { port } = new URL(origin)
  const open = new Set()
  const server = createServer((inner) => {
    const outer = connect(Number(port), '127.0.0.1')
    for (const [one, other] of [[inner, outer], [outer, inner]]) {
      open.add(one)
      one.on('close', () => {
        open.delete(one)
        other.destroy()
      })
      one.on('error', () => {})
      one.pipe(other)
    }
  })
  const listen = (port) => new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve)
  })
  await listen(0)
  const own = server.address().port
  return {
    origin: `http://127.0.0.1:${own}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of open) socket.destroy()
      await closed
    },
    open: () => listen(own),
  }
}
