/**
 * The Floki dialect through kills and stops of whole processes: what was answered is kept, what was acked stays acked, and
 * channels go on where they were.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { FlokiPeer, messagesOf } from '../helpers/floki-server.js'
import { MortalServer } from '../helpers/kill-server.js'
import { RespPeer } from '../helpers/resp-peer.js'
import type { RespValue } from '../helpers/resp-values.js'

const PRODUCERS = 3
const ROUNDS = 3
const ACKS_PER_ROUND = 1500
/** Requests under way of one producer. */
const WINDOW = 16

async function makeServer(t: TestContext): Promise<MortalServer> {
  const server = await MortalServer.make(['--floki', '0'])
  t.after(() => server.remove())
  return server
}

async function startWith(t: TestContext, server: MortalServer): Promise<() => Promise<FlokiPeer>> {
  await server.start()
  const [, port] = await server.printed(/^listening floki 127\.0\.0\.1:(\d+)$/m)
  return async () => {
    const raw = await RespPeer.connect(Number(port))
    t.after(() => raw[Symbol.dispose]())
    return new FlokiPeer(raw)
  }
}

test('keeps messages in flight, options and ids through a kill', { timeout: 60_000 }, async (t) => {
  const server = await makeServer(t)
  const first = await (await startWith(t, server))()
  await first.expect('SET q c', '+OK')
  await first.expect('SETNX q d', '+OK')
  await first.expect('CONFIG SET queues.q.message_timeout 5s', '+OK')
  await first.expect('CONFIG SET server.message_timeout 45s', '+OK')
  await first.expect('RPUSH q a b c', ':3')
  const taken = await first.fetch('HMGET q c 3')
  await first.expect(`HDEL q c ${taken[1]?.ticket}`, ':1')
  await first.expect('HMSET q d ID 9', ':2')
  await server.kill()

  const second = await (await startWith(t, server))()
  const again = await second.fetch('HMGET q c 3')
  assert.deepEqual(
    again.map(({ id }) => id),
    [1, 3],
  )
  for (const { ticket } of taken) {
    assert.ok(!again.some((message) => message.ticket === ticket))
    await second.expect(`HDEL q c ${ticket}`, ':0')
  }
  const config = (await second.json('CONFIG GET queues')) as { q: { message_timeout: number } }
  assert.equal(config.q.message_timeout, 5)
  await second.expect('SET new c', '+OK')
  const made = (await second.json('CONFIG GET queues.new')) as { new: { message_timeout: number } }
  assert.equal(made.new.message_timeout, 45)
  await second.expect('RPUSH q d e', ':2')
  await second.expect('HMGET q d 10', '*0')
  await second.expect('SREM q *', ':1')
  await second.expect('RPUSH q f', ':1')
  await server.kill()

  const third = await (await startWith(t, server))()
  for (const channel of 'cd') {
    const messages = await third.fetch(`HMGET q ${channel} 10`)
    assert.deepEqual(
      messages.map(({ id, body }) => [id, body]),
      [[6, 'f']],
    )
  }
})

/** Pushes `name/0`, `name/1`... until the connection ends; knows what was answered. */
class Producer {
  readonly answered = new Set<string>()
  readonly #name: string
  #sent = 0

  constructor(name: string) {
    this.#name = name
  }

  async run(peer: FlokiPeer, onAnswer: () => void): Promise<void> {
    const underway: string[] = []
    for (;;) {
      while (underway.length < WINDOW) {
        const body = `${this.#name}/${this.#sent++}`
        underway.push(body)
        peer.send(`RPUSH q ${body}`)
      }
      const reply = await peer.raw.next()
      if (reply === null) return
      assert.deepEqual(reply, [':', 1])
      this.answered.add(underway.shift() as string)
      onAnswer()
    }
  }
}

/** What consumers have seen and acked, over all lives of the server. */
class Consumers {
  readonly seen = new Set<string>()
  readonly acked = new Set<number>()

  /** Until the connection ends, or a fetch brings nothing. */
  async run(peer: FlokiPeer): Promise<void> {
    for (;;) {
      const reply = await peer.ask('HMGET q c 20 1')
      if (reply === null || reply[0] === 'nil') return
      const messages = messagesOf(reply)
      for (const { id, body } of messages) {
        assert.ok(!this.acked.has(id), `${id} was acked and comes again`)
        this.seen.add(body)
      }
      const ack: RespValue | null = await peer.ask(`HDEL q c ${messages.map(({ ticket }) => ticket).join(' ')}`)
      if (ack === null) return
      assert.deepEqual(ack, [':', messages.length])
      for (const { id } of messages) this.acked.add(id)
    }
  }
}

test('loses no message that was answered, and brings none again that was acked', { timeout: 120_000 }, async (t) => {
  const server = await makeServer(t)
  const producers = Array.from({ length: PRODUCERS }, (_, index) => new Producer(`p${index}`))
  const consumers = new Consumers()
  for (let round = 0; round < ROUNDS; round++) {
    const connect = await startWith(t, server)
    await (await connect()).expect('SETNX q c', '+OK')
    let answers = 0
    const running: Promise<void>[] = []
    const enough = new Promise<void>((resolve) => {
      const onAnswer = (): void => {
        if (++answers === ACKS_PER_ROUND) resolve()
      }
      for (const producer of producers) running.push(connect().then((peer) => producer.run(peer, onAnswer)))
    })
    for (let count = 0; count < 2; count++) running.push(connect().then((peer) => consumers.run(peer)))
    await enough
    await server.kill()
    await Promise.all(running)
  }
  const connect = await startWith(t, server)
  await consumers.run(await connect())
  for (const { answered } of producers) {
    for (const body of answered) assert.ok(consumers.seen.has(body), `${body} was answered and is lost`)
  }
})

test('ends long polls when it is stopped', { timeout: 60_000 }, async (t) => {
  const server = await makeServer(t)
  const connect = await startWith(t, server)
  const peer = await connect()
  await peer.expect('SET q c', '+OK')
  peer.send('HMGET q c 1 30')
  const other = await connect()
  while ((await other.json('INFO server')).blocked_client_count === 0);
  other.raw.finish()
  const stopped = server.stop()
  await peer.raw.expect('$-1\r\n')
  peer.raw.finish()
  const { code, tookMs } = await stopped
  assert.equal(code, 0)
  assert.ok(tookMs < 5_000, `it took ${tookMs} ms`)
})
