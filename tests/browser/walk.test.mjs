// The walk: from the printed set-up link to a metered, streamed answer, and then through every other page, in a real
// browser, with the official SDK as the client and an upstream that rotates keys, limits, stalls and breaks.
// The tests of this file build on each other.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import OpenAI from 'openai'
import { expectedText, startOnePool, startUpstream } from '../js/servers.mjs'
import { assertNoProblems, openBrowser, openContext, openPage } from './harness.mjs'

const password = 'correct horse battery staple'
const keys = ['key-walk-0001', 'key-walk-0002', 'key-walk-0003']
let upstream
let server
let browser
let page
let laptop // The token and the base URL that the set-up showed.

before(async () => {
  browser = await openBrowser()
  upstream = await startUpstream()
  await upstream.control('models', ['llama-walk', 'qwen-walk', 'backup-walk'])
  for (const key of [...keys, 'key-pasted-0004', 'key-backup-0001']) await upstream.control('keys', { key })
  server = await startOnePool({ MAX_ATTEMPTS: '8', TZ: 'UTC' })
  page = await openPage(await openContext(browser))
  // A form that comes back with messages has status 422, which the browser reports as a failed load.
  page.expectedStatuses.add(422)
})

after(async () => {
  await browser?.close()
  await server?.stop()
  await upstream?.stop()
})

const go = (path) => page.goto(server.url + path)
/** Fills fields by their ids and sends the form by its button. */
async function send(fields, button, on = page) {
  for (const [id, value] of Object.entries(fields)) {
    const field = on.locator(`#${id}`)
    if (typeof value === 'boolean') await field.setChecked(value)
    else if ((await field.evaluate((element) => element.tagName)) === 'SELECT') await field.selectOption(value)
    else await field.fill(value)
  }
  await press(button, on)
}
/** Opens whatever a page has folded away. */
const unfold = (on = page) => on.locator('main details').evaluateAll((all) => all.forEach((one) => (one.open = true)))
/** Presses a button and waits for the page that it leads to. */
const press = (name, on = page) =>
  Promise.all([on.waitForNavigation(), on.getByRole('button', { name, exact: true }).first().click()])
const follow = (name, on = page) =>
  Promise.all([on.waitForNavigation(), on.getByRole('link', { name, exact: true }).first().click()])
const says = (text, on = page) => on.getByText(text).first().waitFor()
/** What the message at a field says. */
const messageAt = (id, on = page) => on.locator(`#${id}-error`).innerText()
const client = (token, baseURL) => new OpenAI({ apiKey: token, baseURL, maxRetries: 0, timeout: 60_000 })
const prompt = (marker, words) => [{ role: 'user', content: `marker=${marker} words=${words}` }]
async function streamed(openai, model, marker, words) {
  let text = ''
  const stream = await openai.chat.completions.create({ model, stream: true, messages: prompt(marker, words) })
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
  return text
}
const refused = (openai) =>
  assert.rejects(openai.chat.completions.create({ model: 'smart', messages: prompt('no', 1) }), OpenAI.AuthenticationError)

test('the set-up link leads over account, channel and token to the first answered call', async () => {
  assert.equal((await fetch(`${server.url}/channels`)).status, 403, 'nothing else answers before there is an account')
  await page.goto(server.setupUrl)
  await send({ name: 'anna', password, repeat: 'something else' }, 'Continue')
  assert.match(await messageAt('repeat'), /differ/)
  assert.equal(await page.inputValue('#name'), 'anna')
  await send({ password, repeat: password }, 'Continue')

  const channel = { name: 'Walk', keys: `# free\nWALK_KEY=${keys[0]}\n${keys[1]}, ${keys[2]}`, models: 'llama-walk', redirects: 'smart = llama-walk' }
  await unfold()
  await send({ ...channel, base_url: `${upstream.baseUrl}?x=1`, allow_private: true }, 'Continue')
  assert.match(await messageAt('base_url'), /Leave out everything from/)
  for (const [field, value] of Object.entries(channel)) assert.equal(await page.inputValue(`#${field}`), value)
  await send({ base_url: upstream.baseUrl }, 'Continue')
  await says('3 keys, 1 models')
  await send({ name: 'laptop' }, 'Create the token')
  await says('Waiting for the first call')
  laptop = { value: await page.inputValue('#token-value'), baseUrl: await page.inputValue('#base-url') }
  assert.match(laptop.value, /^sk-[0-9A-Za-z]{48}$/)

  // The first key is refused, the second one limited: the SDK sees neither.
  await upstream.control('faults', { fault: 'unauthorized', next: 1 })
  await upstream.control('faults', { fault: 'rate_limited_seconds', next: 1 })
  assert.equal(await streamed(client(laptop.value, laptop.baseUrl), 'smart', 'first', 30), expectedText('first', 30))
  await page.locator('#waiting.ok').waitFor()
  await says('The first call was answered.')
})

test('the usage log shows the call with its token, key, attempts and counts, and its course', async () => {
  await follow('See the usage log')
  const row = page.locator('table tbody tr').first()
  const text = await row.innerText()
  for (const part of ['200', 'laptop', 'smart', 'llama-walk', 'Walk', '…000', '2 / 31', '3']) assert.ok(text.includes(part), `${part} in ${text}`)
  await Promise.all([page.waitForNavigation(), row.getByRole('link').first().click()])
  const attempts = await page.locator('table tbody tr').allInnerTexts()
  assert.equal(attempts.length, 3)
  for (const [index, part] of ['key invalid', 'rate-limited', 'success'].entries()) assert.ok(attempts[index].includes(part), attempts[index])
  assert.ok(await page.locator('svg.waterfall rect').count() >= 3)
  assert.equal((await page.content()).includes(keys[0]), false, 'a key is shown by its last four characters')
})

test('a channel shows what rests and why, and the rest can be ended', async () => {
  await go('/channels')
  await follow('Walk')
  const rests = page.getByRole('region', { name: 'Resting now' }).locator('tbody tr')
  assert.equal(await rests.count(), 2)
  const told = (await rests.allInnerTexts()).join('\n')
  assert.match(told, /key invalid · HTTP 401/)
  assert.match(told, /rate-limited · HTTP 429/)
  await Promise.all([page.waitForNavigation(), rests.first().getByRole('button').click()])
  await says('The rest is over')
  assert.equal(await rests.count(), 1)
  await press('Retry all now')
  assert.equal(await rests.count(), 0)
})

test('keys are pasted with a result for each line', async () => {
  await page.fill('#keys', `LABEL=key-pasted-0004\n${keys[0]}\nabc\nEMPTY=`)
  await press('Add these keys')
  await says('1 added, 1 known already, 2 refused.')
  const results = await page.getByRole('region', { name: 'Result' }).locator('tbody tr').allInnerTexts()
  assert.equal(results.length, 4)
  for (const [index, part] of ['added', 'known already', 'fewer than 4', 'no value'].entries()) assert.ok(results[index].includes(part), results[index])
})

test('the test of a key shows the exact text of the upstream and what to do', async () => {
  await upstream.control('keys', { key: 'key-pasted-0004', state: 'out_of_credit' })
  await follow('LABEL …0004')
  await press('Test')
  await says('Some steps failed')
  const text = await page.locator('pre').allInnerTexts()
  assert.ok(text.some((one) => /insufficient_quota|credit|balance|billing/i.test(one)), text.join('\n'))
  await says('What to do')
  await upstream.control('keys', { key: 'key-pasted-0004' })
  await press('Test')
  await says('Every step passed.')
  await send({ label: 'second account', group: 'bob' }, 'Save')
  await says('Saved.')
  await follow('Remove this key')
  await press('Yes, delete')
  await says('The key was removed.')
  assert.match(page.url(), /\/channels\/1(#.*)?$/)
})

test('models are fetched from the upstream, and get their prices', async () => {
  await press('Fetch from the upstream')
  await page.getByRole('checkbox', { name: 'qwen-walk' }).check()
  await press('Apply this selection')
  await says('models are offered now')
  const row = page.locator('tr', { has: page.locator('input[name="model"][value="llama-walk"]') })
  await row.locator('input[name="input"]').fill('1,5')
  await press('Save models and redirects')
  await says('please enter dollars such as 0.15')
  assert.equal(await page.locator('input[name="input"][aria-invalid="true"]').inputValue(), '1,5')
  await page.locator('input[name="input"][aria-invalid="true"]').fill('1.5')
  await row.locator('input[name="output"]').fill('3')
  await press('Save models and redirects')
  assert.equal(await row.locator('input[name="output"]').inputValue(), '3')
})

test('a channel is added with every field, edited and switched; wrong input comes back with a message at the field', async () => {
  await go('/channels/new')
  await unfold()
  const fields = {
    name: '备用 backup', keys: 'key-backup-0001', models: 'backup-walk', redirects: 'smart = backup-walk', weight: '2',
    groups: 'team', headers: 'X-Title: OnePool', connect_s: '2.5', first_byte_s: '1', idle_s: '5', note: 'spare',
  }
  await send({ ...fields, base_url: upstream.baseUrl, priority: '-5', proxy: 'ftp://proxy' }, 'Create')
  assert.match(await messageAt('proxy'), /http:\/\//)
  assert.match(await messageAt('base_url'), /private/)
  for (const [field, value] of Object.entries(fields)) assert.equal(await page.inputValue(`#${field}`), value)
  await send({ proxy: '', allow_private: true }, 'Create')
  await says('was added')
  await follow('Edit')
  await send({ name: 'Backup' }, 'Save')
  await page.getByRole('heading', { name: 'Backup', level: 1 }).waitFor()
  await press('Switch off')
  await says('Switched off.')
  await press('Switch on')
  await says('Switched on.')
})

test('a client sees nothing of keys that are limited and of an upstream that stalls and breaks', async () => {
  const openai = client(laptop.value, laptop.baseUrl)
  for (const fault of ['reset_before_headers', 'role_then_hang', 'error_first_event', 'empty_completion']) {
    await upstream.control('faults', { fault, key: keys[0] })
    await upstream.control('faults', { fault: 'rate_limited_seconds', key: keys[1] })
    const channel = `${server.url}/channels/1`
    await page.goto(channel)
    if (await page.getByRole('button', { name: 'Retry all now' }).count()) await press('Retry all now')
    if (fault === 'role_then_hang') {
      await page.goto(`${channel}/edit`)
      await unfold()
      await send({ first_byte_s: '1' }, 'Save')
    }
    const texts = await Promise.all([1, 2, 3, 4, 5, 6].map((number) => streamed(openai, 'smart', `${fault}${number}`, 12)))
    assert.deepEqual(texts, [1, 2, 3, 4, 5, 6].map((number) => expectedText(`${fault}${number}`, 12)))
  }
  for (const key of keys) await upstream.control('faults', { fault: null, key })
})

test('a channel tells what depends on it before it is deleted', async () => {
  await go('/channels/2')
  await follow('Delete')
  await says('Delete the channel “Backup”?')
  await says('backup-walk')
  await press('Yes, delete')
  await says('Deleted.')
  assert.equal(await page.getByRole('link', { name: 'Backup', exact: true }).count(), 0)
})

test('a token is made with every field, shown again after the password, rotated, revoked and deleted', async () => {
  await go('/tokens')
  await follow('New token')
  const fields = { name: 'team', note: 'for the team', models: 'smart\nllama-*', groups: '', cidrs: '127.0.0.0/8', quota_limit: '2.50', requests_per_minute: '100' }
  await page.check('input[name="profile"][value="openclaw"]')
  await page.check('input[name="expiry"][value="month"]', { force: true })
  await send({ ...fields, quota_unit: 'dollars', quota_reset: 'week', cidrs: '10.0.0.0/99' }, 'Create')
  assert.match(await messageAt('cidrs'), /10\.0\.0\.0\/99/)
  assert.equal(await page.inputValue('#models'), fields.models)
  await send({ cidrs: fields.cidrs }, 'Create')
  const first = await page.inputValue('#value')
  const team = client(first, await page.inputValue('#base-url'))
  assert.equal(await streamed(team, 'smart', 'team', 5), expectedText('team', 5))

  // Another session has to confirm the password before it sees the value.
  const other = await openPage(await openContext(browser))
  other.expectedStatuses.add(422)
  await other.goto(`${server.url}/tokens`)
  await send({ name: 'anna', password }, 'Log in', other)
  await other.locator('tr', { hasText: 'for the team' }).getByRole('link', { name: 'team', exact: true }).click()
  await follow('Show value', other)
  await send({ password: 'wrong' }, 'Show value', other)
  assert.match(await messageAt('password', other), /not your password/)
  await send({ password }, 'Show value', other)
  assert.equal(await other.inputValue('#value'), first)
  await press('Log out', other)
  await other.context().close()

  await follow('To the token')
  const tokenPage = page.url()
  await send({ grace: 'hour' }, 'Make a new value')
  const second = await page.inputValue('#value')
  assert.notEqual(second, first)
  const renewed = client(second, laptop.baseUrl)
  await streamed(renewed, 'smart', 'new', 3)
  await streamed(team, 'smart', 'old', 3)
  await page.goto(tokenPage)
  await page.locator('summary', { hasText: 'End now' }).click()
  await press('Yes, end it')
  await refused(team)
  await press('Switch off')
  await refused(renewed)
  await press('Switch on')
  await streamed(renewed, 'smart', 'again', 3)
  await follow('Delete')
  await says('Requests in the last 7 days')
  await press('Yes, delete')
  await refused(renewed)
})

test('the log is filtered in the address, paged and downloaded', async () => {
  const openai = client(laptop.value, laptop.baseUrl)
  for (let round = 0; round < 10; round += 1) {
    await Promise.all([0, 1, 2, 3, 4, 5].map((number) => openai.chat.completions.create({ model: 'llama-walk', messages: prompt(`r${number}`, 2) })))
  }
  await assert.rejects(openai.chat.completions.create({ model: 'nobody', messages: prompt('x', 1) }), OpenAI.NotFoundError)
  await page.waitForTimeout(1_500)
  await go('/log')
  const rows = page.locator('table tbody tr')
  assert.equal(await rows.count(), 50)
  await follow('Older')
  assert.ok(await rows.count() > 10)
  await follow('Newest')
  await page.locator('details.filters summary').click()
  await send({ model: 'nobo*' }, 'Apply')
  assert.match(page.url(), /model=nobo/)
  assert.equal(await rows.count(), 1)
  assert.match(await rows.innerText(), /404/)
  await page.reload()
  assert.equal(await page.inputValue('#model'), 'nobo*')
  await send({ model: 'llama-walk' }, 'Apply')
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download CSV' }).click()])
  const csv = await readFile(await download.path(), 'utf8')
  assert.ok(csv.trim().split('\n').length >= 61, csv)
  assert.ok(csv.includes('laptop') && !csv.includes(laptop.value))
  await send({ status: 'abc' }, 'Apply')
  assert.match(await messageAt('status'), /429/)
  assert.equal(await page.inputValue('#status'), 'abc')
})

test('usage is summed up per token, channel, key and model', async () => {
  await go('/usage')
  for (const [tab, name] of [['Token', 'laptop'], ['Channel', 'Walk'], ['Key', '…0003'], ['Model asked for', 'smart'], ['Upstream model', 'llama-walk']]) {
    await follow(tab)
    const names = await page.locator('table.cards tbody tr td.name').allInnerTexts()
    assert.ok(names.some((one) => one.includes(name)), `${tab}: ${names}`)
  }
  assert.ok(await page.locator('svg.chart rect').count() > 0)
})

test('the OpenClaw page gives a configuration that parses, and the command that applies it', async () => {
  await go('/openclaw')
  const config = JSON.parse(await page.locator('#file').innerText())
  const [provider] = Object.values(config.models.providers)
  assert.equal(provider.baseUrl, laptop.baseUrl)
  assert.ok(provider.models.some((model) => model.id === 'smart'))
  assert.match(await page.locator('#apply').innerText(), /openclaw config patch/)
  const answer = await fetch(`${server.url}/openclaw.json5`, { headers: { authorization: `Bearer ${laptop.value}` } })
  assert.equal(answer.status, 200)
  const copied = page.waitForResponse((response) => response.url().includes('/openclaw/copied'))
  await page.locator('[data-copy="#file"]').click()
  await page.getByRole('button', { name: 'Copied' }).waitFor()
  assert.deepEqual(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())), config)
  assert.equal((await copied).status(), 204)
  await go('/openclaw')
  await says('Nothing has changed.')
})

test('settings are changed, refused and locked', async () => {
  await go('/settings')
  assert.ok(await page.locator('#MAX_ATTEMPTS').isDisabled())
  await says('MAX_ATTEMPTS is set in the environment')
  await page.locator('form[action="/settings"]').evaluate((form) => { form.noValidate = true })
  await send({ RETENTION_DAYS: '0', PUBLIC_URL: 'https://pool.example.com' }, 'Save')
  assert.match(await messageAt('RETENTION_DAYS'), /1 to 3650/)
  assert.equal(await page.inputValue('#PUBLIC_URL'), 'https://pool.example.com')
  await send({ RETENTION_DAYS: '45' }, 'Save')
  await says('Saved.')
  assert.equal(await page.inputValue('#RETENTION_DAYS'), '45')
  await go('/openclaw')
  assert.match(await page.locator('#file').innerText(), /https:\/\/pool\.example\.com\/v1/)
})

test('language and theme are switched', async () => {
  await go('/channels')
  await Promise.all([page.waitForNavigation(), page.selectOption('select[name="language"]', 'zh')])
  assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN')
  await page.getByRole('heading', { name: '渠道', level: 1 }).waitFor()
  await Promise.all([page.waitForNavigation(), page.selectOption('select[name="theme"]', 'dark')])
  assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark')
  await Promise.all([page.waitForNavigation(), page.selectOption('select[name="language"]', 'en')])
  await page.getByRole('heading', { name: 'Channels', level: 1 }).waitFor()
})

test('a change of the password ends the other sessions; one session can be ended too', async () => {
  const open = async () => {
    const other = await openPage(await openContext(browser))
    await other.goto(`${server.url}/login`)
    await send({ name: 'anna', password }, 'Log in', other)
    // Away from the overview, which sees by itself that its session has ended.
    await other.goto(`${server.url}/account`)
    return other
  }
  const [second, third] = [await open(), await open()]
  await go('/account')
  assert.equal(await page.locator('tbody tr').count(), 3)
  await Promise.all([page.waitForNavigation(), page.locator('tbody tr').getByRole('button').first().click()])
  await says('The session has ended.')
  await follow('Change password')
  await send({ current: 'wrong', password: 'a new long password', repeat: 'a new long password' }, 'Change password')
  assert.match(await messageAt('current'), /not your current/)
  await send({ current: password, password: 'a new long password', repeat: 'a new long password' }, 'Change password')
  await says('all other sessions have ended')
  for (const other of [second, third]) {
    await other.goto(`${server.url}/channels`)
    assert.match(other.url(), /\/login/)
    await other.context().close()
  }
  await go('/account')
  assert.equal(await page.locator('tbody tr').count(), 1)
})

test('logging out ends the session', async () => {
  await press('Log out')
  await go('/tokens')
  assert.match(page.url(), /\/login\?next=%2Ftokens/)
  assertNoProblems(page, 'the walk')
})

test('the keyboard alone logs in and makes a token', async () => {
  const keyboard = page.keyboard
  /** Moves the focus on until it stands on an element; fails when there is none. */
  const reach = async (selector) => {
    for (let presses = 0; presses < 80; presses += 1) {
      if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return
      await keyboard.press('Tab')
    }
    assert.fail(`the Tab key does not reach ${selector}`)
  }
  await go('/login?next=%2Ftokens')
  await reach('#name')
  await keyboard.type('anna')
  await keyboard.press('Tab')
  await keyboard.type('a new long password')
  await Promise.all([page.waitForNavigation(), keyboard.press('Enter')])
  await keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to content')
  await keyboard.press('Enter')
  await reach('a[href="/tokens/new"]')
  await Promise.all([page.waitForNavigation(), keyboard.press('Enter')])
  await reach('#name')
  await keyboard.type('by hand')
  await reach('#models')
  await keyboard.type('smart')
  await reach('input[name="expiry"]:checked')
  await keyboard.press('ArrowRight')
  await reach('form[action^="/tokens"] button.primary')
  await Promise.all([page.waitForNavigation(), keyboard.press('Enter')])
  assert.match(await page.inputValue('#value'), /^sk-/)
})

test('too many wrong passwords make the visitor wait', async () => {
  const visitor = await openPage(await openContext(browser))
  visitor.expectedStatuses.add(422)
  visitor.expectedStatuses.add(429)
  await visitor.goto(`${server.url}/login`)
  for (let tries = 0; tries < 11; tries += 1) await send({ name: 'mallory', password: 'guess' }, 'Log in', visitor)
  await says('Too many tries', visitor)
  assertNoProblems(visitor, 'the login')
  await visitor.context().close()
})

test('the main walk works without scripts', async () => {
  const plainServer = await startOnePool()
  const plain = await openPage(await openContext(browser, { javaScript: false, language: 'zh-CN' }))
  plain.expectedStatuses.add(422)
  try {
    await plain.goto(plainServer.setupUrl)
    await send({ name: '安娜', password, repeat: password }, '继续', plain)
    await unfold(plain)
    await send({ name: '渠道一', base_url: upstream.baseUrl, keys: keys.join(' '), redirects: 'smart = llama-walk', allow_private: true }, '继续', plain)
    await says('3 个密钥，3 个模型', plain)
    await press('创建令牌', plain)
    await says('正在等待第一次调用', plain)
    const openai = client(await plain.inputValue('#token-value'), await plain.inputValue('#base-url'))
    assert.equal(await streamed(openai, 'smart', 'plain', 9), expectedText('plain', 9))
    // Without scripts the page asks again by itself every few seconds.
    await plain.locator('#waiting.ok').waitFor({ timeout: 30_000 })
    await plain.goto(`${plainServer.url}/log`)
    const row = plain.locator('table tbody tr').first()
    assert.match(await row.innerText(), /200[\s\S]*第一个令牌[\s\S]*smart/)
    await row.getByRole('link').first().click()
    await says('调用过程', plain)
    await plain.goto(`${plainServer.url}/channels`)
    await follow('渠道一', plain)
    await plain.fill('#keys', 'key-plain-0009')
    await press('添加这些密钥', plain)
    await says('已添加 1 个', plain)
    await plain.selectOption('select[name="language"] >> nth=0', 'en')
    await press('应用', plain)
    assert.equal(await plain.locator('html').getAttribute('lang'), 'en')
    assertNoProblems(plain, 'without scripts')
  } finally {
    await plain.context().close()
    await plainServer.stop()
  }
})
