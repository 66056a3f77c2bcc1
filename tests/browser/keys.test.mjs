// The search and the keyboard, in a real browser: what a press leads to, when it leads nowhere, and what comes out of the printer.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startOnePool } from '../js/servers.mjs'
import { assertNoProblems, openBrowser, openContext, openPage } from './harness.mjs'

const password = 'correct horse battery staple'
let browser
let server
let context
let page

before(async () => {
  browser = await openBrowser()
  server = await startOnePool({ ADMIN_PASSWORD: password })
  context = await openContext(browser)
  page = await openPage(context)
  await page.goto(`${server.url}/login`)
  await page.fill('#name', 'admin')
  await page.fill('#password', password)
  await page.press('#password', 'Enter')
  await page.waitForURL((url) => url.pathname === '/')
})

after(async () => {
  await browser?.close()
  await server?.stop()
})

const go = (path) => page.goto(server.url + path)
const at = (path) => page.waitForURL((url) => url.pathname + url.search === path)
const focused = () => page.evaluate(() => document.activeElement?.id)
const isOpen = () => page.locator('#shortcuts').evaluate((dialog) => dialog.open)

test('a slash leads to the search from every page, Enter finds, and Escape empties and leaves the field', async () => {
  for (const path of ['/', '/channels', '/settings', '/usage']) {
    await go(path)
    await page.keyboard.press('/')
    assert.equal(await focused(), 'search', path)
    assert.equal(await page.inputValue('#search'), '', 'the slash itself is not typed')
  }
  await page.keyboard.type('diagn')
  await page.keyboard.press('Enter')
  await at('/search?q=diagn')
  await page.locator('#found a[href="/health/diagnostics"]').waitFor()
  await page.focus('#search')
  await page.keyboard.press('Escape')
  assert.deepEqual([await page.inputValue('#search'), await focused()], ['', 'search'])
  await page.keyboard.press('Escape')
  assert.notEqual(await focused(), 'search')
})

test('the page of the search follows what is typed, and never with the value of a token', async () => {
  const value = 'sk-abcdefghijklmnopqrstuvwxyz0123456789'
  await go('/tokens/new')
  await page.fill('#name', 'laptop')
  await page.check('input[name="value_source"][value="given"]')
  await page.fill('#value', value)
  await page.press('#name', 'Enter')
  await page.waitForURL('**/tokens/1/value')
  await go('/search')
  await page.focus('#search')
  await page.keyboard.type('lapt')
  await page.locator('#found a[href="/tokens/1"]').waitFor()
  await at('/search?q=lapt')
  await page.fill('#search', value)
  await page.getByText('This value belongs to:').waitFor()
  await at('/search')
  await page.press('#search', 'Enter')
  await page.getByText('This value belongs to:').waitFor()
  assert.equal(page.url().includes('sk-'), false)
  assert.equal((await page.content()).includes(value), false)
})

test('g and a letter lead to every page of the navigation, and n to what is new', async () => {
  await go('/')
  const links = await page.locator('a.nav').evaluateAll((all) => all.map((link) => [link.dataset.go, link.getAttribute('href')]))
  assert.equal(links.length, 15)
  for (const [key, href] of links) {
    await page.keyboard.press('g')
    await Promise.all([page.waitForNavigation(), page.keyboard.press(key)])
    assert.equal(new URL(page.url()).pathname, href)
  }
  for (const [path, href] of [
    ['/channels', '/channels/new'], ['/chains', '/chains/new'], ['/tokens', '/tokens/new'],
    ['/notifications', '/notifications/new'], ['/account', '/account/access-tokens/new'],
  ]) {
    await go(path)
    await page.keyboard.press('n')
    await at(href)
  }
  await go('/tokens')
  await page.keyboard.press('e')
  assert.equal(await page.evaluate(() => document.activeElement.dataset.filter), '#tokens')
})

test('nothing happens while somebody types, with Ctrl, Alt or Meta, or later than a moment after g', async () => {
  await go('/tokens')
  const filter = page.locator('[data-filter]')
  await filter.fill('')
  await filter.pressSequentially('gc?n/')
  assert.equal(await filter.inputValue(), 'gc?n/')
  assert.equal(await isOpen(), false)
  await filter.evaluate((element) => element.blur())
  for (const combination of ['Control+?', 'Alt+n', 'Meta+n', 'Control+g']) await page.keyboard.press(combination)
  await page.keyboard.press('c')
  assert.equal(new URL(page.url()).pathname, '/tokens')
  assert.equal(await isOpen(), false)
})

test('a question mark opens the shortcuts, Escape and the button close them, and a box switches them off', async () => {
  await go('/channels')
  await page.focus('a.nav >> nth=3')
  await page.keyboard.press('?')
  assert.equal(await isOpen(), true)
  assert.equal(await page.evaluate(() => document.querySelector('#shortcuts').contains(document.activeElement)), true)
  await page.keyboard.press('g')
  await page.keyboard.press('t')
  assert.equal(new URL(page.url()).pathname, '/channels', 'shortcuts rest while a dialog is open')
  await page.keyboard.press('Escape')
  assert.equal(await isOpen(), false)
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('href')), '/ranking', 'the focus is where it was')
  await page.click('[data-shortcuts]')
  await page.uncheck('#shortcuts-on')
  await page.locator('#shortcuts button').click()
  assert.equal(await isOpen(), false)
  await go('/channels')
  await page.keyboard.press('/')
  assert.notEqual(await focused(), 'search')
  await page.click('[data-shortcuts]')
  await page.check('#shortcuts-on')
  await page.keyboard.press('Escape')
  await page.locator('main').click({ position: { x: 2, y: 2 } })
  await page.keyboard.press('/')
  assert.equal(await focused(), 'search')
})

test('the search works without JavaScript', async () => {
  const plain = await openPage(await openContext(browser, { javaScript: false, storageState: await context.storageState() }))
  await plain.goto(`${server.url}/settings`)
  await plain.fill('#search', 'LAPTOP')
  await plain.press('#search', 'Enter')
  await plain.locator('#found a[href="/tokens/1"]').waitFor()
  assert.equal(new URL(plain.url()).search, '?q=LAPTOP')
  assertNoProblems(plain, 'without JavaScript')
})

test('paper has the content alone, light also where the screen is dark, and nothing is cut', async () => {
  const dark = await openPage(await openContext(browser, { theme: 'dark', storageState: await context.storageState() }))
  for (const path of ['/', '/usage', '/capacity', '/tokens', '/settings']) {
    await dark.goto(server.url + path)
    await dark.emulateMedia({ media: 'print', colorScheme: 'dark' })
    const seen = await dark.evaluate(() => {
      const isShown = (element) => element.getClientRects().length > 0
      const rgb = getComputedStyle(document.querySelector('.card') ?? document.body).backgroundColor
      const cut = [...document.querySelectorAll('.wrap')].filter((one) => getComputedStyle(one).overflowX !== 'visible')
      return {
        nav: isShown(document.querySelector('.side')),
        buttons: [...document.querySelectorAll('button, .btn, dialog')].filter(isShown).length,
        heading: isShown(document.querySelector('h1')),
        rgb, cut: cut.length,
      }
    })
    assert.deepEqual(seen, { nav: false, buttons: 0, heading: true, rgb: 'rgb(255, 255, 255)', cut: 0 }, path)
    await dark.emulateMedia({ media: 'screen' })
  }
  assertNoProblems(dark, 'print')
})

test('none of it is a problem for the browser', () => assertNoProblems(page, 'keys'))
