// What a program that uses the official `openai` package expects of an endpoint; Python's contract.py is its twin.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import OpenAI from 'openai'
import { expectedText } from '../../js/servers.mjs'

const messages = (prompt) => [{ role: 'system', content: 'Answer.' }, { role: 'user', content: prompt }]
const contentOf = (chunk) => chunk.choices[0]?.delta.content ?? ''

/** Declares the tests. `endpoint()` gives `{ baseURL, apiKey }`; `model` is one that works. */
export function contract(endpoint, { model = 'small' } = {}) {
  const client = (options) => new OpenAI({ ...endpoint(), maxRetries: 0, timeout: 30_000, ...options })
  const chat = (prompt, options) =>
    client().chat.completions.create({ model, messages: messages(prompt), ...options })

  test('a plain answer arrives whole with its usage', async () => {
    const answer = await chat('marker=plain words=7')
    assert.equal(answer.choices[0].message.content, expectedText('plain', 7))
    assert.equal(answer.model, model)
    assert.equal(answer.usage.completion_tokens, 8)
  })

  test('a stream arrives whole, with a usage chunk only when it was asked for', async () => {
    for (const asked of [false, true]) {
      const options = asked ? { stream: true, stream_options: { include_usage: true } } : { stream: true }
      let text = ''
      let usages = 0
      for await (const chunk of await chat('marker=stream words=40', options)) {
        text += contentOf(chunk)
        usages += chunk.usage ? 1 : 0
      }
      assert.equal(text, expectedText('stream', 40))
      assert.equal(usages, asked ? 1 : 0)
    }
  })

  test('twenty streams at once are not mixed up', async () => {
    const texts = await Promise.all(Array.from({ length: 20 }, async (_, number) => {
      let text = ''
      for await (const chunk of await chat(`marker=m${number} words=30 delay=2`, { stream: true })) text += contentOf(chunk)
      return text
    }))
    assert.deepEqual(texts, texts.map((_, number) => expectedText(`m${number}`, 30)))
  })

  test('a tool call arrives streamed', async () => {
    const tools = [{ type: 'function', function: { name: 'look_up', parameters: { type: 'object' } } }]
    const stream = client().chat.completions.stream({ model, messages: messages('marker=tool tool=1'), tools })
    const [call] = (await stream.finalChatCompletion()).choices[0].message.tool_calls
    assert.deepEqual(call.function.arguments, '{"marker":"tool"}')
  })

  test('text completions and embeddings work', async () => {
    const completion = await client().completions.create({ model, prompt: 'marker=text words=2' })
    assert.equal(completion.choices[0].text, expectedText('text', 2))
    for (const encoding_format of [undefined, 'float']) {
      const answer = await client().embeddings.create({ model, input: ['one', 'two'], encoding_format })
      assert.deepEqual(answer.data.map((item) => item.embedding.slice(0, 2)), [[3, 322], [3, 346]])
    }
  })

  test('the models are listed', async () => {
    const ids = []
    for await (const listed of client().models.list()) ids.push(listed.id)
    assert.ok(ids.includes(model), ids.join())
  })

  test('a client that leaves a stream gets no error', async () => {
    const stream = await chat('marker=leave words=500 delay=10', { stream: true })
    for await (const chunk of stream) if (contentOf(chunk)) break
    assert.ok(stream.controller.signal.aborted)
  })

  test('each failure raises its own class of error', async () => {
    const raises = (promise, kind, code) =>
      assert.rejects(promise, (error) => error instanceof kind && (code === undefined || error.code === code))
    const wrong = client({ apiKey: 'sk-wrong' }).chat.completions.create({ model, messages: messages('hi') })
    await raises(wrong, OpenAI.AuthenticationError, 'invalid_api_key')
    await raises(chat('hi', { model: 'no-such-model' }), OpenAI.NotFoundError, 'model_not_found')
    await raises(chat('hi', { model: 'fault:rate_limited_seconds' }), OpenAI.RateLimitError)
    await raises(chat('hi', { model: 'fault:context_length400' }), OpenAI.BadRequestError)
    await raises(chat('hi', { model: 'fault:status500' }), OpenAI.InternalServerError)
  })

  test('an error in the middle of a stream raises after the content', async () => {
    let text = ''
    const read = async () => {
      const options = { model: 'fault:error_after_content', stream: true }
      for await (const chunk of await chat('marker=cut words=9', options)) text += contentOf(chunk)
    }
    await assert.rejects(read(), OpenAI.APIError)
    assert.ok(text.includes('cut.0') && expectedText('cut', 9).startsWith(text), text)
  })
}
