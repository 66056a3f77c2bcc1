// Every form of the pages, filled in with nothing, far too much, hostile text and Chinese: see forms.mjs, which finds them.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { Operator, eventually } from '../js/operator.mjs'
import { root, startOnePool } from '../js/servers.mjs'
import { Visitor, adminRoutes, crawl, peersElsewhere, tryForms } from './forms.mjs'
import { openBrowser } from './harness.mjs'
import { password, startWorld } from './world.mjs'

let browser
let page

before(async () => {
  browser = await openBrowser()
  page = await browser.newPage({ javaScriptEnabled: true })
})

after(() => browser?.close())

test('a careless form is found out', async () => {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += piece
    const typed = new URLSearchParams(body).get('word') ?? ''
    const send = (status, text, headers = {}) => {
      response.writeHead(status, { 'content-type': 'text/html', ...headers })
      response.end(`<!doctype html><title>t</title><main>${text}</main>`)
    }
    const form = (action, field = '<input name="word">') => `<form method="post" action="${action}">${field}<button>ok</button></form>`
    if (request.url === '/') return send(200, ['/raw', '/broken', '/reset', '/away', '/mute', '/forgets'].map((to) => form(to)).join('') +
      form('/takes', '<input name="word"><input name="amount" inputmode="numeric">'))
    if (request.method === 'GET') return send(200, '')
    if (request.url === '/raw') return send(422, `<p class="error">${typed} is wrong</p>`)
    if (request.url === '/broken') return send(typed.length > 50_000 ? 500 : 422, '<p class="error">no</p>')
    if (request.url === '/reset') return typed.includes('\0') ? request.socket.destroy() : send(200, '')
    if (request.url === '/away') return send(303, '', { location: `//${encodeURIComponent(typed) || 'x'}.example/` })
    if (request.url === '/mute') return send(422, form('/mute', `<input name="word" value="${typed.replace(/[&<>"]/g, '')}">`))
    if (request.url === '/forgets') return send(422, `<p class="error">no</p>${form('/forgets')}`)
    return send(303, '', { location: '/' })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const visitor = new Visitor(`http://127.0.0.1:${server.address().port}`, page)
    const { forms } = await crawl(visitor, ['/'], { get: ['/'], post: [] })
    assert.equal(forms.length, 7)
    const { complaints } = await tryForms(visitor, forms, { get: ['/'], post: [] })
    for (const [action, told] of [
      ['/raw', 'became markup'], ['/broken', 'status 500'], ['/reset', 'no answer'], ['/away', 'leads away'],
      ['/mute', 'without a word'], ['/forgets', 'lost'], ['/takes', 'Chinese in amount: it was accepted'],
      ['/takes', 'bytes in word: it was accepted'],
    ]) {
      assert.ok(complaints.some((complaint) => complaint.startsWith(`POST ${action} `) && complaint.includes(told)), `${action}: ${told}`)
    }
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

/** Fields that take anything on purpose. */
const ignores = (form, name) =>
  // A row without an amount is none, and a time of expiry counts where one is chosen.
  (form.route.endsWith('/limits') && name !== 'amount') || (form.route.startsWith('/tokens/') && name === 'expires_at') ||
  // What is longer than any name is cut, as it is in filters.
  form.route === '/search'

test('no form is upset by empty, huge, hostile or Chinese input', async () => {
  const world = await startWorld({ calls: 30 })
  const fresh = await startOnePool()
  const elsewhere = new Set()
  const watch = setInterval(async () => {
    for (const pid of [world.server.pid, fresh.pid]) (await peersElsewhere(pid).catch(() => [])).forEach((peer) => elsewhere.add(peer))
  }, 100)
  try {
    const routes = await adminRoutes(path.join(root, 'src/web/admin'))
    const visitor = new Visitor(world.server.url, page, world.operator.cookie)
    await moreOfTheWorld(world, visitor)
    const began = Date.now()
    const pages = routes.get.filter((route) => !route.includes('{'))
    const found = await crawl(visitor, pages, routes)
    const done = await tryForms(visitor, found.forms, routes, {
      ignores,
      // Messengers have fixed addresses: what is made here must not be told anything.
      instead: (form, name) => (form.route === '/notifications/new' && name === 'enabled' ? null : undefined),
    })
    const stranger = new Visitor(fresh.url, page)
    const outside = await crawl(stranger, [fresh.setupUrl.slice(fresh.url.length), '/login'], routes)
    const setUp = await tryForms(stranger, outside.forms, routes, { ignores })

    // A page or a form that nothing leads to would not be tried.
    const reached = new Set([...found.visited, ...outside.visited, ...[...done.tried, ...setUp.tried].map((form) => form.route)])
    const byScript = ['/playground/stream', '/openclaw/copied']
    const missed = [...routes.get, ...routes.post].filter((route) => !reached.has(route) && !byScript.includes(route))

    // So many wrong passwords make the next try wait.
    const operator = await eventually('a login', () => Operator.logIn(world.server.url, password).catch(() => false))
    const again = new Visitor(world.server.url, page, operator.cookie)
    const afterwards = await crawl(again, pages, routes)
    const complaints = [...found.complaints, ...done.complaints, ...outside.complaints, ...setUp.complaints, ...afterwards.complaints]
    console.log(`${found.forms.length} forms, ${done.sent + setUp.sent} times filled in, in ${Date.now() - began} ms`)
    if (process.env.FORMS_COMPLAINTS) console.log(JSON.stringify({ missed, elsewhere: [...elsewhere], escaped: afterwards.escaped }) + complaints.join('\n'))
    assert.equal(complaints.length, 0, complaints.join('\n'))
    assert.ok(afterwards.escaped > 0, 'some hostile text was accepted and is shown')
    assert.deepEqual(missed, [], 'routes that neither a link nor a form leads to')
    assert.deepEqual([...elsewhere], [], 'no machine but this one is asked for anything')
    for (const server of [world.server, fresh]) assert.doesNotMatch(server.output.join('\n'), /panicked/)
    await serves(world, operator)
  } finally {
    clearInterval(watch)
    await world.stop()
    await fresh.stop()
  }
})

/** What has forms only once it is there: somebody to notify, an access token, another session. */
async function moreOfTheWorld({ server, operator }, visitor) {
  // A session elsewhere, an access token, and a token whose previous value is still good.
  await Operator.logIn(server.url, password)
  const made = await visitor.ask('POST', '/account/access-tokens/new', new URLSearchParams({ name: 'deploy', expires_days: '30', password }))
  assert.equal(made.status, 200)
  await operator.post('/tokens/1/rotate', { grace: 'day' })
  await operator.post('/notifications/new?via=webhook', {
    via: 'webhook', name: 'on call', url: 'http://127.0.0.1:9/hook', allow_private: 'true', language: 'en', event: 'key_invalid',
  })
}

/** The server does its work as before: a new channel and token, a call, the overview. */
async function serves({ server, upstream }, operator) {
  await upstream.control('keys', { key: 'key-afterwards' })
  await operator.addChannel({
    name: 'afterwards', base_url: upstream.baseUrl, keys: 'key-afterwards', models: 'llama-3.3-70b-versatile',
    redirects: 'afterwards = llama-3.3-70b-versatile',
  })
  const token = await operator.addToken('afterwards')
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'afterwards', messages: [{ role: 'user', content: 'marker=alive words=3' }] }),
  })
  assert.equal(response.status, 200, await response.clone().text())
  assert.match(await operator.page('/'), /<main/)
}
