// What an agent does all day, through a running gateway: streamed turns with usage, tools, pictures, memory, speech,
// transcription, making pictures, another model.
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { eventually } from '../js/operator.mjs'
import { Client } from './client.mjs'
import { exported, inferences, startPool } from './pool.mjs'

/** One grey dot, as PNG. */
const dot = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=='
const models = [
  { name: 'seeing', context_window: 128_000, max_output: 4_096, vision: true, tools: true, price: { input: 2, output: 8 } },
  { name: 'plain', context_window: 64_000, max_output: 4_096 },
  { name: 'text-embedding-3-small', endpoints: ['embeddings'] },
  { name: 'tts-1', endpoints: ['speech'] },
  { name: 'whisper-1', endpoints: ['transcriptions'] },
  { name: 'gpt-image-1', endpoints: ['images', 'image_edits'] },
]
let pool
let client

before(async () => {
  pool = await startPool()
  const { baseUrl } = pool.upstream
  await pool.change({ channels: [{ name: 'all', base_url: baseUrl, allow_private: true, models, keys: [{ secret: 'key-of-all' }] }] })
  client = await Client.create({ gateway: true })
  const patch = async (query, replaced) =>
    client.ok(['config', 'patch', '--stdin', '--replace-path', replaced], { input: await exported(pool.server, pool.token, query) })
  await patch('?model=seeing&model=plain', 'models.providers.onepool.models')
  await patch('?part=media&voice=alloy', 'tools.media.models')
  assert.match(await client.ok(['config', 'validate']), /Config valid/)
  await client.startGateway()
  await client.turn('Good morning')
})

after(async () => {
  await client?.remove()
  await pool?.stop()
})

/** Runs something; gives its result and the calls that the upstream got in the meantime. */
async function watched(act) {
  const before = (await inferences(pool.upstream)).at(-1)?.index ?? -1
  const result = await act()
  const calls = (await inferences(pool.upstream)).filter((call) => call.index > before)
  assert.deepEqual([...new Set(calls.map((call) => call.key))], ['key-of-all'], 'calls come with the upstream\'s own key')
  return { result, calls, of: (name) => calls.filter((call) => call.path === `/v1/${name}`) }
}

/** The chat calls of a turn, which come with the agent's prompt; not those by which the gateway names a conversation. */
const chats = (seen) => seen.of('chat/completions')

test('the chosen models are offered to the agent, and the first one is its default', async () => {
  const { models } = await client.request('models.list')
  const ours = models.filter((model) => model.provider === 'onepool')
  assert.deepEqual(ours.map((model) => model.id).sort(), ['plain', 'seeing'])
  assert.deepEqual(ours.find((model) => model.id === 'seeing').tags, ['default'])
})

test('a turn arrives in pieces, with the usage that the upstream counted', async () => {
  const seen = await watched(() => client.turn('Hello marker=piece words=20', { stream: true }))
  const { text, pieces, usage } = seen.result
  assert.equal(text, `${Array.from({ length: 20 }, (_, index) => `piece.${index}`).join(' ')} 终🙂`)
  assert.ok(pieces > 5, `${pieces} pieces`)
  assert.equal(usage.completion_tokens, 21)
  const [call] = chats(seen)
  assert.deepEqual([call.model, call.body.stream, call.body.stream_options], ['seeing', true, { include_usage: true }])
  assert.equal(call.body.max_tokens ?? call.body.max_completion_tokens, 4_096)
})

test('a tool that the model asks for is run, and its result goes back', async () => {
  await writeFile(path.join(client.home, '.openclaw/workspace/note.txt'), 'The sea is green today.')
  const seen = await watched(() => client.turn('Read it. tool=read arguments={"path":"note.txt"}'))
  assert.equal(seen.result.status, 200)
  const [asking, answering] = chats(seen)
  assert.ok(asking.body.tools.some((tool) => tool.function.name === 'read'))
  const call = answering.body.messages.findLast((message) => message.tool_calls)
  const result = answering.body.messages.findLast((message) => message.role === 'tool')
  assert.deepEqual(JSON.parse(call.tool_calls[0].function.arguments), { path: 'note.txt' })
  assert.match(JSON.stringify(result.content), /The sea is green today/)
})

test('a picture in the conversation reaches the model', async () => {
  const seen = await watched(() => client.turn('What is this? marker=picture words=2', { image: dot }))
  assert.equal(seen.result.text, 'picture.0 picture.1 终🙂')
  const parts = chats(seen)[0].body.messages.flatMap((message) => (Array.isArray(message.content) ? message.content : []))
  const urls = parts.filter((part) => part.type === 'image_url').map((part) => part.image_url.url)
  assert.equal(urls.length, 1)
  assert.match(urls[0], /^data:image\/(png|jpeg);base64,/)
})

test('the memory is searched by embeddings', async () => {
  await client.ok(['memory', 'index', '--force'])
  const seen = await watched(() => client.tool('memory_search', { query: 'green sea' }))
  assert.doesNotMatch(JSON.stringify(seen.result), /"disabled":true/)
  const asked = seen.of('embeddings').filter((call) => call.body.input.includes('green sea'))
  assert.deepEqual(asked.map((call) => call.model), ['text-embedding-3-small'])
})

test('a text is spoken into a file', async () => {
  const seen = await watched(() => client.request('tts.convert', { text: 'Good evening' }))
  assert.ok((await readFile(seen.result.audioPath)).length > 0)
  const [call] = seen.of('audio/speech')
  assert.deepEqual([call.model, call.body.input, call.body.voice], ['tts-1', 'Good evening', 'alloy'])
})

test('a recording is transcribed', async () => {
  const file = path.join(client.home, 'memo.wav')
  await writeFile(file, Buffer.concat([Buffer.from('RIFF\0\0\0\0WAVEfmt '), Buffer.alloc(8_000, 1)]))
  const seen = await watched(() => client.json(['infer', 'audio', 'transcribe', '--file', file]))
  assert.equal(seen.result.ok, true, JSON.stringify(seen.result))
  assert.match(seen.result.outputs[0].text, /^heard/)
  const [call] = seen.of('audio/transcriptions')
  assert.deepEqual([call.model, call.form.files[0].name, call.form.files[0].length], ['whisper-1', 'memo.wav', 8_016])
})

test('a picture is made', async () => {
  const seen = await watched(async () => {
    await client.tool('image_generate', { prompt: 'a green sea' })
    const made = async () => (await inferences(pool.upstream)).find((call) => call.body?.prompt === 'a green sea')
    return eventually('a call for a picture', made)
  })
  assert.deepEqual([seen.result.path, seen.result.model], ['/v1/images/generations', 'gpt-image-1'])
  await eventually('a file of the picture', async () => /tool-image-generation\/\S+\.png/.test(client.log))
})

test('/model switches the model of one conversation', async () => {
  assert.match(await client.say('switch', '/model onepool/plain'), /Model set to onepool\/plain/)
  const seen = await watched(() => client.say('switch', 'Hello marker=plain words=1'))
  assert.equal(seen.result, 'plain.0 终🙂')
  assert.equal(chats(seen)[0].model, 'plain')
  const other = await watched(() => client.say('other', 'Hello marker=other words=1'))
  assert.equal(chats(other)[0].model, 'seeing')
})
