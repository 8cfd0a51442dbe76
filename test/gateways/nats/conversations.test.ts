/**
 * Answers as nats-server does, byte by byte: see test/peers/nats-server.test.ts for where the answers are from.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createBroker, type EmbeddedBroker } from '../../../src/index.js'
import { natsAnswers } from '../../helpers/nats-answers.js'
import { CONVERSATIONS, converse } from '../../helpers/nats-conversations.js'
import { natsPort } from '../../helpers/nats-streaming-server.js'

const answers = natsAnswers()

describe('the NATS protocol, as nats-server speaks it', () => {
  let broker: EmbeddedBroker | null = null

  before(async () => {
    broker = await createBroker({ natsStreaming: 0 })
  })

  after(async () => {
    await broker?.stop({ deadlineMs: 0 })
  })

  test('every conversation has its answers, and each its own title', () => {
    assert.deepEqual([...answers.keys()].sort(), [...CONVERSATIONS.map(({ title }) => title)].sort())
  })

  for (const conversation of CONVERSATIONS) {
    test(conversation.title, { timeout: 10_000 }, async () => {
      assert.ok(broker !== null)
      assert.deepEqual(await converse(natsPort(broker), conversation), answers.get(conversation.title))
    })
  }
})
