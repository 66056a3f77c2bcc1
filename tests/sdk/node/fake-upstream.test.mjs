// The contract holds for the fake upstream itself: what fails elsewhere is not the fake's fault.
import { after, before } from 'node:test'
import { startUpstream } from '../../js/servers.mjs'
import { contract } from './contract.mjs'

let upstream

before(async () => {
  upstream = await startUpstream()
  const faults = ['rate_limited_seconds', 'context_length400', 'status500', 'error_after_content']
  await upstream.control('models', ['small', ...faults.map((fault) => `fault:${fault}`)])
  await upstream.control('keys', { key: 'key-good' })
})

after(() => upstream?.stop())

contract(() => ({ baseURL: upstream.baseUrl, apiKey: 'key-good' }))
