/**
 * nats-server itself still answers as it was written down, which is what leveret is held to.
 */
import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { after, before, describe, test } from 'node:test'
import type { ChildServer } from '../../bench/harness/child-server.js'
import { findNats, startNats } from '../../bench/peers/nats.js'
import { natsAnswers } from '../helpers/nats-answers.js'
import { CONVERSATIONS, converse } from '../helpers/nats-conversations.js'
import { findPeer } from '../helpers/peer.js'

const peer = findPeer('nats-server')
const nats = findNats()
const answers = natsAnswers()

describe('nats-server', { skip: peer.found ? false : peer.skip }, () => {
  let server: ChildServer | null = null

  before(async () => {
    assert.ok(nats !== null)
    server = await startNats(nats, tmpdir())
  })

  after(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  for (const conversation of CONVERSATIONS) {
    test(`answers as it was written down: ${conversation.title}`, { timeout: 10_000 }, async () => {
      assert.ok(server !== null)
      assert.deepEqual(await converse(server.port, conversation), answers.get(conversation.title))
    })
  }
})
