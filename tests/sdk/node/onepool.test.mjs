// OnePool, as the official `openai` package for Node sees it.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import OpenAI, { toFile } from 'openai'
import { Operator, eventually } from '../../js/operator.mjs'
import { expectedText, startOnePool, startUpstream } from '../../js/servers.mjs'
import { contract } from './contract.mjs'

const password = 'correct horse battery staple'
const faults = ['rate_limited_seconds', 'context_length400', 'status500', 'error_after_content']
let upstream
let server
let operator
let token

before(async () => {
  upstream = await startUpstream()
  server = await startOnePool({ ADMIN_PASSWORD: password, FIRST_BYTE_TIMEOUT_MS: '8000', IDLE_TIMEOUT_MS: '8000' })
  operator = await Operator.logIn(server.url, password)
  const models = ['small', 'rescued', 'limited', 'slow', 'media', 'jobs', ...faults.map((fault) => `fault:${fault}`)]
  await upstream.control('models', models)
  const addChannel = async (name, keys, model) => {
    for (const key of keys) await upstream.control('keys', { key })
    await operator.addChannel({ name, base_url: upstream.baseUrl, keys, models: [model] })
  }
  await addChannel('good', ['key-good-0001', 'key-good-0002'], 'small')
  await addChannel('slow', ['key-slow-0001'], 'slow')
  for (const fault of faults) await addChannel(fault, [`key-${fault}`], `fault:${fault}`)
  token = await operator.addToken('sdk')
})

after(async () => {
  await server?.stop()
  await upstream?.stop()
})

const client = (apiKey = token, options = {}) =>
  new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0, timeout: 60_000, ...options })
const ask = (openai, model, prompt, options) =>
  openai.chat.completions.create({ model, messages: [{ role: 'user', content: prompt }], ...options })
const read = async (stream) => {
  let text = ''
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
  return text
}

contract(() => ({ baseURL: `${server.url}/v1`, apiKey: token }))

test('a token that may not call from here raises permission denied', async () => {
  const elsewhere = await operator.addToken('elsewhere', { cidrs: '203.0.113.0/24' })
  await assert.rejects(ask(client(elsewhere), 'small', 'hi'), (error) =>
    error instanceof OpenAI.PermissionDeniedError && error.code === 'ip_not_allowed')
})

test('a token may not use a model outside its scope, and does not see it', async () => {
  const scoped = client(await operator.addToken('scoped', { models: 'sm*' }))
  const ids = []
  for await (const model of scoped.models.list()) ids.push(model.id)
  assert.ok(ids.includes('small') && !ids.includes('slow'), ids.join())
  assert.equal((await scoped.models.retrieve('small')).id, 'small')
  await assert.rejects(scoped.models.retrieve('slow'), OpenAI.NotFoundError)
  await assert.rejects(ask(scoped, 'slow', 'hi'), OpenAI.PermissionDeniedError)
})

test('a token beyond its requests per minute raises rate limit with the wait', async () => {
  const limited = client(await operator.addToken('limited', { requests_per_minute: '1' }))
  await ask(limited, 'small', 'hi')
  await assert.rejects(ask(limited, 'small', 'hi'), (error) =>
    error instanceof OpenAI.RateLimitError && Number(error.headers.get('retry-after')) >= 1)
})

test('a client that leaves ends the call to the upstream within two seconds', async () => {
  const stream = await ask(client(), 'slow', 'marker=left words=2000 delay=20', { stream: true })
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break
  const left = Date.now()
  await eventually('the upstream sees the client leave', async () =>
    (await upstream.calls()).some((call) => call.model === 'slow' && call.end === 'ClientLeft'))
  assert.ok(Date.now() - left < 2_500, `it took ${Date.now() - left} ms`)
})

test('a client sees nothing of an upstream that rotates, limits, stalls and breaks', async () => {
  const channels = [
    { name: 'stalls', priority: '3', keys: ['key-stalls-0001'], first_byte_s: '1' },
    { name: 'breaks', priority: '2', keys: ['key-breaks-0001'] },
    { name: 'rotates', priority: '1', keys: ['key-revoked-0001', 'key-limited-0001', 'key-rescue-0001', 'key-rescue-0002'] },
  ]
  for (const channel of channels) {
    for (const key of channel.keys) await upstream.control('keys', { key })
    await operator.addChannel({
      base_url: upstream.baseUrl, models: ['rescued'], redirects: 'smart = rescued', ...channel,
    })
  }
  await upstream.control('faults', { key: 'key-stalls-0001', fault: 'role_then_hang' })
  await upstream.control('faults', { key: 'key-breaks-0001', fault: 'reset_after_headers' })
  await upstream.control('faults', { key: 'key-limited-0001', fault: 'rate_limited_seconds' })
  await upstream.control('keys', { key: 'key-revoked-0001', state: 'revoked' })
  const texts = await Promise.all(Array.from({ length: 12 }, async (_, number) =>
    read(await ask(client(), 'smart', `marker=t${number} words=20`, { stream: true }))))
  assert.deepEqual(texts, texts.map((_, number) => expectedText(`t${number}`, 20)))
  const used = new Set((await upstream.calls()).filter((call) => call.model === 'rescued').map((call) => call.key))
  assert.deepEqual([...used].sort(), channels.flatMap((channel) => channel.keys).sort())
  const rows = await eventually('the log has every call', async () => {
    const lines = (await operator.page('/log.csv?model=smart')).trim().split('\n').slice(1)
    return lines.length === 12 && lines
  })
  assert.ok(rows.every((row) => /,200,/.test(row)), rows.join('\n'))
})

test('pictures, sound, verdicts and responses are served where a channel serves them', async () => {
  await upstream.control('keys', { key: 'key-media-0001' })
  await operator.addChannel({
    name: 'media', base_url: upstream.baseUrl, keys: ['key-media-0001'], models: ['media'],
    endpoints: 'images, image_edits, speech, transcriptions, moderations, responses',
  })
  const openai = client()
  const made = await openai.images.generate({ model: 'media', prompt: 'a cat', n: 2, size: '1024x1024' })
  assert.equal(made.data.length, 2)
  const picture = await toFile(Buffer.from(made.data[0].b64_json, 'base64'), 'cat.png', { type: 'image/png' })
  const edited = await openai.images.edit({ model: 'media', prompt: 'a hat', image: picture })
  assert.equal(edited.data[0].b64_json, made.data[0].b64_json)
  const speech = await openai.audio.speech.create({ model: 'media', voice: 'alloy', input: 'bytes=900000' })
  const sound = Buffer.from(await speech.arrayBuffer())
  assert.equal(sound.length, 900_000)
  const file = await toFile(sound, 'speech.mp3', { type: 'audio/mpeg' })
  assert.equal((await openai.audio.transcriptions.create({ model: 'media', file })).text, 'heard abc')
  const verdict = await openai.moderations.create({ model: 'media', input: 'hi' })
  assert.equal(verdict.results[0].flagged, false)
  assert.equal((await openai.responses.create({ model: 'media', input: 'hi' })).output_text, 'said abc')
  let said = ''
  for await (const event of await openai.responses.create({ model: 'media', input: 'hi', stream: true })) {
    if (event.type === 'response.output_text.delta') said += event.delta
  }
  assert.equal(said, 'said abc')
  await assert.rejects(openai.embeddings.create({ model: 'media', input: 'hi' }), (error) =>
    error instanceof OpenAI.NotFoundError && error.code === 'model_not_on_endpoint')
})

test('videos and stored responses are found again under ids of the server\'s own', async () => {
  for (const key of ['key-jobs-0001', 'key-jobs-0002']) await upstream.control('keys', { key })
  await operator.addChannel({
    name: 'jobs', base_url: upstream.baseUrl, keys: ['key-jobs-0001', 'key-jobs-0002'], models: ['jobs'],
    endpoints: 'videos, responses',
  })
  const openai = client()
  const ids = []
  const picture = await toFile(Buffer.from('picture'), 'first.png', { type: 'image/png' })
  for (const options of [{}, { input_reference: picture }]) {
    let video = await openai.videos.create({ model: 'jobs', prompt: 'polls=2 bytes=700001', seconds: '4', ...options })
    assert.match(video.id, /^video_/)
    video = await eventually('the video is there', async () => {
      const now = await openai.videos.retrieve(video.id)
      return now.status === 'completed' && now
    })
    assert.deepEqual([video.model, video.seconds], ['jobs', '4'])
    const content = await openai.videos.downloadContent(video.id)
    assert.equal((await content.arrayBuffer()).byteLength, 700_001)
    ids.push(video.id)
  }
  const listed = []
  for await (const video of openai.videos.list({ limit: 1, order: 'asc' })) listed.push(video.id)
  assert.deepEqual(listed, ids)
  const remix = await openai.videos.remix(ids[0], { prompt: 'a hat' })
  assert.equal(remix.remixed_from_video_id, ids[0])
  for (const id of [...ids, remix.id]) assert.equal((await openai.videos.delete(id)).deleted, true)
  await assert.rejects(openai.videos.retrieve(remix.id), OpenAI.NotFoundError)

  const first = await openai.responses.create({ model: 'jobs', input: 'hi' })
  const second = await openai.responses.create({ model: 'jobs', input: 'and?', previous_response_id: first.id })
  assert.equal(second.previous_response_id, first.id)
  const third = await openai.responses.stream({ model: 'jobs', input: 'and?', previous_response_id: second.id }).finalResponse()
  for (const { id } of [first, second, third]) {
    assert.equal((await openai.responses.retrieve(id)).output_text, 'said abc')
  }
  assert.equal((await openai.responses.inputItems.list(third.id)).data.length, 1)
  await openai.responses.delete(third.id)
  await assert.rejects(openai.responses.create({ model: 'jobs', input: 'and?', previous_response_id: third.id }), (error) =>
    error instanceof OpenAI.BadRequestError && error.param === 'previous_response_id')
})
