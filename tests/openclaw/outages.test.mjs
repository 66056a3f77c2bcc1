// No outage of a model's upstream stops a turn, keeps a repaired model away, or blocks the provider.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { all } from './client.mjs'
import { Outages, complaints, modes } from './outages.mjs'

/** Each kind of failure, and both kinds of models; all modes of both with the switch. */
const selection = {
  alone: ['429-daily', '401', '404', '503', 'refused', 'hang', 'cut', 'html'],
  pair: ['429', '402', '500', 'cut', 'empty'],
}
const chosen = Object.entries(selection).flatMap(([kind, ids]) =>
  modes.filter((mode) => all || ids.includes(mode.id)).map((mode) => ({ kind, mode })))
const says = {
  alone: 'the fallback answers within 5 s, and the repaired model answers the next turn',
  pair: 'the second upstream of the same model answers within 5 s',
}
let outages

before(async () => {
  outages = await Outages.start(modes)
})

after(() => outages?.stop())

for (const { kind, mode } of chosen) {
  test(`${mode.name}: ${says[kind]}`, async () => {
    const row = await outages.measure(mode, kind)
    // What blocks the provider must not spoil the tests after this one.
    if (row.nextBy === 'nobody') await outages.startAfresh(modes)
    assert.deepEqual(complaints(row, mode), [], JSON.stringify(row))
  })
}
