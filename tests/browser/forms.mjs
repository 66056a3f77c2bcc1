// Finds every form of a site by itself and fills each in with what nobody should type: nothing, far too much, numbers without
// measure, hostile text and Chinese. Answers with what it noticed; a new form needs no line here.
import { readFile, readdir, readlink } from 'node:fs/promises'

/** What an attacker, a careless paste or another script's writing may put into a field. */
export const hostile = [
  '"><script>alert(1)</script>', '\' OR 1=1 --', 'a\u0000b', '../../etc/passwd', '{{7*7}}${7*7}<%= 7*7 %>', 'a\r\nSet-Cookie: x=1\r\n\r\nb',
  '\u202Egnp.exe', '👩‍👩‍👧‍👦🏳️‍🌈', '\u0301\u0308\u20DD', '%00%0d%0a%s%n', '\'"`;|&$(id)', '<img src=x onerror=alert(1)>',
]
const numbers = ['99999999999999999999999999', '-1', '1e308', '18446744073709551616', 'NaN', '0.00000000000000000001', '-9223372036854775809', '٣']
const chinese = '测试：这一栏不该是这样，谢谢'
const hugeBytes = 100 << 10
// A query stands in the request's first line, which servers bound to some kilobytes.
const hugeQueryBytes = 4 << 10
/** Fields of one name (rows of a table) that are tried one by one. */
const mostOfAName = 2
/** Addresses of one route whose pages are looked at; lists link to hundreds of alike ones. */
const mostOfARoute = 4
// What ends things is tried after what changes them, and what may end the session last.
const last = [/\/(remove|erase|revoke|rotate|end-previous|reset|reset-quota|switch|enabled|stop)$/, /\/delete$/, /\/(password|end-others|end)$/, /\/login$/, /\/logout$/]

/** Reads a page inside the browser, whose parser is the one that counts: forms, links, and scripts that must not be. */
function read(html) {
  const document = new DOMParser().parseFromString(html, 'text/html')
  // What the page keeps for later is a part of it.
  for (const template of document.querySelectorAll('template')) template.replaceWith(template.content)
  const forms = [...document.forms].map((form) => {
    const fields = [...form.elements].filter((field) => field.name && !field.disabled && field.type !== 'submit' && field.type !== 'button')
      .map((field) => ({
        // Of a number or a date as it stands in the page: without a script in between, a browser empties what is none.
        name: field.name, type: field.type, checked: field.checked,
        value: field.localName === 'input' ? field.getAttribute('value') ?? '' : field.value,
        number: field.type === 'number' || ['numeric', 'decimal'].includes(field.inputMode),
      }))
    const buttons = [...form.elements].filter((field) => field.type === 'submit').map((button) => ({
      name: button.name, value: button.value, action: button.getAttribute('formaction'),
    }))
    return {
      method: form.method, action: form.getAttribute('action') ?? '', multipart: form.enctype === 'multipart/form-data', fields, buttons,
    }
  })
  const all = [...document.querySelectorAll('*')]
  return {
    forms,
    links: [...document.querySelectorAll('a[href], [data-live], [hx-get]')].map((link) => link.getAttribute('href')).filter(Boolean),
    isPage: Boolean(document.querySelector('main') && document.title),
    injected: all.filter((element) => [...element.attributes].some(({ name }) => name.startsWith('on')) ||
      (element.localName === 'script' && element.textContent.includes('alert(1)')) ||
      /^\s*javascript:/i.test(element.getAttribute('href') ?? '')).map((element) => element.outerHTML.slice(0, 200)),
    // A message at a field, or one that says what is wrong with the whole form.
    complaints: [...document.querySelectorAll('[id$="-error"], .error, .notice.bad')].map((message) => message.textContent.trim())
      .filter(Boolean),
  }
}

/** The route that a path belongs to, of routes as `/tokens/{id}`; the most literal one. */
export function routeOf(path, routes) {
  const parts = path.split('/')
  const fitting = routes.filter((route) => {
    const wanted = route.split('/')
    return wanted.length === parts.length && wanted.every((part, index) => part.startsWith('{') || part === parts[index])
  })
  return fitting.sort((a, b) => a.split('{').length - b.split('{').length)[0]
}

/** The routes of the admin pages, as their sources name them: `{ get: [...], post: [...] }`. */
export async function adminRoutes(folder) {
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.rs')).sort()
  const found = { get: new Set(), post: new Set() }
  for (const file of files) {
    for (const rest of (await readFile(`${folder}/${file}`, 'utf8')).split('.route(').slice(1)) {
      const handlers = rest.slice(0, Math.min(...[rest.indexOf(';'), rest.indexOf('\n}')].filter((end) => end >= 0), rest.length))
      for (const method of ['get', 'post']) if (handlers.includes(`${method}(`)) found[method].add(rest.split('"')[1])
    }
  }
  return { get: [...found.get], post: [...found.post] }
}

/** Other machines that a process is connected to or asks, as the kernel lists them: `address:port` in its hexadecimal. */
export async function peersElsewhere(pid) {
  const own = new Set()
  for (const name of await readdir(`/proc/${pid}/fd`)) {
    const inode = (await readlink(`/proc/${pid}/fd/${name}`).catch(() => '')).match(/^socket:\[(\d+)\]$/)?.[1]
    if (inode) own.add(inode)
  }
  const found = []
  for (const table of ['tcp', 'tcp6', 'udp', 'udp6']) {
    for (const line of (await readFile(`/proc/${pid}/net/${table}`, 'utf8').catch(() => '')).split('\n').slice(1)) {
      const columns = line.trim().split(/\s+/)
      const address = columns[2]?.split(':')[0]
      // Nobody, 127.0.0.0/8, ::1, and 127.0.0.0/8 written as IPv6.
      const near = /^0+$|^......7F$|^0{24}01000000$|^0{16}FFFF0000......7F$/
      if (own.has(columns[9]) && !near.test(address)) found.push(columns[2])
    }
  }
  return found
}

/** A visitor of a site who keeps its cookies and reads its pages with a browser's parser. */
export class Visitor {
  #cookies = new Map()
  #page

  /** `page` is any page of the browser; `cookie` one that the site gave before. */
  constructor(origin, page, cookie = '') {
    this.origin = origin
    this.#page = page
    if (cookie) this.#keep(cookie)
  }

  #keep(cookie) {
    const [pair] = cookie.split(';')
    const at = pair.indexOf('=')
    this.#cookies.set(pair.slice(0, at), pair.slice(at + 1))
  }

  /** Sends a request; gives `{ status, location, html, page }`, `page` as `read` tells it, if the answer is one. */
  async ask(method, path, body) {
    const headers = { cookie: [...this.#cookies].map((pair) => pair.join('=')).join('; '), origin: this.origin }
    const response = await fetch(this.origin + path, { method, body, headers, redirect: 'manual', signal: AbortSignal.timeout(30_000) })
    for (const cookie of response.headers.getSetCookie()) this.#keep(cookie)
    const answer = { status: response.status, location: response.headers.get('location') }
    if (!response.headers.get('content-type')?.startsWith('text/html')) {
      // A file, or a stream without end.
      await response.body?.cancel()
      return answer
    }
    answer.html = await response.text()
    answer.page = await this.#page.evaluate(read, answer.html)
    return answer
  }
}

/** The forms of a page, each with the `key` by which alike ones are known: its route and its fields. */
function formsOf(page, url, routes) {
  // A dialog's form is sent nowhere.
  return page.forms.filter((form) => form.method !== 'dialog').flatMap((form) => {
    const actions = [...new Set([form.action, ...form.buttons.map((button) => button.action).filter(Boolean)])]
    return actions.map((action) => new URL(action || url.pathname, url)).filter((target) => target.origin === url.origin).map((target) => {
      const names = [...new Set(form.fields.map((field) => field.name))].sort()
      const buttons = [...new Set(form.buttons.map((button) => button.name))].sort()
      const route = routeOf(target.pathname, routes[form.method]) ?? target.pathname
      const path = form.method === 'get' ? target.pathname : target.pathname + target.search
      return { ...form, action: path, route, on: url.pathname + url.search, key: [form.method, route, ...names, '/', ...buttons].join(' ') }
    })
  })
}

/**
 * Visits pages and what they link to: `{ forms, visited, complaints, escaped }`. Each form is kept once per route and set of
 * fields; `escaped` counts the pages that show a typed script as text.
 */
export async function crawl(visitor, starts, routes) {
  const forms = new Map()
  const visited = new Set()
  const complaints = []
  let escaped = 0
  const seen = new Set()
  const counts = new Map()
  const waiting = [...starts]
  while (waiting.length) {
    const address = waiting.shift()
    const url = new URL(address, visitor.origin)
    const path = url.pathname + url.search
    const route = routeOf(url.pathname, routes.get)
    if (url.origin !== visitor.origin || !route || seen.has(path)) continue
    seen.add(path)
    // Filters make countless addresses of the same page: one of each set of parameters, and few of each route.
    const shape = [route, ...url.searchParams.keys()].join(' ')
    const [ofShape, ofRoute] = [counts.get(shape) ?? 0, counts.get(route) ?? 0]
    if (ofShape >= 2 || ofRoute >= mostOfARoute * 3 || (!url.search && ofRoute >= mostOfARoute)) continue
    counts.set(shape, ofShape + 1)
    counts.set(route, ofRoute + 1)
    const answer = await visitor.ask('GET', path)
    visited.add(route)
    if (answer.status >= 500) complaints.push(`GET ${path}: ${answer.status}`)
    if (answer.location) waiting.push(answer.location)
    if (!answer.page) continue
    if (/&(lt|#60|#x3c);script&(gt|#62|#x3e);alert\(1\)/i.test(answer.html)) escaped++
    complaints.push(...dangers(answer).map((danger) => `GET ${path}: ${danger}`))
    for (const form of formsOf(answer.page, url, routes)) {
      // What a reload after the form, or a login in between, asks for.
      if (form.method === 'post') waiting.push(form.action)
      if (!forms.has(form.key)) forms.set(form.key, form)
    }
    waiting.push(...answer.page.links)
  }
  return { forms: [...forms.values()], visited, complaints, escaped }
}

/** What is dangerous about an answer: markup that came from a field. */
function dangers({ html, page }) {
  const found = page.injected.map((markup) => `what was typed became markup: ${markup}`)
  if (/<script>alert\(1\)/.test(html)) found.push('a typed script stands in it as it is')
  return found
}

const isText = (field) => !['hidden', 'checkbox', 'radio', 'select-one', 'select-multiple', 'file'].includes(field.type)
const isLine = (field) => isText(field) && field.type !== 'textarea'
const isSent = (field) => field.type !== 'file' && (!['checkbox', 'radio'].includes(field.type) || field.checked)

/** The ways in which a form is filled in: `{ name, values, expected }`, `values` being pairs of name and value. */
function fillings(form) {
  const sent = form.fields.map((field, index) => ({ ...field, index })).filter(isSent)
    // Addresses of providers stand in some fields; nothing may be sent to them.
    .map((field) => (/^https?:\/\/(?!127\.0\.0\.1)/.test(field.value) ? { ...field, value: 'http://127.0.0.1:9/v1' } : field))
  // Some buttons save, and have no name; others only add a row or move one.
  const named = [...new Map(form.buttons.filter((one) => one.name).map((one) => [`${one.name} ${one.value.split('-')[0]}`, one])).values()]
  const button = form.buttons.some((one) => !one.name) ? undefined : named[0]
  const texts = sent.filter(isText)
  const others = sent.filter((field) => !isText(field))
  const size = form.method === 'get' ? hugeQueryBytes : hugeBytes
  const filled = (value) => [
    ...sent.map((field) => [field.name, value(field) ?? field.value]),
    ...(button ? [[button.name, value({ ...button, type: 'hidden', index: -1 }) ?? button.value]] : []),
  ]
  const ofTexts = (value) => filled((field) => (isText(field) ? value(field) : undefined))
  const ways = [
    { name: 'nothing at all', values: [] },
    { name: 'empty fields', values: filled(() => '') },
  ]
  if (!texts.length) ways.push({ name: 'what the page has', values: filled(() => undefined) })
  if (others.length || named.length) {
    for (const text of [hostile[0], hostile[2], numbers[0]]) {
      ways.push({ name: `choices of ${JSON.stringify(text)}`, values: filled((field) => (isText(field) ? undefined : text)) })
    }
  }
  for (const one of named) {
    ways.push({ name: `button ${one.value}, Chinese`, values: [...sent.map((field) => [field.name, isText(field) ? chinese : field.value]), [one.name, one.value]] })
  }
  if (!texts.length) return ways
  ways.push({ name: 'empty texts', values: ofTexts(() => ''), typed: true })
  ways.push({ name: 'Chinese', values: ofTexts(() => chinese), typed: true })
  ways.push({ name: 'huge texts', values: ofTexts(() => 'x'.repeat(Math.floor(Math.min(size, (2 * size) / texts.length)))), typed: true })
  if (form.method === 'post') ways.push({ name: 'more than fits', values: ofTexts(() => 'x'.repeat(Math.ceil((3 << 20) / texts.length))) })
  for (let round = 0; round < 3; round++) {
    ways.push({ name: `numbers, ${round}`, values: ofTexts((field) => numbers[(field.index + round * 3) % numbers.length]), typed: true })
  }
  for (let round = 0; round < hostile.length; round += texts.length > 3 ? 2 : 1) {
    ways.push({ name: `hostile texts, ${round}`, values: ofTexts((field) => hostile[(field.index + round) % hostile.length]), typed: true })
  }
  const ofName = new Map()
  for (const text of texts) {
    // `alias:this` and `alias:that` are of one kind.
    const kind = text.name.split(':')[0]
    const count = ofName.get(kind) ?? 0
    ofName.set(kind, count + 1)
    if (count >= mostOfAName) continue
    const only = (value) => filled((field) => (field.index === text.index && field.name === text.name ? value : undefined))
    ways.push({ name: `a script in ${text.name}`, values: only(hostile[0]), typed: true, field: text.name, number: text.number })
    ways.push({ name: `Chinese in ${text.name}`, values: only(chinese), typed: true, field: text.name, number: text.number })
    if (form.method === 'post') ways.push({ name: `${hostile[2 + (text.index % 9)]} in ${text.name}`, values: only(hostile[2 + (text.index % 9)]), typed: true })
    ways.push({
      name: `${size} bytes in ${text.name}`, values: only('好x'.repeat(size / 4)), typed: true, field: text.name, wide: form.method === 'post' && isLine(text),
    })
  }
  return ways
}

/** What an answer does not show again of what was typed. Secrets are not shown. */
function lost(form, values, page) {
  const texts = form.fields.filter((field) => isText(field) && field.type !== 'password')
  if (!texts.length) return []
  const again = page.forms.filter((one) => one.method === form.method).flatMap((one) => one.fields).filter(isText)
  const kept = texts.filter(({ name }) => again.some((field) => field.name === name))
  if (!kept.length) return ['the form is not in the answer']
  // As a form takes them in: lines end with a line feed, a NUL cannot be shown.
  const plain = (text) => text.replace(/[\0\uFFFD]/g, '').replace(/\s+/g, ' ').trim()
  const shown = new Set(again.map((field) => `${field.name} ${plain(field.value)}`))
  const names = new Set(kept.map(({ name }) => name))
  return values.filter(([name, value]) => names.has(name) && plain(value) && !shown.has(`${name} ${plain(value)}`))
    .map(([name, value]) => `${name} lost ${JSON.stringify(value.slice(0, 40))}`)
}

const encoded = (form, values) => {
  if (!form.multipart) return new URLSearchParams(values)
  const body = new FormData()
  for (const [name, value] of values) body.append(name, value)
  return body
}

/**
 * Fills in and sends every form, and those on the answers; gives what was wrong with them. `ignores(form, name)` says that a form
 * does not look at a field as the page has it, `instead(form, name)` what is sent for a field whatever else is typed: `null` for
 * nothing, `undefined` for no such rule.
 */
export async function tryForms(visitor, forms, routes, { ignores = () => false, instead = () => undefined } = {}) {
  const complaints = []
  let sent = 0
  const stage = (form) => 1 + last.findLastIndex((pattern) => pattern.test(form.action)) 
  const known = new Set(forms.map((form) => form.key))
  const tried = []
  const waiting = forms.toSorted((a, b) => stage(a) - stage(b))
  while (waiting.length) {
    const form = waiting.shift()
    tried.push(form)
    for (const { name, field: alone, values: all, typed, number, wide } of fillings(form)) {
      const refused = (number || wide) && !ignores(form, alone)
      const values = all.map(([field, value]) => [field, instead(form, field) ?? value]).filter(([, value]) => value !== null)
      const what = `${form.method.toUpperCase()} ${form.action} (on ${form.on}) with ${name.slice(0, 60).replace(/[\0-\x1f\u202e]/g, '?')}`
      const complain = (text) => complaints.push(`${what}: ${text}`)
      sent++
      let answer
      try {
        const [path, body] = form.method === 'get' ? [`${form.action}?${encoded(form, values)}`] : [form.action, encoded(form, values)]
        answer = await visitor.ask(form.method.toUpperCase(), path, body)
      } catch (error) {
        complain(`no answer: ${error.cause?.message ?? error.message}`)
        continue
      }
      if (answer.status >= 500) complain(`status ${answer.status} ${answer.page?.complaints.join(' ')}`)
      const look = (page, address) => {
        dangers(page).forEach(complain)
        // Some forms are only there after another one.
        for (const next of formsOf(page.page, new URL(address, visitor.origin), routes)) {
          if (!known.has(next.key)) waiting.unshift(next)
          known.add(next.key)
        }
      }
      if (answer.page) look(answer, form.action)
      if (answer.location !== null) {
        const target = URL.parse(answer.location, visitor.origin)
        if (target?.origin !== visitor.origin) complain(`leads away, to ${answer.location}`)
        else {
          const next = await visitor.ask('GET', target.pathname + target.search)
          if (next.status >= 500) complain(`${target.pathname} is ${next.status} afterwards`)
          if (next.page) look(next, answer.location)
        }
        if (refused ) complain('it was accepted')
        continue
      }
      if (!answer.page && form.method === 'post') complain(`an answer that is no page: ${answer.status}`)
      if (answer.status === 200 && refused && form.method === 'post'  && !answer.page?.complaints.length) complain('it was accepted')
      // Who has no session may send little, so that nobody fills the memory.
      const tooLarge = answer.status === 413 && form.route !== '/login'
      if (typed && form.method === 'post' && (tooLarge || answer.status === 400)) complain(`a field is to be named: ${answer.status}`)
      if (answer.page && answer.status === 422) {
        if (!answer.page.complaints.length) complain('422 without a word on what is wrong')
        // A filter is a part of every link, and is cut.
        if (typed && !name.startsWith('huge') && !(form.method === 'get' && name.includes('bytes'))) lost(form, values, answer.page).forEach(complain)
      }
    }
  }
  return { complaints, sent, tried }
}
