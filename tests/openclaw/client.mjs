// The real OpenClaw, as its user meets it: the command line, and a gateway on loopback. Each client has a home folder of its
// own, and nothing of the user who runs the tests.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually } from '../js/operator.mjs'
import { root } from '../js/servers.mjs'

const modules = path.join(path.dirname(fileURLToPath(import.meta.url)), 'node_modules')
const programs = path.join(modules, '.bin')
const cache = path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, 'target'), 'openclaw-cache')

/** What keeps OpenClaw silent: it neither looks for updates and prices, nor shows itself on the network. */
const silent = {
  DO_NOT_TRACK: '1', NO_COLOR: '1', OPENCLAW_DISABLE_BONJOUR: '1', OPENCLAW_NO_AUTO_UPDATE: '1', OPENCLAW_OFFLINE: '1',
  OPENCLAW_SKIP_CHANNELS: '1',
}

/** Whether all combinations are to be run, in place of a selection in which every pair occurs. */
export const all = process.env.OPENCLAW_TESTS === 'all'

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Runs a program to its end: `{ code, stdout, stderr }`. */
function run(file, args, { env, cwd, input = '', timeoutMs }) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env, cwd, stdio: ['pipe', 'pipe', 'pipe'] })
    const said = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => (said[name] += text))
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code, ...said })
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

/** An OpenClaw with an empty home. */
export class Client {
  #gateway
  #socket
  #secret = 'gateway-secret'

  /**
   * Makes the home. `config` is the text of its configuration file, as its user wrote it; without it there is none. With
   * `gateway` there is one by which a gateway can run.
   */
  static async create({ config, gateway = false } = {}) {
    const client = new Client()
    client.home = await mkdtemp(path.join(tmpdir(), 'onepool-openclaw-'))
    await mkdir(path.join(client.home, 'tmp'))
    await mkdir(path.join(client.home, '.openclaw'), { mode: 0o700 })
    client.env = {
      ...silent, HOME: client.home, TMPDIR: path.join(client.home, 'tmp'), NODE_COMPILE_CACHE: cache, LANG: 'C.UTF-8',
      PATH: `${programs}:${process.env.PATH}`,
    }
    client.configFile = path.join(client.home, '.openclaw/openclaw.json')
    if (gateway) config = JSON.stringify(await client.#gatewayConfig())
    if (config !== undefined) await writeFile(client.configFile, config, { mode: 0o600 })
    return client
  }

  /** Stops the gateway and removes the home. */
  async remove() {
    await this.stopGateway()
    await rm(this.home, { recursive: true, force: true, maxRetries: 5 })
  }

  /** Runs `openclaw ARGS`: `{ code, stdout, stderr }`. */
  async run(args, { input, timeoutMs = 180_000 } = {}) {
    return run('openclaw', args, { env: this.env, cwd: this.home, input, timeoutMs })
  }

  /** Runs `openclaw ARGS`, which must succeed; gives what it printed. */
  async ok(args, options) {
    const { code, stdout, stderr } = await this.run(args, options)
    assert.equal(code, 0, `openclaw ${args.join(' ')}: ${code}\n${stdout}\n${stderr}`)
    return stdout
  }

  /** The same for a command that prints JSON, with other lines before it or not. */
  async json(args, options) {
    const text = await this.ok([...args, '--json'], options)
    const at = text.search(/^[[{]/m)
    assert.ok(at >= 0, text)
    return JSON.parse(text.slice(at))
  }

  /** Runs a command line as a user types it into a shell. */
  async shell(line, { env = {}, timeoutMs = 180_000 } = {}) {
    const said = await run('bash', ['-o', 'pipefail', '-c', line], { env: { ...this.env, ...env }, cwd: this.home, timeoutMs })
    assert.equal(said.code, 0, `${line}: ${said.code}\n${said.stdout}\n${said.stderr}`)
    return said.stdout
  }

  /** The configuration that stands in the file; OpenClaw itself writes plain JSON. */
  async config() {
    return JSON.parse(await readFile(this.configFile, 'utf8'))
  }

  /** Merges a patch into the configuration. */
  async patch(patch, options = []) {
    return this.ok(['config', 'patch', '--stdin', ...options], { input: JSON.stringify(patch) })
  }

  /** Probes a provider's model with a real call; gives the row `{ model, status, error }`. */
  async probe(provider, options = []) {
    const found = await this.json(['models', 'status', '--probe', '--probe-provider', provider, ...options])
    const rows = found.auth.probes.results
    assert.equal(rows.length, 1, JSON.stringify(rows))
    return rows[0]
  }

  /** What `models list` shows of a provider's models. */
  async models(provider) {
    return (await this.json(['models', 'list', '--provider', provider])).models
  }

  /** One agent turn without a gateway: what `openclaw agent exec` reports, and its exit code. */
  async exec(message, options = []) {
    const { code, stdout, stderr } = await this.run(['agent', 'exec', message, '--json', ...options])
    const at = stdout.search(/^\{/m)
    assert.ok(at >= 0, `${code} ${stdout} ${stderr}`)
    return { code, ...JSON.parse(stdout.slice(at)) }
  }

  /** What lets the tests talk to the gateway. */
  async #gatewayConfig() {
    this.port = await freePort()
    return {
      update: { checkOnStart: false },
      models: { catalogRefresh: { enabled: false } },
      gateway: {
        mode: 'local', bind: 'loopback', port: this.port, auth: { mode: 'token', token: this.#secret },
        http: { endpoints: { chatCompletions: { enabled: true } } },
      },
    }
  }

  /** Starts `openclaw gateway run`, for a client that was made for it; resolves when it answers. */
  async startGateway() {
    const child = spawn('openclaw', ['gateway', 'run'], { env: this.env, cwd: this.home, stdio: ['ignore', 'pipe', 'pipe'] })
    this.log = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (this.log += text))
    const ended = new Promise((resolve) => child.once('close', resolve))
    this.#gateway = { child, ended }
    const up = async () => {
      assert.equal(child.exitCode, null, `the gateway ended:\n${this.log}`)
      return fetch(`${this.#origin()}/v1/models`, { headers: this.#bearer() }).then((answer) => answer.ok, () => false)
    }
    await eventually('a gateway that answers', up, 180_000)
    // Its own protocol takes a moment longer.
    const ready = () => connect(`ws://127.0.0.1:${this.port}`, this.#secret).catch((error) => {
      if (!/UNAVAILABLE/.test(error.message)) throw error
    })
    this.#socket = await eventually('a gateway that takes connections', ready, 180_000)
  }

  /** Stops it, if it runs. */
  async stopGateway() {
    if (!this.#gateway) return
    const { child, ended } = this.#gateway
    this.#gateway = undefined
    this.#socket?.close()
    this.#socket = undefined
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
    await ended
    clearTimeout(timer)
  }

  #origin() {
    return `http://127.0.0.1:${this.port}`
  }

  #bearer() {
    return { authorization: `Bearer ${this.#secret}`, 'content-type': 'application/json' }
  }

  /**
   * One agent turn by the gateway: `{ status, text, usage, startedAt, endedAt, ms }`, times in milliseconds since 1970, status 0
   * if it was not over in time. `agent` names one of `agents.entries`, `user` a conversation that goes on, `image` a picture
   * in base64.
   */
  async turn(message, { agent, user, image, stream = false, timeoutMs = 180_000 } = {}) {
    const picture = { type: 'image_url', image_url: { url: `data:image/png;base64,${image}` } }
    const content = image ? [{ type: 'text', text: message }, picture] : message
    const body = {
      model: agent ? `openclaw/${agent}` : 'openclaw', messages: [{ role: 'user', content }], user, stream,
      ...(stream && { stream_options: { include_usage: true } }),
    }
    const startedAt = Date.now()
    let answer
    let raw
    try {
      answer = await fetch(`${this.#origin()}/v1/chat/completions`, {
        method: 'POST', headers: this.#bearer(), body: JSON.stringify(body), signal: AbortSignal.timeout(timeoutMs),
      })
      raw = await answer.text()
    } catch (error) {
      if (error.name !== 'TimeoutError') throw error
    }
    const endedAt = Date.now()
    const times = { status: raw === undefined ? 0 : answer.status, startedAt, endedAt, ms: endedAt - startedAt, raw }
    if (times.status === 0) return { ...times, text: '' }
    if (!stream || answer.status !== 200) {
      const said = JSON.parse(raw)
      return { ...times, text: said.choices?.[0].message.content ?? said.error?.message, usage: said.usage }
    }
    const events = [...raw.matchAll(/^data: (\{.*)$/gm)].map((match) => JSON.parse(match[1]))
    const pieces = events.map((event) => event.choices?.[0]?.delta?.content).filter(Boolean)
    return { ...times, text: pieces.join(''), pieces: pieces.length, usage: events.findLast((event) => event.usage)?.usage }
  }

  /** Calls a tool of the agent, as the model would: its result. */
  async tool(name, args) {
    const answer = await fetch(`${this.#origin()}/tools/invoke`, {
      method: 'POST', headers: this.#bearer(), body: JSON.stringify({ tool: name, args }), signal: AbortSignal.timeout(120_000),
    })
    const said = await answer.json()
    assert.equal(answer.status, 200, `${name}: ${JSON.stringify(said)}\n${this.log.slice(-3000)}`)
    return said.result
  }

  /** Asks a method of the gateway's own protocol. */
  async request(method, params = {}) {
    return this.#socket.ask(method, params)
  }

  /** Types a line into the conversation `session` of the main agent; gives the reply, when it is there. */
  async say(session, message) {
    const sessionKey = `agent:main:${session}`
    const replies = async () => {
      const { messages } = await this.request('chat.history', { sessionKey })
      return messages.filter((entry) => entry.role === 'assistant')
    }
    const before = (await replies()).length
    await this.request('chat.send', { sessionKey, message, idempotencyKey: crypto.randomUUID() })
    const reply = await eventually(`a reply to ${message}`, async () => (await replies())[before], 120_000)
    return typeof reply.content === 'string' ? reply.content : reply.content.map((part) => part.text ?? '').join('')
  }
}

/** A connection to a gateway as an operator: `ask(method, params)`, `close()`. */
async function connect(url, token) {
  const socket = new WebSocket(url)
  const waiting = new Map()
  let number = 0
  const ask = (method, params) => new Promise((resolve, reject) => {
    const id = String(++number)
    waiting.set(id, { resolve, reject, method })
    socket.send(JSON.stringify({ type: 'req', id, method, params }))
  })
  const challenged = new Promise((resolve, reject) => {
    socket.addEventListener('error', () => reject(new Error(`${url} does not answer`)))
    socket.addEventListener('message', ({ data }) => {
      const frame = JSON.parse(data)
      if (frame.event === 'connect.challenge') resolve()
      const asked = frame.type === 'res' && waiting.get(frame.id)
      if (!asked) return
      waiting.delete(frame.id)
      if (frame.ok) asked.resolve(frame.payload)
      else asked.reject(new Error(`${asked.method}: ${JSON.stringify(frame.error)}`))
    })
    socket.addEventListener('close', () => {
      for (const { reject, method } of waiting.values()) reject(new Error(`${method}: the gateway closed the connection`))
    })
  })
  await challenged
  const hello = ask('connect', {
    minProtocol: 4, maxProtocol: 4, client: { id: 'gateway-client', version: '1.0.0', platform: 'linux', mode: 'backend' },
    role: 'operator', scopes: ['operator.read', 'operator.write', 'operator.admin'], caps: [], auth: { token },
  })
  await hello.catch((error) => {
    socket.close()
    throw error
  })
  return { ask, close: () => socket.close() }
}
