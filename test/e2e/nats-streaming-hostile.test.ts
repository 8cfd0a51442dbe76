/**
 * NATS Streaming with clients that fail as machines and networks do, or say what nobody understands, against a real server: each
 * has its answer or its end, at little cost, and nobody else notices.
 */
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fc } from '../helpers/fast-check.js'
import { pause } from '../helpers/kill-server.js'
import { Running } from '../helpers/leveret-process.js'
import { NatsWire } from '../helpers/nats-wire.js'
import { grownBytes, residentBytes } from '../helpers/process-memory.js'
import { SEED as seed } from '../helpers/seed.js'
import { stanBytes, stanFields } from '../helpers/stan-messages.js'
import { FIRST, StanPeer } from '../helpers/stan-peer.js'
import { TcpProxy } from '../helpers/tcp-proxy.js'

const LAUNCHER = fileURLToPath(new URL('../../bin/nats-streaming-server.js', import.meta.url))
const MIB = 1024 * 1024
const WITHIN = { timeout: 90_000 }
const FLAGS = ['-a', '127.0.0.1', '-p', '-1', '-mc', '0']
/** For clients that are to be missed soon: asked every second, and closed when they do not answer for two. */
const [HEARTBEAT_MS, ANSWER_MS] = [1_000, 2_000]
const IMPATIENT = ['-hbi', `${HEARTBEAT_MS}ms`, '-hbt', `${ANSWER_MS}ms`, '-hbf', '0']

let server: Running
let port: number
/** Somebody else, connected first and asked after every test. */
let witness: StanPeer
const peers: StanPeer[] = []

async function launch(flags: readonly string[]): Promise<readonly [Running, number]> {
  const running = new Running([LAUNCHER, ...FLAGS, ...flags], {})
  const [, found] = await running.printed(/Listening for client connections on 127\.0\.0\.1:(\d+)\n/, 'stderr')
  return [running, Number(found)]
}

async function end(running: Running): Promise<void> {
  running.signal('SIGTERM')
  const { code, stderr } = await running.ended
  assert.equal(code, 143, stderr)
  assert.doesNotMatch(stderr, /\[FTL\]/)
}

before(async () => {
  ;[server, port] = await launch([])
  witness = await connected('witness')
  await othersGoOn()
})

after(async () => {
  for (const peer of peers) peer.wire.close()
  await end(server)
})

async function connected(name: string, at = port): Promise<StanPeer> {
  const peer = await StanPeer.connect(at, name)
  peers.push(peer)
  return peer
}

async function othersGoOn(): Promise<void> {
  assert.equal(await witness.publish('witness', 'x'), '')
  assert.equal(await witness.ping(), '')
}

async function impatient(t: TestContext): Promise<readonly [Running, number]> {
  const launched = await launch(IMPATIENT)
  t.after(() => launched[0].signal('SIGKILL'))
  return launched
}

test('one that takes its time, and one that acks nothing, hold up none of the quick ones (R14)', WITHIN, async () => {
  const [messages, bytes] = [4_000, 1_000]
  const publisher = await connected('r14-publisher')
  const payload = Buffer.alloc(bytes, 'x')
  const round = async (channel: string): Promise<number> => {
    const quick: Promise<unknown>[] = []
    for (let index = 0; index < 5; index++) {
      const peer = await connected(`${channel}-quick-${index}`)
      const subscription = await peer.subscribe({ subject: channel, maxInFlight: messages })
      quick.push(subscription.until(messages))
    }
    const startMs = performance.now()
    const first = publisher.acks.length
    for (let sent = 0; sent < messages; sent += 500) {
      for (let count = 0; count < 500; count++) publisher.send(channel, payload)
      await publisher.acked(first + sent + 500)
    }
    await Promise.all(quick)
    return performance.now() - startMs
  }
  await round('r14-warm')
  const alone = await round('r14-alone')
  const { pid } = server.child
  const resident = residentBytes(pid)
  const slow = await connected('r14-slow')
  const subscription = await slow.subscribe({ subject: 'r14-beside', maxInFlight: 1 })
  const stuck = await connected('r14-stuck')
  await stuck.subscribe({ subject: 'r14-beside', maxInFlight: 16_384 })
  stuck.wire.pause()
  const beside = await round('r14-beside')
  for (let sequence = 1; sequence <= 3; sequence++) {
    await subscription.until(sequence)
    assert.deepEqual(subscription.sequences.at(-1), sequence)
    slow.ack(subscription, sequence)
  }
  // The machine has others to serve: what must not be is that one waits for the other.
  assert.ok(beside < 3 * alone + 500, `${Math.round(beside)} ms beside slow ones, ${Math.round(alone)} ms without`)
  assert.ok(grownBytes(pid, resident) < 96 * MIB, `${grownBytes(pid, resident)} bytes`)
  await othersGoOn()
})

test('one that stops reading is let go of, and its durable goes on (R15)', WITHIN, async (t) => {
  const [running, its] = await impatient(t)
  const publisher = await connected('publisher', its)
  const frozen = await connected('frozen', its)
  const durable = { subject: 'foo', durableName: 'dur', startPosition: FIRST, maxInFlight: 16_384 }
  await frozen.subscribe(durable)
  frozen.wire.pause()
  const payload = Buffer.alloc(10_000, 'x')
  for (let round = 1; round <= 20; round++) {
    for (let count = 0; count < 20; count++) publisher.send('foo', payload)
    await publisher.acked(20 * round)
  }
  await running.printed(/\[Client:frozen\] Timed out on heartbeats/, 'stderr')
  const back = await connected('frozen', its)
  const resumed = await back.subscribe(durable)
  await resumed.until(400)
  assert.equal(new Set(resumed.sequences).size, 400)
  assert.equal(await publisher.ping(), '')
  await end(running)
})

test(
  'one whose network swallows everything is noticed, and others of its group get what it had (R16)',
  WITHIN,
  async (t) => {
    const [running, its] = await impatient(t)
    await using proxy = await TcpProxy.start(its)
    const group = { subject: 'foo', qGroup: 'q', durableName: 'dur', startPosition: FIRST, ackWaitInSecs: 60 }
    const lost = await connected('lost', proxy.port)
    const first = await lost.subscribe(group)
    const publisher = await connected('publisher', its)
    await publisher.fill('foo', 10)
    await first.until(10)
    const second = await (await connected('there', its)).subscribe(group)
    proxy.swallow()
    const startMs = performance.now()
    await second.until(10)
    const tookMs = performance.now() - startMs
    // Until it is asked, until it should have answered, and what a busy machine adds.
    assert.ok(tookMs < HEARTBEAT_MS + ANSWER_MS + 2_000, `${tookMs} ms`)
    assert.ok(second.messages.every(({ isRedelivered }) => isRedelivered))
    assert.deepEqual(new Set(second.sequences), new Set(Array.from({ length: 10 }, (_, index) => index + 1)))
    await end(running)
  },
)

const REQUESTS = {
  'discover.test-cluster': ['ConnectRequest', 'ConnectResponse'],
  'pub.test-cluster.fuzz': ['PubMsg', 'PubAck'],
  'sub.test-cluster': ['SubscriptionRequest', 'SubscriptionResponse'],
  'unsub.test-cluster': ['UnsubscribeRequest', 'SubscriptionResponse'],
  'subclose.test-cluster': ['UnsubscribeRequest', 'SubscriptionResponse'],
  'close.test-cluster': ['CloseRequest', 'CloseResponse'],
} as const
type Subject = keyof typeof REQUESTS

/** Of fields that are told by their length: 2^31-1, 2^32-1, 2^53, 2^64-1, -1 as an integer of ten bytes, and eleven bytes. */
const LENGTHS = [
  'ffffffff07',
  'ffffffff0f',
  '8080808080808010',
  'ffffffffffffffffff01',
  'ffffffffffffffffffff01',
  'ffffffffffffffffffffff7f',
]

test('lengths within messages that cannot be are refused at no cost (R18)', WITHIN, async () => {
  const peer = await connected('r18')
  const { pid } = server.child
  const round = async (): Promise<void> => {
    for (const [subject, [, answer]] of Object.entries(REQUESTS)) {
      for (const length of LENGTHS) {
        for (const tag of ['0a', '12', '1a', '22', '2a', '32', '7a']) {
          const payload = Buffer.from(`${tag}${length}6162`, 'hex')
          const { error } = stanFields(answer, await peer.request(`_STAN.${subject}`, payload))
          assert.match(String(error), /^stan: invalid \w+ request$/, `${subject} ${tag}${length}`)
        }
      }
    }
  }
  for (let warm = 0; warm < 5; warm++) await round()
  const resident = residentBytes(pid)
  await round()
  assert.ok(grownBytes(pid, resident) < 2 * MIB, `${grownBytes(pid, resident)} bytes`)
  await othersGoOn()
})

const text = fc.oneof(
  fc.constantFrom(
    '',
    'fuzz',
    'fuzz.*',
    '..',
    'a/b',
    'fuzz-client',
    'q',
    'a:b',
    '_INBOX.fuzz',
    'witness',
    'x'.repeat(100),
  ),
  fc.string({ maxLength: 8 }),
)
const integer = fc.constantFrom(0, 1, -1, 4, 5, 1024, 2 ** 31 - 1, -(2 ** 31))
const bytes = fc.uint8Array({ maxLength: 20 }).map((each) => Buffer.from(each))
const MESSAGES: Readonly<Record<string, fc.Arbitrary<Record<string, unknown>>>> = {
  ConnectRequest: fc.record(
    {
      clientID: text,
      heartbeatInbox: text,
      protocol: integer,
      connID: bytes,
      pingInterval: integer,
      pingMaxOut: integer,
    },
    { requiredKeys: [] },
  ),
  PubMsg: fc.record({ clientID: text, guid: text, subject: text, reply: text, data: bytes }, { requiredKeys: [] }),
  SubscriptionRequest: fc.record(
    {
      clientID: text,
      subject: text,
      qGroup: text,
      inbox: text,
      maxInFlight: integer,
      ackWaitInSecs: integer,
      durableName: text,
      startPosition: integer,
      startSequence: integer,
      startTimeDelta: integer,
    },
    { requiredKeys: [] },
  ),
  UnsubscribeRequest: fc.record(
    { clientID: text, subject: text, inbox: text, durableName: text },
    { requiredKeys: [] },
  ),
  CloseRequest: fc.record({ clientID: text }, { requiredKeys: [] }),
}
const request = fc.constantFrom(...(Object.keys(REQUESTS) as Subject[])).chain((subject) => {
  const [name] = REQUESTS[subject]
  const whole = (MESSAGES[name] as fc.Arbitrary<Record<string, unknown>>)
    // Nobody but the witness speaks for it.
    .filter(({ clientID }) => clientID !== 'witness')
    .map((fields) => stanBytes(name, fields))
  const damaged = fc.tuple(whole, fc.nat(), fc.nat(255)).map(([message, place, byte]) => {
    const copy = Buffer.from(message)
    if (copy.length > 0) copy[place % copy.length] = byte
    return copy
  })
  const cut = fc.tuple(whole, fc.nat()).map(([message, place]) => message.subarray(0, place % (message.length + 1)))
  return fc.tuple(fc.constant(subject), fc.oneof(whole, damaged, cut, bytes))
})

/** A guid comes back as it came, and may be no text. */
function errorIn(subject: Subject, answer: Buffer): string {
  const bytes = answer[0] === 0x0a && subject.startsWith('pub') ? answer.subarray(2 + (answer[1] ?? 0)) : answer
  return String(stanFields(REQUESTS[subject][1], bytes).error ?? '')
}

const ERRORS = [
  /^$/,
  /^stan: (invalid|unknown|duplicate|clientID|durable name|channel) ?.*/,
  /^rejecting channel ".*" because channel ".*" alreay exists \(different cases not allowed\)$/s,
  /^topic ".*" cannot be a channel: /s,
  /^too many /,
]

test('whatever comes is answered, once, with an error that clients know (R19)', WITHIN, async (t) => {
  const peer = await connected('fuzz-client')
  const { pid } = server.child
  let resident = residentBytes(pid)
  let runs = 0
  t.diagnostic(`seed ${seed}`)
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 12 }), async (requests) => {
      if (++runs === 100) resident = residentBytes(pid)
      const answers = await Promise.all(requests.map(([subject, payload]) => peer.request(`_STAN.${subject}`, payload)))
      for (const [index, answer] of answers.entries()) {
        const [subject] = requests[index] as [Subject, Buffer]
        const error = errorIn(subject, answer)
        assert.ok(
          ERRORS.some((each) => each.test(error)),
          `${subject}: ${error}`,
        )
      }
      for (const [, payload] of requests) peer.wire.publish('_STAN.discover.test-cluster.pings', payload, 'nobody')
      await othersGoOn()
    }),
    { seed, numRuns: Number(process.env.LEVERET_RUNS ?? 200), endOnFailure: true },
  )
  assert.ok(grownBytes(pid, resident) < 48 * MIB, `${grownBytes(pid, resident)} bytes`)
})

test('a request is the same however its bytes are cut (R19)', WITHIN, async () => {
  using wire = await NatsWire.open(port)
  const answers: string[] = []
  wire.subscribe('cut', ({ payload }) => answers.push(payload.toString('hex')))
  const payload = stanBytes('SubscriptionRequest', {
    clientID: 'nobody',
    subject: 'cut',
    maxInFlight: 1,
    ackWaitInSecs: 1,
  })
  const whole = Buffer.concat([
    Buffer.from(`PUB _STAN.sub.test-cluster cut ${payload.length}\r\n`),
    payload,
    Buffer.from('\r\n'),
  ])
  wire.write(whole)
  for (let place = 1; place < whole.length; place++) {
    wire.write(whole.subarray(0, place))
    await pause(1)
    wire.write(whole.subarray(place))
  }
  await wire.flush()
  assert.equal(answers.length, whole.length)
  assert.equal(new Set(answers).size, 1)
  assert.equal(stanFields('SubscriptionResponse', Buffer.from(answers[0] ?? '', 'hex')).error, 'stan: unknown clientID')
})
