// Every page, as it looks after real use: in both languages, light and dark, wide and on a phone. Each is checked for
// accessibility, problems that the browser reports and sideways scroll, and a picture of it is kept.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startOnePool } from '../js/servers.mjs'
import {
  assertAccessible, assertNoProblems, assertNoSidewaysScroll, openBrowser, openContext, openPage, screenshot, windows,
} from './harness.mjs'
import { password, startWorld } from './world.mjs'

const looks = ['en', 'zh-CN'].flatMap((language) =>
  ['light', 'dark'].flatMap((theme) => Object.keys(windows).map((window) => ({ language, theme, window }))))
let world
let fresh
let browser
let storageState

before(async () => {
  browser = await openBrowser()
  fresh = await startOnePool()
  world = await startWorld()
  const context = await openContext(browser)
  const page = await openPage(context)
  await page.goto(`${world.server.url}/login`)
  await page.fill('#name', 'admin')
  await page.fill('#password', password)
  await page.press('#password', 'Enter')
  await page.waitForURL('**/channels')
  // What rests, and a key that was tested.
  await page.goto(`${world.server.url}/channels/2`)
  await page.locator('form[action$="/test"] button').nth(1).click()
  await page.waitForSelector('#last-check')
  // An access token, so that the account page lists one.
  await page.goto(`${world.server.url}/account/access-tokens/new`)
  await page.fill('#name', 'deploy · 部署')
  await page.fill('#password', password)
  await page.press('#password', 'Enter')
  await page.waitForSelector('#value')
  // Somebody to notify, of whom a test says that he is away.
  await page.goto(`${world.server.url}/notifications/new`)
  await page.fill('#name', '值班 · on call')
  await page.fill('#url', 'http://127.0.0.1:9/hook')
  await page.check('#allow_private')
  await page.fill('#secret', 'a word between us')
  await page.press('#name', 'Enter')
  await page.waitForURL('**/notifications/1')
  await page.locator('form[action$="/test"] button').click()
  await page.waitForSelector('.notice.bad')
  // A pause of a key, and of a model.
  await page.goto(`${world.server.url}/channels/1/keys/2`)
  await page.locator('form[action$="/pause"] button').nth(1).click()
  await page.waitForSelector('.notice.ok')
  await page.goto(`${world.server.url}/channels/3`)
  await page.selectOption('#pause-model', 'deepseek-chat')
  await page.locator('form[action$="/pause"] button').nth(2).click()
  await page.waitForSelector('.notice.ok')
  storageState = await context.storageState()
  await context.close()
})

after(async () => {
  await browser?.close()
  await world?.stop()
  await fresh?.stop()
})

/** Submits the form that holds a field or leads to an address. */
const submit = (page, form) => Promise.all([
  page.waitForNavigation(),
  page.locator(form).first().evaluate((element) => (element.form ?? element).requestSubmit()),
])

// Name, path, and what to do there before the picture is taken.
const pages = [
  ['channels', '/channels'],
  ['channel', '/channels/1'],
  ['channel-paid', '/channels/3'],
  ['channel-new', '/channels/new'],
  ['channel-new-preset', '/channels/new?provider=openrouter'],
  ['channel-edit-open', '/channels/1/edit', async (page) => {
    for (const details of await page.locator('main details').all()) await details.evaluate((one) => { one.open = true })
  }],
  ['channel-invalid', '/channels/new', async (page) => {
    for (const details of await page.locator('main details').all()) await details.evaluate((one) => { one.open = true })
    await page.fill('#name', '通义 千问')
    await page.fill('#base_url', 'ftp://dashscope.example/v1?x=1')
    await page.fill('#redirects', 'no arrow here')
    await page.locator('#priority').evaluate((input) => { input.value = 'high' })
    await page.locator('#headers').evaluate((input) => { input.value = 'Host: a' })
    await page.locator('form[action="/channels/new"]').evaluate((form) => { form.noValidate = true })
    await submit(page, 'form[action="/channels/new"]')
  }, 422],
  ['channel-pasted', '/channels/4', async (page) => {
    await page.fill('#keys', 'sk-or-demo-11f3\nabc\nOPENROUTER_KEY=sk-or-demo-11f3\nEMPTY=\nsk-or-密钥-0001')
    await submit(page, 'form[action$="/keys"]')
  }],
  ['channel-paste-nothing', '/channels/4', async (page) => {
    await page.fill('#keys', '# nothing here')
    await submit(page, 'form[action$="/keys"]')
  }, 422],
  ['channel-models-invalid', '/channels/3', async (page) => {
    await page.locator('input[name="input"]').first().fill('1,5')
    await page.locator('input[name="context"]').first().fill('many')
    await submit(page, 'form[action$="/models"]')
  }, 422],
  ['channel-models-fetched', '/channels/1', async (page) => submit(page, 'form[action$="/models/fetch"]')],
  ['channel-models-not-fetched', '/channels/5', async (page) => submit(page, 'form[action$="/models/fetch"]'), 502],
  ['channel-limits', '/channels/1/limits'],
  ['channel-limits-none', '/channels/2/limits'],
  ['channel-limits-invalid', '/channels/1/limits', async (page) => {
    await page.locator('input[name="amount"]').nth(2).fill('many')
    await page.locator('input[name="window"]').first().fill('sometimes')
    await submit(page, 'form[action$="/limits"]')
  }, 422],
  ['channel-delete', '/channels/3/delete'],
  ['key', '/channels/2/keys/6'],
  ['key-paused', '/channels/1/keys/2'],
  ['key-limited', '/channels/1/keys/3'],
  ['key-tested', '/channels/2/keys/5'],
  ['key-limits', '/channels/1/keys/1/limits'],
  ['key-delete', '/channels/2/keys/5/delete'],
  ['models', '/upstream-models'],
  ['models-new', '/upstream-models?show=new'],
  ['models-nothing', '/upstream-models?q=nobody'],
  ['ranking', '/ranking'],
  ['ranking-open', '/ranking?chain=auto', async (page) => {
    for (const details of (await page.locator('main details').all()).slice(0, 3)) {
      await details.evaluate((one) => { one.open = true })
    }
  }],
  ['ranking-coding', '/ranking?chain=auto:coding&q=llama'],
  ['ranking-vision-off', '/ranking?chain=auto:vision'],
  ['ranking-fast', '/ranking?chain=auto:fast'],
  ['ranking-left-out', '/ranking?chain=auto:fast&why=price_unknown&out=gpt'],
  ['ranking-pin-unknown', '/ranking', async (page) => {
    await page.fill('#model', 'llama3.3 70b verstile')
    await submit(page, '#model')
  }, 422],
  ['ranking-wishes-invalid', '/ranking', async (page) => {
    await page.fill('#most_models', 'many')
    await submit(page, '#most_models')
  }, 422],
  ['ranking-weights', '/ranking/weights'],
  ['ranking-weights-invalid', '/ranking/weights', async (page) => {
    await page.fill('#capability', '101')
    await page.fill('#speed', 'fast')
    await submit(page, '#capability')
  }, 422],
  ['ranking-names', '/ranking/names'],
  ['ranking-names-nothing', '/ranking/names?q=nobody'],
  ['ranking-names-invalid', '/ranking/names', async (page) => {
    await page.fill('#name', 'two words')
    await submit(page, '#name')
  }, 422],
  ['chains', '/chains'],
  ['chain', '/chains/1'],
  ['chain-nested', '/chains/2'],
  ['chain-new', '/chains/new'],
  ['chain-rearranged', '/chains/1', async (page) => {
    await Promise.all([page.waitForNavigation(), page.locator('button[value="up-1"]').click()])
  }],
  ['chain-invalid', '/chains/new', async (page) => {
    await page.fill('#name', '有 空格')
    await page.locator('input[name="model"]').first().fill('smart')
    await page.locator('input[name="spill"]').first().fill('soon')
    await page.locator('input[name="model"]').nth(1).fill('SMART')
    await submit(page, '#name')
  }, 422],
  ['chain-delete', '/chains/1/delete'],
  ['tokens', '/tokens'],
  ['token-new', '/tokens/new'],
  ['token-invalid', '/tokens/new', async (page) => {
    await page.fill('#name', '')
    await page.check('input[name="value_source"][value="given"]')
    await page.fill('#value', 'too short')
    await page.fill('#models', 'gpt-*-mini')
    await page.fill('#cidrs', '10.0.0.0/99')
    await page.fill('#quota_limit', '1,5')
    await page.selectOption('#quota_unit', 'dollars')
    await page.locator('form[action="/tokens/new"], form:has(#cidrs)').first()
      .evaluate((form) => { form.noValidate = true })
    await submit(page, '#cidrs')
  }, 422],
  ['token', '/tokens/1'],
  ['token-script', '/tokens/2'],
  ['token-confirm', '/tokens/2/value'],
  ['token-value', '/tokens/1/value', async (page) => {
    if (await page.locator('#password').count()) {
      await page.fill('#password', password)
      await submit(page, '#password')
    }
  }],
  ['token-delete', '/tokens/2/delete'],
  ['log', '/log'],
  ['log-filtered', '/log?result=failed&period=7d'],
  ['log-invalid', '/log?from=yesterday&status=abc', null, 422],
  ['log-nothing', '/log?model=nobody'],
  ['log-call', '/log', async (page) => {
    // The call with the most attempts on this page.
    const rows = page.locator('table tbody tr')
    const attempts = await rows.evaluateAll((all) => all.map((row) => Number(row.lastElementChild.textContent.trim())))
    const most = attempts.indexOf(Math.max(...attempts))
    await Promise.all([page.waitForNavigation(), rows.nth(most).locator('a').first().click()])
  }],
  ['usage', '/usage'],
  ['usage-keys', '/usage?by=key'],
  ['usage-channels', '/usage?by=channel'],
  ['usage-models', '/usage?by=model'],
  ['usage-nothing', '/usage?period=range&from=2020-01-01&to=2020-01-02'],
  ['capacity', '/capacity'],
  ['capacity-large', '/capacity?prompt=200000&completion=8000&q=smart'],
  ['capacity-invalid', '/capacity?prompt=many', null, 422],
  ['capacity-nothing', '/capacity?q=nobody'],
  ['health', '/health'],
  ['health-looked', '/health', async (page) => {
    await Promise.all([page.waitForNavigation(), page.locator('button[name="do"][value="look"]').click()])
    await page.waitForFunction(() => !document.querySelector('.waiting') && document.querySelectorAll('.findings').length > 3,
      null, { timeout: 120_000 })
  }],
  ['routes', '/routes'],
  ['routes-model', '/routes?model=smart'],
  ['routes-token', '/routes?model=smart&token=3'],
  ['routes-refused', '/routes?model=no-such-model&token=1'],
  ['routes-invalid', '/routes?model=smart&token=99&completion=-1', null, 422],
  ['openclaw', '/openclaw?token=1'],
  ['models', '/upstream-models'],
  ['models-found', '/upstream-models?q=deepseek&show=free'],
  ['models-asked', '/upstream-models', async (page) => submit(page, 'form[action="/upstream-models/refresh"]')],
  ['notifications', '/notifications'],
  ['notification-new', '/notifications/new'],
  ['notification-invalid', '/notifications/new', async (page) => {
    await page.fill('#url', 'http://127.0.0.1:9/hook')
    await page.fill('#header', 'two words')
    for (const box of await page.locator('input[name="event"]').all()) await box.uncheck()
    await page.locator('form[action="/notifications/new"]').evaluate((form) => { form.noValidate = true })
    await submit(page, '#url')
  }, 422],
  ['notification', '/notifications/1'],
  ['notification-delete', '/notifications/1/delete'],
  ['settings', '/settings'],
  ['settings-invalid', '/settings', async (page) => {
    await page.fill('#RETENTION_DAYS', '0')
    await page.locator('form[action="/settings"]').evaluate((form) => { form.noValidate = true })
    await submit(page, 'form[action="/settings"]')
  }, 422],
  ['account', '/account'],
  ['account-password', '/account/password'],
  ['account-access-token', '/account/access-tokens/new'],
  ['account-access-token-invalid', '/account/access-tokens/new', async (page) => {
    await page.locator('form[action="/account/access-tokens/new"]').evaluate((form) => { form.noValidate = true })
    await submit(page, 'form[action="/account/access-tokens/new"]')
  }, 422],
  ['api', '/api'],
  ['api-open', '/api', async (page) => {
    for (const details of (await page.locator('details.operation').all()).slice(0, 6)) {
      await details.evaluate((one) => { one.open = true })
    }
  }],
  ['setup-channel', '/setup/channel'],
  ['setup-channel-preset', '/setup/channel?provider=modelscope', async (page) => {
    for (const details of await page.locator('main details').all()) await details.evaluate((one) => { one.open = true })
  }],
  ['setup-token', '/setup/token'],
  ['setup-waiting', '/setup/waiting?token=4'],
  ['setup-called', '/setup/waiting?token=1'],
  ['not-found', '/nowhere', null, 404],
]

for (const look of looks) {
  const label = `${look.language}-${look.theme}-${look.window}`
  test(`every page looks right: ${label}`, async () => {
    const complaints = []
    const visit = async (context, origin, [name, path, act, expectedStatus]) => {
      const page = await openPage(context)
      const title = `${name}-${label}`
      try {
        if (expectedStatus) page.expectedStatuses.add(expectedStatus)
        const response = await page.goto(origin + path)
        if (!act) assert.equal(response.status(), expectedStatus ?? 200, `${title}: status`)
        if (act) await act(page)
        assert.match(await page.locator('html').getAttribute('lang'), look.language === 'en' ? /^en/ : /^zh/, title)
        await screenshot(page, title)
        for (const check of [assertNoProblems, assertNoSidewaysScroll, assertAccessible]) await check(page, title)
      } catch (error) {
        complaints.push(`${title}: ${error.message}`)
      } finally {
        await page.close()
      }
    }
    const wanted = process.env.ONLY_PAGES?.split(',')
    const chosen = (all) => all.filter(([name]) => !wanted || wanted.some((prefix) => name.startsWith(prefix)))
    const operator = await openContext(browser, { ...look, storageState })
    for (const page of chosen(pages)) await visit(operator, world.server.url, page)
    await operator.close()
    const visitor = await openContext(browser, look)
    const setUp = fresh.setupUrl.slice(fresh.url.length)
    for (const page of chosen([
      ['login', '/login'],
      ['login-wrong', '/login', async (page) => {
        await page.fill('#name', `nobody-${label}`)
        await page.fill('#password', 'wrong')
        await submit(page, '#password')
      }, 422],
    ])) await visit(visitor, world.server.url, page)
    for (const page of chosen([
      ['setup-account', setUp],
      ['setup-account-invalid', setUp, async (page) => {
        await page.fill('#name', 'anna')
        await page.fill('#password', 'short')
        await page.fill('#repeat', 'other')
        await page.locator('form[action="/setup"]').evaluate((form) => { form.noValidate = true })
        await submit(page, 'form[action="/setup"]')
      }, 422],
      ['setup-link-wrong', '/setup?code=wrong', null, 403],
      ['setup-not-yet', '/channels', null, 403],
    ])) await visit(visitor, fresh.url, page)
    await visitor.close()
    assert.equal(complaints.length, 0, complaints.join('\n\n'))
  })
}
