/**
 * The MeiliES dialect through kills and stops of whole processes: numbers stay dense, what was answered OK is there, and a
 * follower goes on where it was.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MortalServer } from '../helpers/kill-server.js'
import { RespPeer } from '../helpers/resp-peer.js'
import { type RespValue, requestOf } from '../helpers/resp-values.js'

const PUBLISHERS = 4
/** Publishes under way of one publisher. */
const WINDOW = 32
const ROUNDS = 3
const ACKS_PER_ROUND = 2000

/** One free port that all lives of the server have. */
async function startWith(server: MortalServer): Promise<number> {
  await server.start()
  const [, port] = await server.printed(/^listening meilies 127\.0\.0\.1:(\d+)$/m)
  return Number(port)
}

/** Publishes `name/0`, `name/1`... until the connection ends; counts what was answered, which is in order. */
class Publisher {
  acked = 0
  /** Numbers of which nobody was told what became of them. */
  readonly lost: number[] = []
  #sent = 0
  readonly #name: string

  constructor(name: string) {
    this.#name = name
  }

  async run(port: number, onAck: () => void): Promise<void> {
    using peer = await RespPeer.connect(port)
    // What was not answered may be stored or not, and is not said again.
    for (; this.acked < this.#sent; this.acked++) this.lost.push(this.acked)
    for (;;) {
      while (this.#sent < this.acked + WINDOW) peer.send('publish', 's', 'e', `${this.#name}/${this.#sent++}`)
      const reply = await peer.next()
      if (reply === null) return
      assert.deepEqual(reply, ['+', 'OK'])
      this.acked++
      onAck()
    }
  }

  /** Every number that must be there. */
  *answered(): Generator<string> {
    const unknown = new Set(this.lost)
    for (let number = 0; number < this.acked; number++) if (!unknown.has(number)) yield `${this.#name}/${number}`
  }
}

function partsOf(event: RespValue | null): { number: number; data: string } {
  assert.ok(event !== null && event[0] === '*', JSON.stringify(event))
  const [, , number, , data] = event[1] as readonly RespValue[]
  return { number: Number(number?.[1]), data: String(data?.[1]) }
}

test('keeps what was answered, densely numbered, through kills', { timeout: 120_000 }, async () => {
  const server = await MortalServer.make(['--meilies', '0'])
  try {
    const publishers = Array.from({ length: PUBLISHERS }, (_, index) => new Publisher(`p${index}`))
    const seen: string[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const port = await startWith(server)
      let acks = 0
      const enough = new Promise<void>((resolve) => {
        const onAck = (): void => {
          if (++acks === ACKS_PER_ROUND) resolve()
        }
        for (const publisher of publishers) void publisher.run(port, onAck)
      })
      // A follower that was there before the kill goes on behind what it has.
      using follower = await RespPeer.connect(port)
      follower.send('subscribe', `s:${seen.length}`)
      assert.deepEqual(await follower.next(), [
        '*',
        [
          ['+', 'subscribed'],
          ['+', 's'],
        ],
      ])
      for (let count = 0; count < ACKS_PER_ROUND / 2; count++) {
        const { number, data } = partsOf(await follower.next())
        assert.equal(number, seen.length)
        seen.push(data)
      }
      await enough
      await server.kill()
    }
    const port = await startWith(server)
    using reader = await RespPeer.connect(port)
    const last = (await reader.ask('last-event-number', 's')) as readonly ['*', readonly RespValue[]]
    const count = Number(last[1][2]?.[1]) + 1
    reader.send('subscribe', 's:0')
    await reader.next()
    const stored: string[] = []
    for (let number = 0; number < count; number++) {
      const event = partsOf(await reader.next())
      assert.equal(event.number, number)
      stored.push(event.data)
    }
    assert.deepEqual(stored.slice(0, seen.length), seen, 'what was seen before a kill is what is there')
    const all = new Set(stored)
    assert.equal(all.size, stored.length, 'nothing is stored twice')
    for (const publisher of publishers) {
      for (const data of publisher.answered()) assert.ok(all.has(data), `${data} was answered and is lost`)
    }
  } finally {
    await server.remove()
  }
})

test('answers what it has read when it is stopped, and has it after the next start', { timeout: 60_000 }, async () => {
  const server = await MortalServer.make(['--meilies', '0'])
  try {
    const port = await startWith(server)
    using peer = await RespPeer.connect(port)
    assert.deepEqual(await peer.ask('publish', 's', 'e', 'first'), ['+', 'OK'])
    peer.write(Buffer.concat(Array.from({ length: 5000 }, (_, number) => requestOf('publish', 's', 'e', `${number}`))))
    assert.deepEqual(await peer.next(), ['+', 'OK'])
    const stopped = server.stop()
    let answered = 2
    for (let reply = await peer.next(); reply !== null; reply = await peer.next()) {
      assert.deepEqual(reply, ['+', 'OK'])
      answered++
    }
    peer.finish()
    assert.equal((await stopped).code, 0)
    using again = await RespPeer.connect(await startWith(server))
    const last = (await again.ask('last-event-number', 's')) as readonly ['*', readonly RespValue[]]
    assert.equal(last[1][2]?.[1], answered - 1, 'what is stored is what was answered')
  } finally {
    await server.remove()
  }
})
