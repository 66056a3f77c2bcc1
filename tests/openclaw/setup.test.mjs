// From a pool to an OpenClaw that uses it: each way to bring the export over, on a fresh and on a lived-in configuration.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client, all } from './client.mjs'
import { exported, inferences, onepool, startPool } from './pool.mjs'

/** What a user has written: a provider and aliases of their own, a list of allowed models, comments. */
const livedIn = `{
  // The provider that was there first.
  models: {
    providers: {
      mine: { baseUrl: 'http://127.0.0.1:9/v1', apiKey: 'my-own-key', models: [{ id: 'own', name: 'Own' }] },
    },
  },
  agents: {
    defaults: {
      model: { primary: 'mine/own' },
      models: { 'mine/own': { alias: 'me' } }, // one alias
      modelPolicy: { allow: ['mine/own', 'onepool/*'] },
      timeoutSeconds: 300,
    },
  },
}
`
const configs = { fresh: undefined, 'lived-in': livedIn }

const models = [
  { name: 'large', context_window: 200_000, max_output: 8_192, vision: true, reasoning: false, price: { input: 1, output: 4 } },
  { name: 'small', context_window: 32_000, max_output: 2_048 },
  { name: 'org/odd:free', context_window: 64_000 },
]
let pool

before(async () => {
  pool = await startPool()
  await pool.change({ channels: [channel('main', models)] })
})

after(() => pool?.stop())

const channel = (name, models) => ({
  name, base_url: pool.upstream.baseUrl, allow_private: true, models, keys: [{ secret: `key-of-${name}` }],
})

/** The ways: each brings the export of the pool's token into the client's configuration. */
const ways = {
  'the one command': (client) => client.shell(
    `curl -fsS -H "Authorization: Bearer $ONEPOOL_API_KEY" ${pool.server.url}/openclaw.json5 \\
      | openclaw config patch --stdin --replace-path models.providers.onepool.models`,
    { env: { ONEPOOL_API_KEY: pool.token } },
  ),
  'a file with the token': async (client) => {
    const text = onepool(pool.server.dataDir, ['openclaw', 'export', '--token', 'agent', '--url', pool.server.url, '--with-token'])
    return client.ok(['config', 'patch', '--stdin', '--replace-path', 'models.providers.onepool.models'], { input: text })
  },
  'a file that names a variable': async (client) => {
    client.env.ONEPOOL_API_KEY = pool.token
    const text = onepool(pool.server.dataDir, ['openclaw', 'export', '--token', 'agent', '--url', pool.server.url])
    assert.ok(!text.includes(pool.token))
    return client.ok(['config', 'patch', '--stdin', '--replace-path', 'models.providers.onepool.models'], { input: text })
  },
  'onepool openclaw apply': async (client) => {
    const said = onepool(pool.server.dataDir, ['openclaw', 'apply', '--token', 'agent', '--url', pool.server.url, '--yes'], { env: client.env })
    assert.ok(!said.includes(pool.token), 'the token is not shown')
    const again = onepool(pool.server.dataDir, ['openclaw', 'apply', '--token', 'agent', '--url', pool.server.url, '--yes', '--json'], { env: client.env })
    assert.equal(JSON.parse(again).code, 'nothing_to_change', again)
  },
}

const rows = Object.keys(ways).flatMap((way) => Object.keys(configs).map((config) => ({ way, config })))
// Each way and each configuration, in turns; all pairs with the switch.
const chosen = all ? rows : rows.filter((_, index) => [0, 3, 4, 7].includes(index))

for (const { way, config } of chosen) {
  test(`${way} on a ${config} configuration: valid, listed, probed, and a turn with its cost`, async () => {
    const client = await Client.create({ config: configs[config] })
    try {
      await ways[way](client)
      assert.match(await client.ok(['config', 'validate']), /Config valid/)
      const { models: written, agents } = await client.config()
      if (config === 'lived-in') {
        assert.deepEqual(written.providers.mine.models, [{ id: 'own', name: 'Own' }])
        assert.equal(written.providers.mine.apiKey, 'my-own-key')
        assert.equal(agents.defaults.timeoutSeconds, 300)
        assert.deepEqual(agents.defaults.models['mine/own'], { alias: 'me' })
      }
      const listed = await client.models('onepool')
      const seen = Object.fromEntries(listed.map((model) => [model.key, [model.input, model.contextWindow, model.available]]))
      assert.deepEqual(seen, {
        'onepool/large': ['text+image', 200_000, true],
        'onepool/small': ['text', 32_000, true],
        'onepool/org/odd:free': ['text', 64_000, true],
      })
      const tags = Object.fromEntries(listed.map((model) => [model.key, model.tags]))
      assert.ok(tags['onepool/large'].includes('default'), JSON.stringify(tags))

      const probe = await client.probe('onepool')
      assert.equal(probe.status, 'ok', JSON.stringify(probe))
      const [call] = (await inferences(pool.upstream)).slice(-1)
      assert.deepEqual([call.key, call.model, call.body.stream], ['key-of-main', 'large', true])

      const turn = await client.exec('Hello marker=turn words=3')
      assert.deepEqual([turn.code, turn.ok, turn.final, turn.model], [0, true, 'turn.0 turn.1 turn.2 终🙂', 'large'])
      assert.equal(turn.usage.output, 4)
      const dollars = (turn.usage.input * 1 + 4 * 4) / 1e6
      assert.ok(Math.abs(turn.usage.cost.total - dollars) < 1e-6, JSON.stringify(turn.usage))
    } finally {
      await client.remove()
    }
  })
}

test('three hundred models are brought over and valid; a later export drops those that are gone', async () => {
  const many = Array.from({ length: 300 }, (_, index) => ({
    name: `vendor-${index % 7}/model-${index}:free`, context_window: 100_000 + index, max_output: 4_096, vision: index % 2 === 0,
  }))
  const client = await Client.create()
  try {
    await pool.change({ channels: [channel('many', many)] })
    const command = ['config', 'patch', '--stdin', '--replace-path', 'models.providers.onepool.models']
    await client.ok(command, { input: await exported(pool.server, pool.token) })
    assert.match(await client.ok(['config', 'validate']), /Config valid/)
    const keys = (await client.models('onepool')).map((model) => model.key)
    assert.deepEqual(keys.sort(), [...models, ...many].map((model) => `onepool/${model.name}`).sort())

    await pool.change({ channels: [channel('many', many.slice(0, 200))] })
    const text = await exported(pool.server, pool.token)
    const refused = await client.run(command.slice(0, 3), { input: text })
    assert.match(refused.stdout + refused.stderr, /would remove existing entries/)
    await client.ok(command, { input: text })
    assert.equal((await client.config()).models.providers.onepool.models.length, 203)
  } finally {
    await client.remove()
  }
})

test('a wrong token is named by the probe and the turn, asks no upstream, and is forgotten soon once it is right', async () => {
  const client = await Client.create()
  try {
    const text = await exported(pool.server, pool.token)
    await client.ok(['config', 'patch', '--stdin'], { input: text.replace(pool.token, `sk-wrong${'0'.repeat(43)}`) })
    const before = (await inferences(pool.upstream)).length
    const probe = await client.probe('onepool')
    assert.equal(probe.status, 'auth', JSON.stringify(probe))
    const failed = await client.exec('Hello')
    assert.deepEqual([failed.code, failed.ok], [1, false], JSON.stringify(failed))
    assert.match(JSON.stringify(failed), /401|api key|token/i)
    assert.equal((await inferences(pool.upstream)).length, before)

    await client.ok(['config', 'patch', '--stdin'], { input: text })
    // OpenClaw leaves a provider alone for half a minute after its first 401, whatever is in the file by then.
    const until = Date.now() + 90_000
    let final
    do {
      final = (await client.exec('Hello marker=right words=1')).final
    } while (final !== 'right.0 终🙂' && Date.now() < until)
    assert.equal(final, 'right.0 终🙂')
  } finally {
    await client.remove()
  }
})
