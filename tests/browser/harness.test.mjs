// The harness itself: its checks must be able to fail.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import {
  assertAccessible, assertNoProblems, assertNoSidewaysScroll, inspectEverywhere, openBrowser, openContext, openPage,
} from './harness.mjs'

const good = '<!doctype html><html lang="LANG"><title>Good</title><main><h1>Good</h1><p>Text</p></main>'
const pages = {
  '/good': good,
  '/wide': `${good}<div style="width: 3000px">wide</div>`,
  '/inaccessible': `${good}<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">`,
  '/script': `${good}<script>document.title = 'run'</script>`,
}
let browser
let server
let origin

before(async () => {
  server = createServer((request, response) => {
    const language = request.headers['accept-language'].startsWith('zh') ? 'zh-CN' : 'en'
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.setHeader('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    if (request.url === '/favicon.ico') response.statusCode = 204
    response.end(pages[request.url]?.replace('LANG', language))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${server.address().port}`
  browser = await openBrowser()
})

after(async () => {
  await browser?.close()
  server?.close()
})

async function visit(path) {
  const page = await openPage(await openContext(browser, { window: 'phone' }))
  await page.goto(origin + path)
  return page
}

test('a good page passes every check in every look', async () => {
  await inspectEverywhere(browser, `${origin}/good`, 'harness')
})

test('a page that scrolls sideways is caught', async () => {
  const page = await visit('/wide')
  await assert.rejects(assertNoSidewaysScroll(page, 'wide'), /sideways scroll/)
})

test('a picture without a text is caught', async () => {
  const page = await visit('/inaccessible')
  await assert.rejects(assertAccessible(page, 'inaccessible'), /image-alt/)
})

test('a script that the content security policy refuses is caught', async () => {
  const page = await visit('/script')
  assert.throws(() => assertNoProblems(page, 'script'), /Content Security Policy/)
})
