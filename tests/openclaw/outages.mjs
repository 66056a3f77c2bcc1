// What OpenClaw's user notices of an outage: a model whose only upstream fails, with a healthy fallback on the same OnePool;
// and a model with a healthy second upstream.
import { Client } from './client.mjs'
import { exported, gate, inferences, startPool } from './pool.mjs'

/** How long a failing upstream may take until its first content. */
const firstByteMs = 3_000

/** How long a turn may take; one that is not over by then was answered by nobody. */
const turnMs = Number(process.env.TURN_SECONDS ?? 180) * 1000

/** The ways in which an upstream fails; `fault` is the fake upstream's. */
export const modes = [
  { id: '429', name: '429 without a hint', fault: 'rate_limited_bare' },
  { id: '429-short', name: '429, Retry-After: 2', fault: 'rate_limited_two_seconds' },
  { id: '429-daily', name: '429, daily limit', fault: 'rate_limited_daily' },
  { id: '401', name: '401', fault: 'unauthorized' },
  { id: '402', name: '402', fault: 'payment_required' },
  { id: '403', name: '403', fault: 'forbidden_model' },
  { id: '404', name: '404', fault: 'model_not_found' },
  { id: '500', name: '500', fault: 'status500' },
  { id: '503', name: '503', fault: 'status503' },
  { id: 'refused', name: 'connection refused' },
  { id: 'hang', name: 'hangs', fault: 'hang_before_headers' },
  { id: 'cut', name: 'cut after content', fault: 'cut_after_content' },
  { id: 'empty', name: 'empty 200', fault: 'empty200' },
  { id: 'html', name: 'HTML in a 200', fault: 'html200' },
  { id: 'error', name: 'error inside a 200', fault: 'error_first_event' },
]

/** A pool and a gateway in which each of the modes has models of its own: `alone-<id>` and `pair-<id>`. */
export class Outages {
  /** Starts all that the modes need. */
  static async start(chosen) {
    const outages = new Outages()
    outages.gates = new Map()
    outages.pool = await startPool()
    const { upstream } = outages.pool
    for (const { id, fault } of chosen) {
      if (!fault) for (const kind of ['alone', 'pair']) outages.gates.set(`${kind}-${id}`, await gate(upstream.origin))
    }
    await outages.pool.change({ channels: chosen.flatMap(({ id }) => outages.#channels(id)).concat(outages.#channel('spare', 'spare')) })
    await outages.#connect(chosen)
    return outages
  }

  #channel(name, model, { priority = 0, origin = this.pool.upstream.origin } = {}) {
    return {
      name, base_url: `${origin}/v1`, allow_private: true, priority, models: [model], keys: [{ secret: `key-of-${name}` }],
      timeouts: { first_byte_ms: firstByteMs },
    }
  }

  #channels(id) {
    const origin = (kind) => this.gates.get(`${kind}-${id}`)?.origin
    return [
      this.#channel(`alone-${id}`, `alone-${id}`, { origin: origin('alone') }),
      this.#channel(`pair-${id}`, `pair-${id}`, { priority: 10, origin: origin('pair') }),
      this.#channel(`second-${id}`, `pair-${id}`),
    ]
  }

  async #connect(chosen) {
    this.client = await Client.create({ gateway: true })
    await this.client.ok(['config', 'patch', '--stdin'], { input: await exported(this.pool.server, this.pool.token) })
    const names = chosen.flatMap(({ id }) => [`alone-${id}`, `pair-${id}`])
    const provider = Object.keys((await this.client.config()).models.providers)[0]
    const agent = (name) => ({ model: { primary: `${provider}/${name}`, fallbacks: [`${provider}/spare`] } })
    const entries = Object.fromEntries(names.map((name) => [name, agent(name)]))
    await this.client.patch({ agents: { entries: { main: { default: true }, ...entries } } })
    await this.client.startGateway()
    // The first turn of a gateway takes much longer than all others.
    await this.#turn('main')
  }

  /** Starts a new client in place of one that blocks the provider. */
  async startAfresh(chosen) {
    await this.client.remove()
    await this.#connect(chosen)
  }

  /** One turn: who answered it, and when; `by` is the channel, or `nobody`. */
  async #turn(agent) {
    const marker = `m${Math.random().toString(36).slice(2, 10)}`
    const turn = await this.client.turn(`Hello marker=${marker} words=6`, { agent, timeoutMs: turnMs })
    const calls = (await inferences(this.pool.upstream)).filter((call) => JSON.stringify(call.body).includes(marker))
    const whole = turn.status === 200 && turn.text.includes(`${marker}.5 终🙂`)
    const server = calls.findLast((call) => !call.fault && call.refused === null && call.end === 'Finished')
    return { ...turn, calls, by: whole && server ? server.key.replace('key-of-', '') : 'nobody' }
  }

  async #break({ fault }, channel) {
    if (fault) await this.pool.upstream.control('faults', { fault, key: `key-of-${channel}` })
    else await this.gates.get(channel).close()
  }

  async #repair({ fault }, channel) {
    if (fault) await this.pool.upstream.control('faults', { fault: null, key: `key-of-${channel}` })
    else await this.gates.get(channel).open()
  }

  /** When the fault of a turn could first be known: when its answer was over, or its time was. */
  #detectedAt({ id, fault }, turn) {
    const [failed] = turn.calls.filter((call) => call.fault)
    if (!fault || !failed) return turn.startedAt
    return failed.started_ms + (id === 'hang' ? firstByteMs : failed.ended_after_ms ?? 0)
  }

  /**
   * One outage of the model `alone-<id>` or `pair-<id>`: the channels that answered the turn before it, the first and the
   * second one in it, and the one after it, with the seconds that those in the outage took after its detection.
   */
  async measure(mode, kind) {
    const name = `${kind}-${mode.id}`
    const before = await this.#turn(name)
    await this.#break(mode, name)
    const first = await this.#turn(name)
    const second = await this.#turn(name)
    await this.#repair(mode, name)
    const next = await this.#turn(name)
    const seconds = (turn) => (turn.endedAt - this.#detectedAt(mode, turn)) / 1000
    return {
      mode: mode.name, kind, before: before.by, by: first.by, seconds: seconds(first), secondBy: second.by, secondSeconds: seconds(second),
      nextBy: next.by, nextSeconds: next.ms / 1000, nextText: next.text, firstText: first.text,
      calls: first.calls.map((call) => `${call.model}:${call.fault ?? 'ok'}`),
    }
  }

  /** Stops everything. */
  async stop() {
    await this.client?.remove()
    for (const gate of this.gates.values()) await gate.close().catch(() => {})
    await this.pool.stop()
  }
}

/** What a row breaks of what OnePool promises; empty if nothing. */
export function complaints(row, mode) {
  const name = `${row.kind}-${mode.id}`
  const expected = row.kind === 'alone' ? 'spare' : `second-${mode.id}`
  const found = []
  if (row.before !== name) found.push(`before it ${row.before} answered`)
  for (const [which, by, seconds] of [['first', row.by, row.seconds], ['second', row.secondBy, row.secondSeconds]]) {
    if (by !== expected) found.push(`the ${which} turn was answered by ${by}`)
    if (seconds > 5) found.push(`the ${which} turn went on after ${seconds.toFixed(1)} s`)
  }
  if (row.nextBy === 'nobody') found.push('the turn after it failed')
  else if (row.kind === 'alone' && row.nextBy !== name) found.push(`the turn after it was answered by ${row.nextBy}`)
  if (row.nextSeconds > 5) found.push(`the turn after it took ${row.nextSeconds.toFixed(1)} s`)
  return found
}

/** The heads of the table that `line` makes the lines of. */
export const heads = [
  '| outage | model has | turn answered by | seconds after detection | 2nd turn by | seconds | turn after the repair by | seconds | kept |',
  '|---|---|---|---|---|---|---|---|---|',
]

/** A line of the table. */
export function line(row, mode) {
  const who = (by) => (by === 'spare' ? 'the fallback' : by === 'nobody' ? 'nobody' : by.startsWith('second') ? 'its second upstream' : 'itself')
  const kept = complaints(row, mode).length === 0 ? 'yes' : 'no'
  const has = row.kind === 'alone' ? 'one upstream' : 'two upstreams'
  return `| ${row.mode} | ${has} | ${who(row.by)} | ${row.seconds.toFixed(1)} | ${who(row.secondBy)} | ${row.secondSeconds.toFixed(1)} | ${who(row.nextBy)} | ${row.nextSeconds.toFixed(1)} | ${kept} |`
}
