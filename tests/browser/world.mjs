// A server with the traces of real use: channels with good and bad keys, tokens, and some hundred calls made through it.
import { Operator, eventually } from '../js/operator.mjs'
import { startOnePool, startUpstream } from '../js/servers.mjs'

export const password = 'correct horse battery staple'

const prices = {
  'llama-3.3-70b-versatile': ['131072', '32768', '0.59', '', '0.79'],
  'openai/gpt-oss-120b': ['131072', '65536', '0.15', '0.075', '0.6'],
  'gemini-2.5-flash': ['1048576', '65536', '0.3', '0.075', '2.5'],
  'deepseek-chat': ['131072', '8192', '0.27', '0.07', '1.1'],
  'Qwen/Qwen3-8B': ['131072', '8192', '0.06', '', '0.06'],
}

// `keys` maps a key to what is wrong with it: a state or a limit of the fake vendor, or one of its faults.
const channels = [
  {
    name: 'Groq 免费', priority: '10', weight: '3', groups: 'free', note: '两个账户，共 4 个密钥',
    models: ['llama-3.3-70b-versatile', 'openai/gpt-oss-120b'], redirects: ['smart = openai/gpt-oss-120b', 'fast = llama-3.3-70b-versatile'],
    keys: { 'gsk_demo_first_7Qm2': {}, 'gsk_demo_second_k81d': {}, 'gsk_demo_third_Xp0a': { requests: 40, window_ms: 600_000, retry_after: true }, 'gsk_demo_fourth_90zz': { fault: 'rate_limited_daily' } },
  },
  {
    name: 'Gemini AI Studio', priority: '10', weight: '2', groups: 'free', note: '',
    models: ['gemini-2.5-flash'], redirects: ['smart = gemini-2.5-flash', 'fast = gemini-2.5-flash'],
    keys: { 'AIza-demo-one-w3Rt': {}, 'AIza-demo-two-u8Yb': { fault: 'rate_limited_seconds' } },
  },
  {
    name: '硅基流动', priority: '5', weight: '1', groups: 'paid', note: '',
    models: ['Qwen/Qwen3-8B', 'deepseek-chat'], redirects: ['smart = deepseek-chat'],
    keys: { 'sk-demo-silicon-aa01': {}, 'sk-demo-silicon-bb02': { state: 'out_of_credit' }, 'sk-demo-silicon-cc03': { state: 'revoked' } },
  },
  {
    name: 'OpenRouter', priority: '5', weight: '1', groups: 'free, paid', note: 'shared with the team',
    models: ['deepseek/deepseek-r1:free', 'unreliable'], redirects: [],
    keys: { 'sk-or-demo-11f3': { fault: 'status503' } },
  },
  {
    name: 'Cerebras', priority: '1', weight: '1', groups: '', note: '', models: ['gpt-oss-120b'], redirects: [],
    keys: { 'csk-demo-1a2b': { state: 'revoked' }, 'csk-demo-3c4d': { state: 'revoked' } },
  },
  {
    name: 'home-vllm · 机房', priority: '0', weight: '1', groups: '', note: '', models: ['qwen3-32b'], redirects: [],
    keys: { 'local-demo-e5f6': {} }, enabled: '',
  },
]

/** Runs `count` jobs, `width` at a time. */
async function inParallel(count, width, job) {
  let next = 0
  const worker = async () => {
    while (next < count) await job(next++)
  }
  await Promise.all(Array.from({ length: width }, worker))
}

/** Starts everything and makes the calls: `{ server, upstream, operator, tokens, stop() }`. */
export async function startWorld({ calls = 300 } = {}) {
  const upstream = await startUpstream()
  const server = await startOnePool({
    ADMIN_PASSWORD: password, TZ: 'Asia/Shanghai', MAX_ATTEMPTS: '8', IDLE_TIMEOUT_MS: '5000',
  })
  const operator = await Operator.logIn(server.url, password)
  await upstream.control('models', [...new Set(channels.flatMap((channel) => channel.models)), 'kimi-k2', 'glm-4.6'])
  for (const { keys, enabled = 'true', ...fields } of channels) {
    for (const [key, { fault, ...rules }] of Object.entries(keys)) {
      await upstream.control('keys', { key, ...rules })
      if (fault) await upstream.control('faults', { key, fault })
    }
    const labelled = Object.keys(keys).map((key, index) => (index % 2 ? key : `账户-${index + 1}: ${key}`))
    const id = await operator.addChannel({ base_url: upstream.baseUrl, keys: labelled, enabled, ...fields })
    const rows = fields.models.map((model) => [model, ...(prices[model] ?? ['', '', '', '', ''])])
    const column = (index) => rows.map((row) => row[index])
    await operator.post(`/channels/${id}/models`, {
      model: column(0), context: column(1), max_output: column(2), input: column(3), cached: column(4),
      output: column(5), vision: rows.map(() => ''), tools: rows.map(() => 'true'), reasoning: rows.map(() => ''),
      redirects: fields.redirects.join('\n'),
    })
  }
  // Limits of a channel and of one of its keys, wide enough for all calls.
  await operator.post('/channels/1/limits', {
    amount: ['4000', '100000'], metric: ['requests', 'tokens'], window: ['1m', 'day'], zone: ['', 'Asia/Shanghai'],
    per: ['key', 'group'], models: ['', 'llama-*, openai/*'], insist: ['0'],
  })
  await operator.post('/channels/1/keys/1/limits', {
    amount: ['50'], metric: ['concurrency'], window: [''], zone: [''], per: ['key'], models: [''],
  })
  await operator.post('/upstream-models/refresh')
  await operator.post('/chains/new', {
    name: 'best', enabled: 'true', model: ['smart', 'Qwen/Qwen3-8B', 'retired-model'], spill: ['500', '', 'never'],
  })
  await operator.post('/chains/new', { name: '应急', enabled: 'true', model: ['best', 'fast'], spill: ['0', ''] })
  const tokens = {
    'claw on the laptop': await operator.addToken('claw on the laptop', {
      profile: 'openclaw', quota_unit: 'dollars', quota_limit: '5', models: 'smart\nfast\nllama-*\ndeepseek-*\nQwen/*', note: 'Anna',
    }),
    '团队脚本': await operator.addToken('团队脚本', { quota_unit: 'tokens', quota_limit: '2000000', quota_reset: 'day' }),
    'nightly report': await operator.addToken('nightly report', {
      requests_per_minute: '2', quota_unit: 'requests', quota_limit: '1000', groups: 'paid',
    }),
    'old phone': await operator.addToken('old phone', { enabled: '' }),
  }
  const asked = ['smart', 'fast', 'smart', 'llama-3.3-70b-versatile', 'smart', 'fast', 'deepseek-chat', 'Qwen/Qwen3-8B']
  const kinds = ['OpenClaw/2026.11', 'OpenAI/Python 3.52.0', 'OpenAI/JS 6.30.1', 'curl/8.5.0']
  await inParallel(calls, 8, async (number) => {
    const owner = number % 50 === 49 ? 'nightly report' : number % 3 ? '团队脚本' : 'claw on the laptop'
    const failing = number % 29 === 28
    const body = {
      model: failing ? ['unreliable', 'gpt-oss-120b', 'no-such-model'][number % 3] : asked[number % asked.length],
      messages: [{ role: 'user', content: `marker=w${number} words=${5 + (number * 7) % 60} delay=${number % 5}` }],
      max_tokens: 400,
      ...(number % 4 ? { stream: true } : {}),
    }
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST', body: JSON.stringify(body),
      headers: {
        authorization: `Bearer ${tokens[owner]}`, 'content-type': 'application/json',
        'user-agent': kinds[number % kinds.length],
        // Four calls of an agent's turn follow each other.
        ...(owner === 'claw on the laptop' ? {
          'x-client': 'openclaw/2026.9.6',
          traceparent: `00-${String(Math.floor(number / 12) + 1).padStart(32, '0')}-00f067aa0ba902b7-01`,
        } : {}),
      },
    })
    await response.text()
  })
  // The ranking of all models, paid ones included, after their calls: with a pin, an idle one, weights and names of the operator.
  await operator.post('/ranking/pin', { chain: 'auto:fast', model: 'kimi-k2', act: 'pin' })
  await operator.post('/ranking/names', { name: 'deepseek-chat', provider: '', identity: 'deepseek-v3.2' })
  await operator.post('/ranking/names', { name: 'kimi-latest', provider: 'moonshot', identity: 'kimi-k2-instruct' })
  await operator.post('/ranking/names', { name: 'kimi-k2', provider: '', identity: 'kimi-k2-instruct' })
  await operator.post('/ranking/weights', { capability: '40', reliability: '30', speed: '15', context: '10', quota: '5' })
  for (const chain of ['auto', 'auto:coding']) {
    await operator.post('/ranking/wishes', { chain, enabled: 'true', most_models: '5' })
  }
  await operator.post('/ranking/pin', { chain: 'auto', model: 'qwen/qwen3-8b', act: 'top' })
  await operator.post('/ranking/wishes', { chain: 'auto:vision', most_models: '8', free_only: 'true' })
  await eventually('every call is in the log', async () =>
    (await operator.page('/log.csv')).trim().split('\n').length > calls, 60_000)
  await operator.post('/ranking/rebuild', { chain: 'auto' })
  return {
    server, upstream, operator, tokens,
    async stop() {
      await server.stop()
      await upstream.stop()
    },
  }
}
