// What twenty viewers of live pages cost the server; see scripts/measure-live.
import { readFile } from 'node:fs/promises'
import { Operator } from './operator.mjs'
import { startOnePool, startUpstream } from './servers.mjs'

const seconds = Number(process.argv[2] ?? 30)
const viewers = 20
const everyMs = 2000
const callsEveryMs = 500
const password = 'correct horse battery staple'

const upstream = await startUpstream()
const server = await startOnePool({ ADMIN_PASSWORD: password })
const operator = await Operator.logIn(server.url, password)
// A pool of some size: 20 channels, 200 keys.
for (let channel = 0; channel < 20; channel++) {
  const keys = Array.from({ length: 10 }, (_, key) => `sk-measure-${channel}-${key}-0000`)
  for (const key of keys) await upstream.control('keys', { key })
  await operator.addChannel({ name: `channel ${channel}`, base_url: upstream.baseUrl, keys, models: ['m', `m-${channel}`], enabled: 'true' })
}
const token = await operator.addToken('measured', {})

/** The processor time that the server has taken, in seconds (proc_pid_stat(5), fields 14 and 15; 100 ticks are a second on Linux). */
async function taken() {
  const stat = await readFile(`/proc/${server.pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
let calls = 0
const load = setInterval(async () => {
  calls++
  const answer = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: `marker=c${calls} words=20 delay=50` }] }),
  })
  await answer.text()
}, callsEveryMs)

const counts = { same: 0, sent: 0, bytes: 0 }
let looking = true
/** A viewer, as static/app.js makes one: asks for the part, with the tag of what it has. */
async function view(number) {
  const path = number % 2 ? '/log/live' : '/overview/live'
  let etag = ''
  await wait((number * everyMs) / viewers)
  while (looking) {
    const began = performance.now()
    const answer = await fetch(server.url + path, {
      headers: { cookie: operator.cookie, 'hx-request': 'true', 'if-none-match': etag }, redirect: 'manual',
    })
    const text = await answer.text()
    if (answer.status === 304) counts.same++
    else if (answer.ok) {
      counts.sent++
      counts.bytes += text.length
      etag = answer.headers.get('etag')
    } else throw new Error(`${path}: ${answer.status}`)
    await wait(Math.max(0, everyMs - (performance.now() - began)))
  }
}

async function measure(label) {
  const before = await taken()
  const began = performance.now()
  await wait(seconds * 1000)
  const percent = ((await taken()) - before) / ((performance.now() - began) / 1000) * 100
  console.log(`${label}: ${percent.toFixed(2)} % of a core`)
  return percent
}

await wait(3000)
const alone = await measure('without viewers')
const all = Promise.all(Array.from({ length: viewers }, (_, number) => view(number)))
await wait(everyMs)
const watched = await measure(`with ${viewers} viewers`)
looking = false
await all
clearInterval(load)
await wait(1500)
console.log(`${viewers} viewers cost ${(watched - alone).toFixed(2)} % of a core (${process.env.ONEPOOL_PROFILE} build, ${seconds} s each, ` +
  `${1000 / callsEveryMs} calls a second); ${counts.same} answers had nothing new, ${counts.sent} had ${Math.round(counts.bytes / Math.max(1, counts.sent) / 1024)} KB each before compression`)
await server.stop()
await upstream.stop()
