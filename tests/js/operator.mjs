// An operator who fills in the forms of the pages without a browser: for tests that are about something else.
import assert from 'node:assert/strict'

/** Waits until `check` gives something, asking every 50 ms; fails with `what` after `withinMs`. */
export async function eventually(what, check, withinMs = 20_000) {
  const until = Date.now() + withinMs
  for (;;) {
    const found = await check()
    if (found) return found
    assert.ok(Date.now() < until, `within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** A session of the account `admin`. */
export class Operator {
  #origin
  #cookie = ''

  /** The cookie of the session, for requests that are no forms. */
  get cookie() {
    return this.#cookie
  }

  /** Logs in to the server at `origin`. */
  static async logIn(origin, password) {
    const operator = new Operator()
    operator.#origin = origin
    await operator.post('/login', { name: 'admin', password })
    assert.ok(operator.#cookie, 'the login gave a session')
    return operator
  }

  /** Sends a form, whose fields may be lists; gives the address that it leads to. */
  async post(path, fields = {}) {
    const body = new URLSearchParams()
    for (const [name, values] of Object.entries(fields)) {
      for (const value of [values].flat()) body.append(name, value)
    }
    const headers = { cookie: this.#cookie, origin: this.#origin }
    const response = await fetch(this.#origin + path, { method: 'POST', body, headers, redirect: 'manual' })
    for (const cookie of response.headers.getSetCookie()) {
      if (/^\S*session=/.test(cookie)) this.#cookie = cookie.split(';')[0]
    }
    const text = await response.text()
    const complaints = [...text.matchAll(/class="(?:error|notice bad)"[^>]*>([^<]*)/g)].map((match) => match[1])
    assert.equal(response.status, 303, `${path}: ${response.status} ${complaints.join(' ')}`)
    return response.headers.get('location')
  }

  /** The text of a page. */
  async page(path) {
    const response = await fetch(this.#origin + path, { headers: { cookie: this.#cookie } })
    assert.equal(response.status, 200, path)
    return response.text()
  }

  /** Adds a channel; gives its id. Fields as in the form; `keys`, `models` and `redirects` may be lists of lines. */
  async addChannel({ keys, models = [], redirects = [], ...fields }) {
    const lines = (list) => [list].flat().join('\n')
    await this.post('/channels/new', {
      protocol: 'openai', priority: '0', weight: '1', allow_private: 'true', enabled: 'true',
      keys: lines(keys), models: lines(models), redirects: lines(redirects), ...fields,
    })
    const links = [...(await this.page('/channels')).matchAll(/href="\/channels\/(\d+)"/g)]
    return Math.max(...links.map((link) => Number(link[1])))
  }

  /** Adds a token whose value is known; gives its value. */
  async addToken(name, fields = {}) {
    const value = `sk-${name.replace(/[^a-z0-9]/gi, '')}${'0123456789abcdef'.repeat(3)}`.slice(0, 51)
    await this.post('/tokens/new', {
      name, value_source: 'given', value, expiry: 'never', profile: 'generic', enabled: 'true', quota_unit: '',
      quota_reset: 'month', ...fields,
    })
    return value
  }
}
