// The browser for the page tests: Debian's Chromium, driven by playwright-core, with axe-core for accessibility.
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { chromium } from 'playwright-core'
import { root } from '../js/servers.mjs'

const require = createRequire(import.meta.url)
const axeSource = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8')
const screenshots = path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, 'target'), 'screenshots')

/** Width and height of the windows that pages must suit. */
export const windows = { desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 800 } }

/** Starts the browser. Ask its `newContext` through `openContext`. */
export async function openBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--force-color-profile=srgb',
    ],
  })
}

/**
 * A fresh profile. `language` is `en` or `zh-CN`, `theme` `light` or `dark`, `window` a name of `windows`,
 * `storageState` the cookies of another profile. Requests to any address but 127.0.0.1 are refused and reported by `problems`.
 */
export async function openContext(browser, { language = 'en', theme = 'light', window = 'desktop', javaScript = true, storageState } = {}) {
  const context = await browser.newContext({
    locale: language,
    colorScheme: theme,
    viewport: windows[window],
    javaScriptEnabled: javaScript,
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
    storageState,
  })
  // Generous, because machines that run tests may be slow and busy.
  context.setDefaultTimeout(30_000)
  await context.route((url) => !['127.0.0.1', 'localhost'].includes(url.hostname), (route) => route.abort())
  return context
}

/** A page that remembers what went wrong on it: errors of scripts and of the content security policy, failed loads. */
export async function openPage(context) {
  const page = await context.newPage()
  page.problems = []
  page.expectedStatuses = new Set()
  page.on('console', (message) => {
    if (message.type() !== 'error') return
    const status = message.text().match(/status of (\d{3})/)?.[1]
    if (status && page.expectedStatuses.has(Number(status))) return
    page.problems.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => page.problems.push(`script: ${error.message}`))
  page.on('requestfailed', (request) => {
    const reason = request.failure()?.errorText
    if (reason !== 'net::ERR_ABORTED') page.problems.push(`request: ${request.url()}: ${reason}`)
  })
  return page
}

/** Fails when the page has an accessibility violation. */
export async function assertAccessible(page, name) {
  // The policy of the pages forbids inline scripts; the protocol of the browser's tools may evaluate nevertheless.
  await page.evaluate(axeSource)
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
  const told = violations.map(({ id, help, nodes }) =>
    `${id}: ${help}\n${nodes.map((node) => `    ${node.html}\n    ${node.failureSummary}`).join('\n')}`)
  assert.deepEqual(told, [], `${name}: accessibility`)
}

/** Fails when the page scrolls sideways, and names the elements that stick out. */
export async function assertNoSidewaysScroll(page, name) {
  const wide = await page.evaluate(() => {
    const width = document.documentElement.clientWidth
    if (document.documentElement.scrollWidth <= width) return []
    return [...document.body.querySelectorAll('*')]
      .filter((element) => element.getBoundingClientRect().right > width + 1)
      .slice(0, 8)
      .map((element) => `${element.tagName.toLowerCase()}.${element.className}`)
      .concat('(the page is wider than the window)')
  })
  assert.deepEqual(wide, [], `${name}: sideways scroll`)
}

/** Fails when the browser reported a problem since the page was opened. */
export function assertNoProblems(page, name) {
  assert.deepEqual(page.problems, [], `${name}: problems`)
}

/** Saves target/screenshots/<name>.png, of the whole page. */
export async function screenshot(page, name) {
  await mkdir(screenshots, { recursive: true })
  await page.screenshot({ path: path.join(screenshots, `${name}.png`), fullPage: true, animations: 'disabled' })
}

/**
 * Opens an address in both languages, light and dark, wide and on a phone, takes a picture of each, and checks each:
 * no accessibility violation, no problem, no sideways scroll, and the language that was asked for.
 */
export async function inspectEverywhere(browser, url, name, { storageState } = {}) {
  for (const language of ['en', 'zh-CN']) {
    for (const theme of ['light', 'dark']) {
      for (const window of Object.keys(windows)) {
        const label = `${name}-${language}-${theme}-${window}`
        const context = await browser.newContext({
          locale: language, colorScheme: theme, viewport: windows[window], reducedMotion: 'reduce', storageState,
        })
        try {
          const page = await openPage(context)
          const response = await page.goto(url)
          assert.equal(response.status(), 200, `${label}: status of ${url}`)
          assert.match(await page.locator('html').getAttribute('lang'), language === 'en' ? /^en/ : /^zh/, label)
          await screenshot(page, label)
          assertNoProblems(page, label)
          await assertNoSidewaysScroll(page, label)
          await assertAccessible(page, label)
        } finally {
          await context.close()
        }
      }
    }
  }
}
