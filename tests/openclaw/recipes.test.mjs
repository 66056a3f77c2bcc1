// The recipes of docs/recipes.md, word for word: their pool files, their commands, and OpenClaw's own. Only the vendors' and
// the server's addresses are replaced.
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { eventually } from '../js/operator.mjs'
import { root, startOnePool, startUpstream } from '../js/servers.mjs'
import { Client } from './client.mjs'
import { folder, inferences, onepool } from './pool.mjs'

const password = 'correct horse battery staple'
const guide = await readFile(path.join(root, 'docs/recipes.md'), 'utf8')

/** The commands for OpenClaw that stand below a recipe's heading. */
function commands(example) {
  const section = guide.split(/^## /m).find((text) => text.includes(`examples/${example}.toml`))
  const blocks = [...section.matchAll(/```sh\n([^]*?)```/g)].map((match) => match[1])
  const found = blocks.find((block) => block.includes('openclaw.json5'))
  assert.ok(found, `the recipe ${example} says how OpenClaw gets it`)
  return found
}

/** Runs `follow` on the pool of an example, an OpenClaw with an empty configuration, and the vendor's fake. */
async function recipe(example, { address, keys, models, settings = {} }, follow) {
  const upstream = await startUpstream()
  const place = await folder()
  const server = await startOnePool({ ADMIN_PASSWORD: password, ...settings })
  const client = await Client.create({ gateway: true })
  try {
    for (const key of Object.values(keys)) await upstream.control('keys', { key })
    await upstream.control('models', models)
    const text = await readFile(path.join(root, `examples/${example}.toml`), 'utf8')
    const line = `base_url = "${address}"`
    assert.equal(text.split(line).length, 2, `${example} names its vendor's address`)
    await place.write('pool.toml', text.replace(line, `base_url = "${upstream.baseUrl}"\nallow_private = true`))
    const said = onepool(server.dataDir, ['apply', path.join(place.path, 'pool.toml'), '--json'], { env: keys })
    const token = JSON.parse(said).new_tokens[0].value
    const knows = async () => (await fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${token}` } })).status !== 401
    await eventually('the recipe\'s token', knows)
    const run = () => client.shell(commands(example).replaceAll('http://127.0.0.1:3000', server.url), { env: { ONEPOOL_API_KEY: token } })
    await follow({ upstream, client, run, token, server })
  } finally {
    await client.remove()
    await server.stop()
    await upstream.stop()
    await place.remove()
  }
}

/** The upstream's model that answers a turn, and its key. */
async function served(upstream, act) {
  const before = (await inferences(upstream)).at(-1)?.index ?? -1
  const said = await act()
  const calls = (await inferences(upstream)).filter((call) => call.index > before && call.refused === null)
  return { said, model: calls[0]?.model, key: calls[0]?.key }
}

/** How OpenClaw confirms a `/model`: the default one by other words. */
const chose = (name) => new RegExp(`(Model set to |configured default \\()onepool/${name}`)

test('NVIDIA: short names, several keys, and the home network only', async () => {
  const keys = { NVIDIA_KEY_1: 'nvapi-1aaaaaaaaaaaaaaa', NVIDIA_KEY_2: 'nvapi-2bbbbbbbbbbbbbbb', NVIDIA_KEY_3: 'nvapi-3ccccccccccccccc' }
  const names = {
    'minimax-m2.1': 'minimaxai/minimax-m2.1', 'deepseek-v3.2': 'deepseek-ai/deepseek-v3.2', glm5: 'z-ai/glm5',
    'qwen3-coder': 'qwen/qwen3-coder-480b-a35b-instruct', 'kimi-k2.5': 'moonshotai/kimi-k2.5',
  }
  const vendor = {
    address: 'https://integrate.api.nvidia.com/v1', keys, models: Object.values(names), settings: { TRUSTED_PROXIES: '127.0.0.1' },
  }
  await recipe('nvidia', vendor, async ({ upstream, client, run }) => {
    // What a machine of the home network would be known by behind a reverse proxy.
    const home = '192.168.1.23'
    await assert.rejects(run(), /403/, 'this machine is not in the home network')
    await writeFile(path.join(client.home, '.curlrc'), `header = "X-Forwarded-For: ${home}"\n`)
    await run().catch((error) => assert.fail(error.message))
    await client.patch({ models: { providers: { onepool: { headers: { 'X-Forwarded-For': home } } } } })

    const listed = (await client.models('onepool')).map((model) => model.key)
    assert.deepEqual(listed.sort(), Object.keys(names).map((name) => `onepool/${name}`).sort())
    const probe = await served(upstream, () => client.probe('onepool'))
    assert.equal(probe.said.status, 'ok', JSON.stringify(probe.said))
    assert.equal(probe.model, 'minimaxai/minimax-m2.1')

    await client.startGateway()
    const used = new Set()
    for (const [name, theirs] of Object.entries(names)) {
      assert.match(await client.say('home', `/model onepool/${name}`), chose(name))
      const turn = await served(upstream, () => client.say('home', 'Hello marker=home words=1'))
      assert.deepEqual([turn.said, turn.model], ['home.0 终🙂', theirs])
      used.add(turn.key)
    }
    assert.deepEqual([...used].sort(), Object.values(keys), 'every key is used')
  })
})

test('ModelScope: when the day of one model is used up, the turn goes on with the next', async () => {
  const keys = { MODELSCOPE_KEY: 'ms-0123456789abcdef' }
  const names = {
    'qwen3.5': 'Qwen/Qwen3.5-397B-A17B', glm5: 'ZhipuAI/GLM-5', kimi: 'moonshotai/Kimi-K2.5', minimax: 'MiniMax/MiniMax-M2.5',
  }
  const vendor = { address: 'https://api-inference.modelscope.cn/v1', keys, models: Object.values(names) }
  await recipe('modelscope', vendor, async ({ upstream, client, run }) => {
    await upstream.control('day', { calls: 3 })
    await run()
    const listed = await client.models('onepool')
    assert.deepEqual(listed.map((model) => model.key).sort(), ['daily', ...Object.keys(names)].map((name) => `onepool/${name}`).sort())
    assert.ok(listed.find((model) => model.key === 'onepool/daily').tags.includes('default'))
    assert.equal((await client.probe('onepool')).status, 'ok')

    await client.startGateway()
    for (const [name, theirs] of Object.entries(names)) {
      assert.match(await client.say('day', `/model ${name}`), chose(name))
      assert.equal((await served(upstream, () => client.say('day', 'Hello'))).model, theirs)
    }
    // A new day, of three calls for each model, in a conversation of the chain.
    await upstream.control('day', { calls: 3 })
    const models = []
    for (let turn = 0; turn < 8; turn++) models.push((await served(upstream, () => client.turn('Hello'))).model)
    const order = Object.values(names)
    assert.deepEqual(models, models.toSorted((one, other) => order.indexOf(one) - order.indexOf(other)), 'in the order of the chain')
    assert.ok(new Set(models).size >= 3, models.join())
  })
})

test('OpenRouter: free models in a chain, also if the first one is limited', async () => {
  const keys = { OPENROUTER_KEY_1: 'sk-or-v1-1aaaaaaaaaaa', OPENROUTER_KEY_2: 'sk-or-v1-2bbbbbbbbbbb' }
  const models = [
    'nvidia/nemotron-3-super-120b-a12b:free', 'google/gemma-4-31b-it:free', 'openai/gpt-oss-20b:free', 'openrouter/free',
  ]
  await recipe('openrouter', { address: 'https://openrouter.ai/api/v1', keys, models }, async ({ upstream, client, run }) => {
    await run()
    const listed = await client.models('onepool')
    assert.deepEqual(listed.map((model) => model.key).sort(), ['free', ...models].map((name) => `onepool/${name}`).sort())
    assert.ok(listed.find((model) => model.key === 'onepool/free').tags.includes('default'))
    const probe = await served(upstream, () => client.probe('onepool'))
    assert.deepEqual([probe.said.status, probe.model], ['ok', models[0]])

    await client.startGateway()
    await upstream.control('faults', { fault: 'open_router_provider429', model: models[0] })
    const turn = await client.turn('Hello marker=free words=1')
    assert.equal(turn.text, 'free.0 终🙂')
    const calls = await inferences(upstream)
    assert.equal(calls.findLast((call) => !call.fault).model, models[1])
    assert.match(await client.say('free', `/model onepool/${models[2]}`), chose(models[2]))
    assert.equal((await served(upstream, () => client.say('free', 'Hello'))).model, models[2])
  })
})
