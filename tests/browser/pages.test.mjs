// Every page, as it looks after real use: in both languages, light and dark, wide and on a phone. Each is checked for
// accessibility, problems that the browser reports and sideways scroll, and a picture of it is kept. By default in four of the
// eight looks, in which each language meets each theme and each window, and each theme each window; `LOOKS=all` takes all.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { root, startOnePool } from '../js/servers.mjs'
import { adminRoutes, routeOf } from './forms.mjs'
import {
  assertAccessible, assertNoProblems, assertNoSidewaysScroll, openBrowser, openContext, openPage, screenshot, windows,
} from './harness.mjs'
import { password, startWorld } from './world.mjs'

const looks = ['en', 'zh-CN'].flatMap((language) =>
  ['light', 'dark'].flatMap((theme) => Object.keys(windows).map((window) => ({ language, theme, window }))))
  .filter(({ language, theme, window }) => process.env.LOOKS === 'all' ||
    ((language === 'en') !== (theme === 'light')) === (window === 'phone'))
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
  await page.waitForURL((url) => url.pathname === '/')
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
  await page.goto(`${world.server.url}/notifications/new?via=webhook`)
  await page.fill('#name', '值班 · on call')
  await page.fill('#url', 'http://127.0.0.1:9/hook')
  await page.check('#allow_private')
  await page.fill('#secret', 'a word between us')
  await page.press('#name', 'Enter')
  await page.waitForURL('**/notifications/1')
  await page.locator('form[action$="/test"] button').click()
  await page.waitForSelector('.notice.bad')
  // Budgets of a channel and a key, and a price in the table.
  await page.goto(`${world.server.url}/channels/1/edit`)
  await page.evaluate(() => { for (const part of document.querySelectorAll('details')) part.open = true })
  await page.selectOption('#budget_unit', 'requests')
  await page.fill('#budget_limit', '100000')
  await page.locator('main form button.primary').last().click()
  await page.waitForURL('**/channels/1')
  await page.goto(`${world.server.url}/channels/1/keys/1`)
  await page.selectOption('#budget_unit', 'dollars')
  await page.fill('#budget_limit', '2.50')
  await page.press('#label', 'Enter')
  await page.waitForSelector('.notice.ok')
  await page.goto(`${world.server.url}/prices?edit=deepseek-chat`)
  await page.fill('#input', '0.27')
  await page.fill('#output', '1.1')
  await page.press('#output', 'Enter')
  await page.waitForSelector('#own-prices')
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

/** Opens the call with the most attempts on a page of the log. */
async function openMostTried(page) {
  const rows = page.locator('table tbody tr')
  const attempts = await rows.evaluateAll((all) => all.map((row) => Number(row.lastElementChild.textContent.trim())))
  const most = attempts.indexOf(Math.max(...attempts))
  await Promise.all([page.waitForNavigation(), rows.nth(most).locator('a').first().click()])
}

// Name, path, and what to do there before the picture is taken.
const pages = [
  ['channels', '/channels'],
  ['channels-chosen', '/channels', async (page) => {
    await page.locator('input.pick').nth(0).check()
    await page.locator('input.pick').nth(2).check()
    await page.locator('.deeds').waitFor()
  }],
  ['channels-none-found', '/channels?q=nobody'],
  ['channels-delete', '/channels', async (page) => {
    await page.check('[data-chosen-all]')
    await Promise.all([page.waitForNavigation(), page.locator('.deeds button[value="delete"]').click()])
  }],
  ['channels-chosen-gone', '/channels', async (page) => {
    await page.locator('input.pick').first().evaluate((box) => { box.value = '999' })
    await page.locator('input.pick').nth(1).check()
    await page.locator('input.pick').first().check()
    await Promise.all([page.waitForNavigation(), page.locator('.deeds button[value="on"]').click()])
  }],
  ['keys-chosen', '/channels/1', async (page) => {
    await page.check('[data-chosen-all]')
    await page.locator('.deeds').scrollIntoViewIfNeeded()
  }],
  ['keys-delete', '/channels/1', async (page) => {
    await page.check('[data-chosen-all]')
    await Promise.all([page.waitForNavigation(), page.locator('.deeds button[value="delete"]').click()])
  }],
  ['keys-tested', '/channels/2', async (page) => {
    await page.check('[data-chosen-all]')
    await Promise.all([page.waitForNavigation(), page.locator('.deeds button[value="test"]').click()])
  }],
  ['about', '/tokens', async (page) => page.locator('.about summary').click()],
  ['docs', '/docs'],
  ['doc-limits', '/docs/limits'],
  ['doc-cli', '/docs/cli'],
  ['doc-providers', '/docs/providers'],
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
  ['tokens-none-found', '/tokens?q=nobody'],
  ['tokens-delete', '/tokens', async (page) => {
    await page.locator('input.pick').nth(0).check()
    await page.locator('input.pick').nth(1).check()
    await Promise.all([page.waitForNavigation(), page.locator('.deeds button[value="delete"]').click()])
  }],
  ['token-sure', '/tokens/1', async (page) => {
    for (const one of await page.locator('.sure').all()) await one.evaluate((element) => { element.open = true })
  }],
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
  ['log-call', '/log', openMostTried],
  ['log-call-of-turn', '/log?client=openclaw&result=ok', async (page) => {
    await Promise.all([page.waitForNavigation(), page.locator('table tbody tr a').first().click()])
  }],
  ['log-turns', '/log/turns'],
  ['log-turns-filtered', '/log/turns?result=failed&period=7d'],
  ['log-turns-invalid', '/log/turns?trace=abc', null, 422],
  ['log-turns-nothing', '/log/turns?model=nobody'],
  ['log-turn', '/log/turns', async (page) => {
    await Promise.all([page.waitForNavigation(), page.locator('table tbody tr a').first().click()])
  }],
  ['usage', '/usage'],
  ['usage-keys', '/usage?by=key'],
  ['usage-channels', '/usage?by=channel'],
  ['usage-models', '/usage?by=model&metric=tokens&compare=true'],
  ['usage-percentiles', '/usage?by=channel&metric=first_token_p95&period=1h', async (page) => {
    await page.locator('.course details').evaluate((one) => { one.open = true })
  }],
  ['usage-cost', '/usage?by=token&metric=cost&period=7d&compare=true'],
  ['usage-filtered', '/usage?by=upstream&token=1&status=2xx&period=today&sort=cost&dir=asc'],
  ['usage-no-queue', '/usage?by=status&metric=errors&client=nobody'],
  ['usage-invalid', '/usage?from=yesterday&metric=speed', null, 422],
  ['usage-nothing', '/usage?period=range&from=2020-01-01&to=2020-01-02'],
  ['budgets', '/budgets'],
  ['budgets-sure', '/budgets', async (page) => page.locator('.sure summary').first().click()],
  ['account-sure', '/account', async (page) => page.locator('.sure summary').first().click()],
  ['prices-sure', '/prices', async (page) => page.locator('.sure summary').first().click()],
  ['prices', '/prices'],
  ['prices-found', '/prices?q=deepseek&source=preset'],
  ['prices-nothing', '/prices?q=nobody'],
  ['prices-edit', '/prices?edit=deepseek-chat#edit'],
  ['prices-invalid', '/prices?edit=deepseek-chat', async (page) => {
    await page.fill('#input', '一百')
    await page.fill('#units', '<script>=1')
    await submit(page, '#output')
  }, 422],
  ['key-budget-invalid', '/channels/1/keys/1', async (page) => {
    await page.selectOption('#budget_unit', 'dollars')
    await page.fill('#budget_limit', '-1')
    await page.fill('#budget_warn_at', '八十')
    await submit(page, '#label')
  }, 422],
  ['capacity', '/capacity'],
  ['capacity-large', '/capacity?prompt=200000&completion=8000&q=smart'],
  ['capacity-invalid', '/capacity?prompt=many', null, 422],
  ['capacity-nothing', '/capacity?q=nobody'],
  ['overview', '/'],
  ['log-live', '/log?live=true', async (page) => {
    // A call that is under way while the picture is taken.
    void fetch(`${world.server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${world.tokens['团队脚本']}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'smart', stream: true, max_tokens: 400,
        messages: [{ role: 'user', content: 'marker=slow words=40 first=4000 delay=100' }],
      }),
    }).then((answer) => answer.text()).catch(() => {})
    await page.waitForSelector('#under-way')
    const pause = page.locator('[data-live-pause]')
    const label = await pause.textContent()
    await pause.click()
    assert.equal(await pause.textContent(), await pause.getAttribute('data-go-on'))
    assert.equal(await pause.getAttribute('aria-pressed'), null)
    const state = page.locator('[data-live-state]')
    assert.equal(await state.textContent(), await state.getAttribute('data-paused'))
    await pause.click()
    assert.equal(await pause.textContent(), label)
    await pause.click()
  }],
  ['log-live-nothing', '/log?live=true&model=nobody'],
  ['health', '/health'],
  ['health-keys', '/health?by=key'],
  ['health-keys-90d', '/health?by=key&period=90d&state=invalid'],
  ['health-models', '/health?by=model'],
  ['health-nothing', '/health?q=nobody'],
  ['health-diagnostics', '/health/diagnostics'],
  ['health-diagnostics-asked', '/health/diagnostics', async (page) => {
    await submit(page, 'form[action="/health/diagnostics"]')
    await page.locator('[data-stream-test]').click()
    await page.waitForSelector('#stream-result.ok')
    for (const details of await page.locator('main details').all()) await details.evaluate((one) => { one.open = true })
  }],
  ['health-repair', '/health/repair'],
  ['health-looked', '/health/repair', async (page) => {
    await Promise.all([page.waitForNavigation(), page.locator('button[name="do"][value="look"]').click()])
    await page.waitForFunction(() => !document.querySelector('.waiting') && document.querySelectorAll('.findings').length > 3,
      null, { timeout: 120_000 })
  }],
  ['search', '/search'],
  ['search-found', '/search?q=r'],
  ['search-chinese', '/search?q=%E5%9B%A2%E9%98%9F'],
  ['search-nothing', '/search?q=nobody%20%E6%97%A0'],
  ['search-secret', '/search?q=sk-0123456789abcdefghijklmnop'],
  ['search-shortcuts', '/usage', async (page) => {
    await page.keyboard.press('?')
    await page.waitForSelector('#shortcuts[open]')
  }],
  ['routes', '/routes'],
  ['routes-model', '/routes?model=smart'],
  ['routes-token', '/routes?model=smart&token=3'],
  ['routes-refused', '/routes?model=no-such-model&token=1'],
  ['routes-invalid', '/routes?model=smart&token=99&completion=-1', null, 422],
  ['playground', '/playground?token=1'],
  ['playground-open', '/playground?token=2', async (page) => {
    for (const details of await page.locator('main details').all()) await details.evaluate((one) => { one.open = true })
  }],
  ['playground-invalid', '/playground?token=1', async (page) => {
    for (const details of await page.locator('main details').all()) await details.evaluate((one) => { one.open = true })
    await page.fill('#temperature', '很热')
    await page.fill('#tools', '{"not": "a list"}')
    await page.click('#send')
    await page.waitForSelector('#tools-error')
  }, 422],
  ['playground-answered', '/playground?token=2&model=smart', async (page) => {
    await page.fill('#message', '讲个故事 · tell me a story. marker=story words=60 reasoning=6 delay=2')
    await page.click('#send')
    await page.waitForSelector('#result .outcome')
    for (const details of await page.locator('#result details').all()) await details.evaluate((one) => { one.open = true })
  }],
  ['playground-back', '/playground?token=2&model=smart', async (page) => {
    const answer = async (marker) => {
      await page.fill('#message', `marker=${marker} words=5`)
      await page.click('#send')
      await page.waitForSelector('#result .outcome')
    }
    await answer('before')
    await page.goto(`${world.server.url}/account`)
    await page.goBack()
    const [kept, drawn] = await page.evaluate(() => [
      JSON.parse(document.querySelector('#conversation').value || '[]').length, document.querySelectorAll('#messages .said').length,
    ])
    assert.equal(kept, drawn, 'what would be sent is what is shown')
    await answer('after')
    assert.equal(await page.locator('#messages .said').count(), drawn + 2)
  }],
  ['playground-tools', '/playground?token=2&model=smart', async (page) => {
    for (const details of await page.locator('main details').all()) await details.evaluate((one) => { one.open = true })
    await page.fill('#tools', await page.locator('#example-tools').textContent())
    await page.setInputFiles('#pictures', {
      name: '图.png', mimeType: 'image/png',
      buffer: Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64'),
    })
    await page.fill('#message', 'What is the weather there? marker=w words=4 tool=1')
    await page.click('#send')
    await page.waitForSelector('#answers textarea')
    await page.waitForSelector('#result .outcome')
  }],
  ['playground-failed', '/playground?token=1&model=no-such-model', async (page) => {
    await page.fill('#message', 'hello')
    await page.click('#send')
    await page.waitForSelector('#failed:not([hidden])')
    await page.waitForSelector('#result .outcome')
  }],
  ['token-capturing', '/tokens/2', async (page) => {
    await Promise.all([page.waitForNavigation(), page.locator('form[action$="/capture"] button').click()])
  }],
  ['log-call-captured', '/playground?token=2&model=smart', async (page) => {
    await page.fill('#message', 'marker=captured words=30 my key is sk-abcdefghij0123456789')
    await page.click('#send')
    await page.waitForSelector('#result .outcome')
    await Promise.all([page.waitForNavigation(), page.locator('#result a[href^="/log/"]').click()])
    for (let tries = 0; tries < 20 && !(await page.locator('#captured').count()); tries++) await page.reload()
    assert.equal(await page.locator('#captured').count(), 1)
    for (const details of await page.locator('#captured details').all()) await details.evaluate((one) => { one.open = true })
  }],
  ['token-captured', '/tokens/2', async (page) => {
    await Promise.all([page.waitForNavigation(), page.locator('form[action$="/capture/stop"] button').click()])
  }],
  ['token-capture-erased', '/tokens/2', async (page) => {
    await page.locator('.sure:has(form[action$="/capture/erase"]) summary').click()
    await Promise.all([page.waitForNavigation(), page.locator('form[action$="/capture/erase"] button').click()])
  }],
  ['openclaw', '/openclaw?token=1'],
  ['openclaw-chosen', '/openclaw?token=1&model=smart&model=fast&alias=smart:s&provider=pool&variable=POOL_KEY'],
  ['openclaw-changed', '/openclaw?token=1&model=fast&alias=fast:quick', async (page) => {
    await page.goto(page.url().replace('model=fast&alias=fast:quick', 'model=smart&model=fast&alias=smart:s'))
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('a[download]').click()])
    await download.path()
    await page.goBack()
    await page.reload()
  }],
  ['openclaw-invalid', '/openclaw?token=1&model=smart&alias=smart:7&image_model=fast&provider=openai&bogus=1', null, 422],
  ['openclaw-media', '/openclaw?token=1&part=media'],
  ['models', '/upstream-models'],
  ['models-found', '/upstream-models?q=deepseek&show=free'],
  ['models-asked', '/upstream-models', async (page) => submit(page, 'form[action="/upstream-models/refresh"]')],
  ['notifications', '/notifications'],
  ['notification-choose', '/notifications/new'],
  ...['webhook', 'email', 'telegram', 'bark', 'serverchan', 'dingtalk', 'feishu', 'wecom']
    .map((via) => [`notification-new-${via}`, `/notifications/new?via=${via}`]),
  ['notification-invalid', '/notifications/new?via=webhook', async (page) => {
    await page.fill('#url', 'http://127.0.0.1:9/hook')
    await page.fill('#header', 'two words')
    await page.fill('#group_minutes', 'soon')
    await page.fill('#quiet_hours', '<script>alert(1)</script>')
    for (const box of await page.locator('input[name="event"]').all()) await box.uncheck()
    await page.locator('form[action="/notifications/new"]').evaluate((form) => { form.noValidate = true })
    await submit(page, '#url')
  }, 422],
  ['notification-invalid-email', '/notifications/new?via=email', async (page) => {
    await page.fill('#name', '邮件 '.repeat(60))
    await page.fill('#server', 'smtp example')
    await page.fill('#port', '99999')
    await page.fill('#from', 'nobody')
    await page.fill('#to', '值班')
    await page.fill('#secret', 'a password')
    await page.locator('form[action="/notifications/new"]').evaluate((form) => { form.noValidate = true })
    await submit(page, '#server')
  }, 422],
  ['notification-invalid-telegram', '/notifications/new?via=telegram', async (page) => {
    await page.fill('#name', 'bot')
    await page.fill('#chat', 'ops room')
    await page.fill('#secret', 'x')
    await page.fill('#digest_hour', '25')
    await page.locator('form[action="/notifications/new"]').evaluate((form) => { form.noValidate = true })
    await submit(page, '#chat')
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

test('every page of the sources is among those above', async () => {
  const { get } = await adminRoutes(path.join(root, 'src/web/admin'))
  const looked = new Set([...pages.map(([, address]) => address), '/login', '/setup']
    .map((address) => routeOf(new URL(address, world.server.url).pathname, get)))
  const missed = []
  for (const route of get.filter((one) => !looked.has(one))) {
    // What has no look of its own: it sends on, is a file, or a part of a page.
    const address = route.replace('{kind}', 'key').replace('{request_id}', '00000000').replace(/\{\w+\}/g, '1')
    const response = await fetch(world.server.url + address, { headers: { cookie: world.operator.cookie }, redirect: 'manual' })
    const isPage = response.status < 300 && response.headers.get('content-type')?.startsWith('text/html')
    if (!isPage) await response.body?.cancel()
    else if (/<main/.test(await response.text())) missed.push(route)
  }
  assert.deepEqual(missed, [], 'pages that nobody looks at')
})

test('every page has its content without JavaScript, on a phone too', async () => {
  const context = await openContext(browser, { window: 'phone', javaScript: false, storageState })
  const complaints = []
  try {
    const page = await openPage(context)
    for (const [name, address, act, expectedStatus] of pages.filter(([, , act]) => !act)) {
      if (expectedStatus) page.expectedStatuses.add(expectedStatus)
      const response = await page.goto(world.server.url + address)
      try {
        assert.equal(response.status(), expectedStatus ?? 200, name)
        assert.ok((await page.locator('main').innerText()).trim().length > 30, `${name}: content`)
        await assertNoSidewaysScroll(page, name)
        assertNoProblems(page, name)
      } catch (error) {
        complaints.push(error.message)
      }
    }
  } finally {
    await context.close()
  }
  assert.equal(complaints.length, 0, complaints.join('\n\n'))
})

test('the README has the pictures that this makes', async () => {
  const shown = {
    overview: '/', usage: '/usage?by=key', channels: '/channels', health: '/health?by=key', call: '/log?result=ok',
  }
  const images = path.join(root, 'docs/images')
  // The work tree stays as it is, unless somebody asks for new pictures.
  const folder = process.env.UPDATE_SCREENSHOTS ? images : await mkdtemp(path.join(tmpdir(), 'onepool-images-'))
  try {
    for (const [language, suffix] of [['en', ''], ['zh-CN', '.zh-CN']]) {
      const context = await openContext(browser, { language, theme: 'light', window: 'desktop', storageState })
      const page = await openPage(context)
      for (const [name, address] of Object.entries(shown)) {
        await page.goto(world.server.url + address)
        if (name === 'call') await openMostTried(page)
        await page.mouse.move(0, 0)
        const file = path.join(folder, `${name}${suffix}.png`)
        await page.screenshot({ path: file, animations: 'disabled', caret: 'hide' })
        assert.ok((await stat(file)).size < 150 << 10, `${file} is too large`)
      }
      await context.close()
    }
    for (const readme of ['README.md', 'README.zh-CN.md']) {
      const text = await readFile(path.join(root, readme), 'utf8')
      const named = [...text.matchAll(/\]\(docs\/images\/([^)]+)\)/g)].map(([, file]) => file).sort()
      const suffix = readme === 'README.md' ? '' : '.zh-CN'
      for (const name of Object.keys(shown)) assert.ok(named.includes(`${name}${suffix}.png`), `${readme} shows ${name}`)
      const there = (await readdir(images)).filter((file) => file.includes('.zh-CN') === (suffix !== '')).sort()
      assert.deepEqual(named, there, `${readme} shows what docs/images has`)
    }
  } finally {
    if (folder !== images) await rm(folder, { recursive: true })
  }
})
