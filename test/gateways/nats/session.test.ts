import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { BrokerOptions } from '../../../src/index.js'
import { MODERN, NatsPeer, QUIET } from '../../helpers/nats-peer.js'
import { type NatsStreamingServer, startNatsStreaming } from '../../helpers/nats-streaming-server.js'
import { VirtualClock } from '../../helpers/virtual-clock.js'

const WITHIN = { timeout: 20_000 }
const KIB = 1024

interface TimedServer extends NatsStreamingServer {
  /** Let time pass as the sweep sees it: half a second at a time, with whatever is on its way. */
  pass(ms: number): Promise<void>
}

async function startTimed(t: TestContext, options: BrokerOptions): Promise<TimedServer> {
  const clock = new VirtualClock()
  const server = await startNatsStreaming(t, { clock, ...options })
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 500) {
      clock.advance(500)
      for (let count = 0; count < 5; count++) await turn()
    }
  }
  return { ...server, pass }
}

test('says INFO first, in a line that old clients can find', WITHIN, async (t) => {
  const { port, connect } = await startNatsStreaming(t, { natsMaxPayloadBytes: 12_345 })
  const { info } = await connect('')
  assert.match(info, /^INFO \{.*\} \r\n$/)
  assert.ok(info.length <= 4096)
  const said = JSON.parse(info.slice('INFO '.length)) as Record<string, unknown>
  assert.match(String(said.server_id), /^N[A-Z0-9]{55}$/)
  assert.match(String(said.version), /^2\.\d+\.\d+$/)
  assert.match(String(said.go), /^go/)
  const { proto, headers, max_payload, client_ip } = said
  assert.deepEqual([proto, headers, max_payload, client_ip, said.port], [1, true, 12_345, '127.0.0.1', port])
  const { info: other } = await connect('')
  const [one, two] = [info, other].map((line) => Number(/"client_id":(\d+)/.exec(line)?.[1]))
  assert.equal(two, Number(one) + 1)
})

test('answers CONNECT and PING of one write with one PONG and nothing else', WITHIN, async (t) => {
  const { pass, connect } = await startTimed(t, { natsPingIntervalMs: 1_000 })
  const slow = await connect(QUIET)
  await pass(1_500)
  await slow.ask('', '')
  const peer = await connect(`${QUIET}PING\r\n`)
  await peer.expect('PONG\r\n')
  await peer.ask('', '')
})

test('asks whoever is silent, and gives up who does not answer', WITHIN, async (t) => {
  const { pass, connect, metric } = await startTimed(t, { natsPingIntervalMs: 10_000, natsPingsOutMax: 2 })
  const peer = await connect(QUIET)
  await peer.ask('', '')
  await pass(9_000)
  assert.equal(peer.pendingBytes, 0)
  await pass(2_000)
  await peer.expect('PING\r\n')
  peer.write('PONG\r\n')
  await peer.ask('', '')
  await pass(20_500)
  await peer.expect('PING\r\nPING\r\n')
  await pass(10_500)
  assert.equal(await peer.rest(), "-ERR 'Stale Connection'\r\n")
  assert.equal(metric('timeouts_total'), 1)
})

test('ends a connection that says nothing, or does not finish what it says', WITHIN, async (t) => {
  const { pass, connect } = await startTimed(t, { handshakeTimeoutMs: 2_000, frameTimeoutMs: 5_000 })
  const [silent, trickling, half, good] = [
    await connect(''),
    await connect(''),
    await connect(QUIET),
    await connect(''),
  ]
  trickling.write('PI')
  await half.ask('', '')
  half.write('PUB a 100\r\nxyz')
  await good.ask('', '+OK\r\n'.repeat(0))
  await pass(3_000)
  assert.equal(await silent.rest(), "-ERR 'Authentication Timeout'\r\n")
  assert.equal(await trickling.rest(), "-ERR 'Authentication Timeout'\r\n")
  await pass(3_000)
  assert.equal(await half.rest(), "-ERR 'Stale Connection'\r\n")
  await good.ask('', '')
})

test('refuses a connection too many, and a subscription too many', WITHIN, async (t) => {
  const { port, connect } = await startNatsStreaming(t, { connectionsMax: 2, natsSubscriptionsMax: 2 })
  const peer = await connect(QUIET)
  await connect(QUIET)
  using third = await NatsPeer.connect(port)
  assert.equal(await third.rest(), "-ERR 'maximum connections exceeded'\r\n")
  await peer.ask('SUB a 1\r\nSUB b 2\r\nSUB c 3\r\n', "-ERR 'maximum subscriptions exceeded'\r\n")
  await peer.ask('UNSUB 1\r\nSUB c 3\r\nPUB c 0\r\n\r\n', 'MSG c 3 0\r\n\r\n')
})

test('holds limits that were set', WITHIN, async (t) => {
  const { connect } = await startNatsStreaming(t, { natsMaxPayloadBytes: 10, natsControlLineBytesMax: 256 })
  const peer = await connect(QUIET)
  await peer.ask('SUB a 1\r\nPUB a 10\r\n0123456789\r\n', 'MSG a 1 10\r\n0123456789\r\n')
  peer.write('PUB a 11\r\n')
  assert.equal(await peer.rest(), "-ERR 'Maximum Payload Violation'\r\n")
  const other = await connect(QUIET)
  other.write(`SUB ${'x'.repeat(400)}`)
  assert.equal(await other.rest(), "-ERR 'maximum control line exceeded'\r\n")
})

test('forgets the subscriptions of a connection that is gone', WITHIN, async (t) => {
  const { connect, metric } = await startNatsStreaming(t)
  const [leaving, staying] = [await connect(QUIET), await connect(MODERN)]
  // The streaming server has some of its own.
  const own = metric('subscriptions')
  await leaving.ask('SUB a 1\r\nSUB b.* q 2\r\n', '')
  await staying.ask('SUB r 1\r\nPUB a r 0\r\n\r\n', '')
  assert.equal(metric('subscriptions'), own + 3)
  leaving.socket.end()
  assert.equal(await leaving.rest(), 'MSG a 1 r 0\r\n\r\n')
  while (metric('connections') > 1) await turn()
  assert.equal(metric('subscriptions'), own + 1)
  await staying.ask('PUB a r 0\r\n\r\n', 'HMSG r 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n')
})

test('hands on bodies of every size unchanged, with headers and without, to all', WITHIN, async (t) => {
  const { connect } = await startNatsStreaming(t)
  const [publisher, knowing, plain] = [await connect(MODERN), await connect(MODERN), await connect(QUIET)]
  for (const peer of [knowing, plain]) await peer.ask('SUB s 1\r\nSUB s 2\r\n', '')
  for (const bytes of [0, 1, 63, 64, 65, 1_000, 16_383, 16_384, 16_385, 65_535, 65_536, 300_000]) {
    const body = Buffer.alloc(bytes, `${bytes}\r\n`)
    const block = Buffer.from(`NATS/1.0\r\nk: ${bytes}\r\n\r\n`)
    const [head, all] = [block.length, block.length + bytes]
    publisher.write(Buffer.concat([Buffer.from(`PUB s ${bytes}\r\n`), body, Buffer.from('\r\n')]))
    publisher.write(Buffer.concat([Buffer.from(`HPUB s r ${head} ${all}\r\n`), block, body, Buffer.from('\r\n')]))
    const end = Buffer.from('\r\n')
    const msg = (sid: number, reply: string) => [Buffer.from(`MSG s ${sid} ${reply}${bytes}\r\n`), body, end]
    const hmsg = (sid: number) => [Buffer.from(`HMSG s ${sid} r ${head} ${all}\r\n`), block, body, end]
    await knowing.expect(Buffer.concat([msg(1, ''), msg(2, ''), hmsg(1), hmsg(2)].flat()))
    await plain.expect(Buffer.concat([msg(1, ''), msg(2, ''), msg(1, 'r '), msg(2, 'r ')].flat()))
  }
})

test('leaves out a message whose control line no client could read', WITHIN, async (t) => {
  const { connect, metric } = await startNatsStreaming(t)
  const peer = await connect(QUIET)
  await peer.ask('SUB > 1\r\n', '')
  const [subject, reply] = ['s'.repeat(2_000), 'r'.repeat(2_000)]
  await peer.ask(`PUB ${subject} ${reply} 1\r\nx\r\n`, `MSG ${subject} 1 ${reply} 1\r\nx\r\n`)
  await peer.ask(`PUB ${subject} ${reply}${'r'.repeat(80)} 1\r\nx\r\n`, '')
  assert.equal(metric('unreadable_total'), 1)
})

test('ends a reader that does not read, and slows its publisher down before', WITHIN, async (t) => {
  const { connect, metric } = await startNatsStreaming(t, { natsPendingBytesMax: 8 * KIB * KIB })
  const [publisher, frozen, reader] = [await connect(QUIET), await connect(QUIET), await connect(QUIET)]
  await frozen.ask('SUB s 1\r\n', '')
  await reader.ask('SUB t 1\r\n', '')
  frozen.socket.pause()
  const message = Buffer.concat([Buffer.from(`PUB s ${64 * KIB}\r\n`), Buffer.alloc(64 * KIB), Buffer.from('\r\n')])
  while (metric('slow_consumers_total') === 0) {
    publisher.write(message)
    await publisher.ask('PUB t 1\r\nx\r\n', '')
    await reader.expect('MSG t 1 1\r\nx\r\n')
  }
  assert.ok(metric('publisher_waits_total') > 0)
  while (metric('connections') > 2) await turn()
  await publisher.ask('PUB t 1\r\ny\r\n', '')
  await reader.expect('MSG t 1 1\r\ny\r\n')
})

test('ends a reader that does not read within the deadline', WITHIN, async (t) => {
  const { pass, connect, metric } = await startTimed(t, { natsWriteDeadlineMs: 5_000 })
  const [publisher, frozen] = [await connect(QUIET), await connect(QUIET)]
  await frozen.ask('SUB s 1\r\n', '')
  frozen.socket.pause()
  const message = Buffer.concat([Buffer.from(`PUB s ${KIB * KIB}\r\n`), Buffer.alloc(KIB * KIB), Buffer.from('\r\n')])
  for (let count = 0; count < 7; count++) {
    publisher.write(message)
    await publisher.ask('', '')
  }
  await pass(4_000)
  assert.equal(metric('slow_consumers_total'), 0)
  await pass(3_000)
  assert.equal(metric('slow_consumers_total'), 1)
})

test('finishes what it has, and hangs up, when the server stops', WITHIN, async (t) => {
  const { broker, connect } = await startNatsStreaming(t)
  const peer = await connect(QUIET)
  await peer.ask('SUB a 1\r\n', '')
  await broker.stop({ deadlineMs: 1_000 })
  assert.equal(await peer.rest(), '')
})
