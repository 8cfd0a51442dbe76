/**
 * Programs that use `stan.go`, unchanged, meet leveret: what its own tests hold the original to, with `stan.go` 0.10.4. Each
 * scenario is a function in test/peers/stan-go. Sequences are told as `3`, or `3r2` when redelivered for the second time.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { NatsStreamingProcess } from '../helpers/nats-streaming-process.js'
import { startNatsStreaming } from '../helpers/nats-streaming-server.js'
import { buildStanGo, runStanGo } from '../helpers/stan-go-peer.js'

const peer = buildStanGo()
const OPTIONS = { skip: peer.skip, timeout: 60_000 }
const GONE = 'client has been replaced or is no longer registered'
const CLOSED = 'stan: connection closed'
const INVALID = 'stan: invalid subscription'
const NATS_CLOSED = 'nats: connection closed'
const UNSENT = 'nats: outbound buffer limit exceeded'

/** On a server in this process. */
async function meet(t: TestContext, scenario: string): Promise<string[]> {
  const { port } = await startNatsStreaming(t)
  return await runStanGo(t, peer, `nats://127.0.0.1:${port}`, scenario)
}

/** On a server of its own, to which the scenario has things done. */
async function meetProcess(t: TestContext, server: NatsStreamingProcess, scenario: string): Promise<string[]> {
  return await runStanGo(t, peer, server.url, scenario, {
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
    kill: () => server.kill(),
    start: () => server.start(),
  })
}

test('a cluster of another name is not there, and asking for it leaves nothing behind', OPTIONS, async (t) => {
  const server = await startNatsStreaming(t)
  const printed = await runStanGo(t, peer, `nats://127.0.0.1:${server.port}`, 'wrong cluster', {
    'look who is there': async () => {
      assert.equal(server.metric('connections_accepted_total'), 2)
      while (server.metric('connections') !== 1) await pause(10)
    },
  })
  assert.deepEqual(printed, [
    'stan: connect request timeout (possibly wrong cluster ID?)',
    '0 subscriptions left behind, connected: true',
  ])
})

test('a name is taken until its client closes, and has to be a name', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'name taken'), [
    'stan: clientID already registered',
    'stan: clientID already registered',
    '0 subscriptions left behind',
    'the first publishes: no error',
    'after its close: no error',
    'stan: invalid clientID: only alphanumeric and `-` or `_` characters allowed',
  ])
})

test('a connection of NATS that was lent outlives the client, and serves the next', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'borrowed'), [
    'its own: true',
    'none after the close: true',
    'connected: true',
    'still here',
    'publishes again: no error',
    'stan: invalid connection',
  ])
})

test('a client goes where its URL says, with options of NATS', OPTIONS, async (t) => {
  const { port } = await startNatsStreaming(t)
  const url = `nats://127.0.0.1:${port}`
  assert.deepEqual(await runStanGo(t, peer, url, 'options'), ['me', url, 'another', 'closed: no error'])
  assert.deepEqual(await runStanGo(t, peer, url, 'no server'), ['nats: no servers available for connection'])
})

test('each publish has the IDs of client and connection', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'both identifiers'), ['me true true hello'])
})

test('ten thousand publishes are each answered once', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'publish'), [
    'no error',
    '10000 once each: map[no error:10000]',
    '10000 are those that were published',
  ])
})

test('names with wildcards or empty tokens are no channels', OPTIONS, async (t) => {
  const subject = 'stan: invalid subject; stan: invalid subject'
  assert.deepEqual(await meet(t, 'names'), [
    ...['foo.*', 'foo.>', '*', '>'].map((name) => `"${name}": ${subject}; stan: invalid publish request`),
    ...['foo..bar', '.foo', 'foo.', ''].map((name) => `"${name}": ${subject}; stan: publish ack timeout`),
    'then: no error',
  ])
})

test('one channel too many is refused to publishers and subscribers', OPTIONS, async (t) => {
  const server = await NatsStreamingProcess.start(t, ['--max_channels', '2'])
  assert.deepEqual(await meetProcess(t, server, 'many channels'), [
    '3 once each: map[no error:2 too many channels:1]',
    'too many channels',
    'too many channels',
    'one that is there: no error, no error',
  ])
})

test('a publish waits while as many are without an answer as may be', OPTIONS, async (t) => {
  const server = await NatsStreamingProcess.start(t)
  assert.deepEqual(await meetProcess(t, server, 'publishes in flight'), [
    'the second had to wait: true',
    '2 once each: map[no error:1 stan: publish ack timeout:1]',
    'no error',
  ])
})

test('publishes to a server that is frozen time out, each once', OPTIONS, async (t) => {
  const server = await NatsStreamingProcess.start(t)
  assert.deepEqual(await meetProcess(t, server, 'publishes unheard'), [
    'stan: publish ack timeout',
    '1000 once each: map[stan: publish ack timeout:1000]',
  ])
})

test('a client whose connection was closed below is told so', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'closed below'), [NATS_CLOSED, NATS_CLOSED, NATS_CLOSED])
})

test('messages come once, in order, as they were published', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'publish and subscribe'), [
    '500 of 500 in order, 500 with their data, 500 with a time',
  ])
})

test('a subscription begins exactly where it is told', OPTIONS, async (t) => {
  const [all, last, half, fresh] = ['1 2 3 4 5 6 7 8 9 10 11 12', '10 11 12', '6 7 8 9 10 11 12', '11 12']
  assert.deepEqual(await meet(t, 'start positions'), [
    `first: ${all}`,
    `StartPosition_First: ${all}`,
    `last: ${last}`,
    `StartPosition_LastReceived: ${last}`,
    `sequence 6: ${half}`,
    `sequence 1000: ${fresh}`,
    `time: ${half}`,
    `time of before all: ${all}`,
    `time to come: ${fresh}`,
    `time delta: ${half}`,
    `nothing said: ${fresh}`,
    `StartPosition_NewOnly: ${fresh}`,
  ])
})

test('members of a queue share, and others get everything', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'queue'), [
    'each once: true',
    'both had their share: true',
    'who is in no group got each: true',
  ])
})

test('a durable queue goes on when its last member was closed, and ends when it unsubscribes', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'durable queue'), [
    "stan: durable name of a durable queue subscriber can't contain the character ':'",
    'each once: true',
    'after its close: 21 22 23 24 25',
    'after its end: each of 25: true',
  ])
})

test('nothing comes twice to a subscription that starts under load', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'start under load'), ['each once: true'])
})

test('a subscription counts what waits for its handler, and what it dropped for it', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'counters'), [
    'valid: true',
    '4 pending, 6 dropped, 1 delivered',
    `valid: false, ${INVALID}`,
  ])
})

test('acks by hand make room for as many', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'manual acks'), [
    '1 2 3 4 5 6 7 8 9 10',
    '11 12 13 14',
    '15 16 17 18 19 20 21 22 23 24',
    '25 26 27 28 29 30',
    INVALID,
    'stan: cannot manually ack in auto-ack mode',
  ])
})

test('what is not acked comes again after the ack wait, flagged and counted, until it is', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'redelivery'), [
    '1 2 3',
    '1r1 2r1 3r1',
    'after the ack wait: true',
    '1r2 2r2 3r2',
    '4 5',
    '11 in all',
  ])
})

test('a durable goes on at what it had not acked when its client comes back', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'durable'), [
    '1 2 3 4 5 6 7 8 9 10',
    'stan: duplicate durable registration',
    '6r1 7r1 9r1 10r1 11 12',
    '13',
    '1 2 3 4 5 6 7 8 9 10 11 12 13',
  ])
})

test('unsubscribing or closing a subscription twice is an error, and others go on', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'unsubscribe'), [
    `no error; ${INVALID}`,
    `no error; ${INVALID}`,
    `${INVALID}; ${INVALID}`,
    '1 2 3 4 5; 1 2 3 4 5',
    '0; 0',
  ])
})

test('closing twice is none, and anything after it is', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'close'), [
    'no error; no error',
    CLOSED,
    CLOSED,
    CLOSED,
    CLOSED,
    'no error',
    '0 messages',
  ])
})

test('requests that timed out were done all the same when the server thaws', OPTIONS, async (t) => {
  const server = await NatsStreamingProcess.start(t)
  assert.deepEqual(await meetProcess(t, server, 'requests unheard'), [
    'stan: unsubscribe request timeout',
    'stan: close request timeout',
    INVALID,
    INVALID,
    'stan: close request timeout',
    'stan: unknown clientID; no error',
  ])
})

test('a subscription that came too late is removed by its inbox', OPTIONS, async (t) => {
  const server = await NatsStreamingProcess.start(t, ['--max_subs', '1'])
  assert.deepEqual(await meetProcess(t, server, 'subscribe unheard'), [
    'stan: subscribe request timeout',
    'no error',
    'too many subscriptions per channel',
    '1',
  ])
})

test('requests that could not be sent are made again after a kill', OPTIONS, async (t) => {
  const server = await NatsStreamingProcess.startKept(t)
  assert.deepEqual(await meetProcess(t, server, 'requests unsent'), [
    UNSENT,
    `no error; ${INVALID}`,
    UNSENT,
    'no error; no error',
    'no error',
  ])
})

test('clients that close in the midst of anything have left', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'races'), ['20 rounds'])
})

test('pings without an answer end a client, and the publishes that wait', OPTIONS, async (t) => {
  const server = await NatsStreamingProcess.start(t)
  assert.deepEqual(await meetProcess(t, server, 'pings unanswered'), [
    'a ping: no error',
    'no error',
    'stan: connection lost due to PING failure',
    'after three pings: true',
    `map[${CLOSED}:20]`,
    'none: true',
    CLOSED,
  ])
})

test('a client that its server forgot hears of that by its next ping', OPTIONS, async (t) => {
  const server = await NatsStreamingProcess.start(t)
  assert.deepEqual(await meetProcess(t, server, 'forgotten'), [GONE, CLOSED, 'no error'])
})

test('a client that was replaced can publish no more, and hears of that by its next ping', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'replaced'), [
    'no error',
    'no error',
    'stan: invalid publish request',
    GONE,
    'no error',
  ])
})

test('a client that closes is told of no loss, and one whose connection is closed below is', OPTIONS, async (t) => {
  assert.deepEqual(await meet(t, 'normal ends'), ['told of nothing', NATS_CLOSED])
})

test('a program goes on by itself when a server with its store was killed', OPTIONS, async (t) => {
  const server = await NatsStreamingProcess.startKept(t)
  assert.deepEqual(await meetProcess(t, server, 'over a crash'), [
    'no error',
    '2r1 3r1 4',
    'no error; no error',
    'told of nothing',
  ])
})
