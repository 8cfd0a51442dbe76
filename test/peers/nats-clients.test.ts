/**
 * The NATS libraries for Node among themselves, through leveret: each pair of one that asks and one that answers.
 */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { NATS_LIBRARIES, type NatsLibrary, type NatsUser, type Received } from '../helpers/nats-library.js'
import { startNatsStreaming } from '../helpers/nats-streaming-server.js'
import { findPackage } from '../helpers/peer.js'

const WITHIN = { timeout: 20_000 }
const BINARY = Buffer.from([0, 13, 10, 255, 77, 83, 71, 32, 13, 10])
const text = (words: string): Buffer => Buffer.from(words)

class Inbox {
  readonly messages: Received[] = []
  #wake: (() => void) | null = null

  readonly receive = (message: Received): void => {
    this.messages.push(message)
    this.#wake?.()
  }

  async until(count: number): Promise<readonly Received[]> {
    while (this.messages.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.messages
  }

  get words(): string[] {
    return this.messages.map(({ data }) => data)
  }
}

const found = new Map(
  await Promise.all(NATS_LIBRARIES.map(async (library) => [library, await findPackage(library.package)] as const)),
)

function skipOf(...libraries: readonly NatsLibrary[]): string | false {
  for (const library of libraries) {
    const search = found.get(library)
    if (search !== undefined && !search.found) return search.skip
  }
  return false
}

async function connect(t: TestContext, library: NatsLibrary, port: number): Promise<NatsUser> {
  const search = found.get(library)
  assert.ok(search !== undefined)
  const user = await library.connect(search, port)
  t.after(() => user.close())
  return user
}

for (const one of NATS_LIBRARIES) {
  for (const other of NATS_LIBRARIES) {
    describe(`${one.title} to ${other.title}`, () => {
      const options = { ...WITHIN, skip: skipOf(one, other) }

      async function start(t: TestContext): Promise<{ from: NatsUser; to: NatsUser }> {
        const { port } = await startNatsStreaming(t)
        return { from: await connect(t, one, port), to: await connect(t, other, port) }
      }

      test('publishes to literal subjects and to patterns, any bytes, in order', options, async (t) => {
        const { from, to } = await start(t)
        const [literal, star, rest] = [new Inbox(), new Inbox(), new Inbox()]
        to.subscribe('a.b', literal.receive)
        to.subscribe('a.*', star.receive)
        to.subscribe('a.>', rest.receive)
        await to.flush()
        from.publish('a.b', BINARY, { reply: 'answers.to' })
        from.publish('a.b', new Uint8Array())
        from.publish('a.b.c', text('deep'))
        from.publish('other', text('nobody'))
        for (let number = 0; number < 1_000; number++) from.publish('a.c', text(String(number)))
        await from.flush()
        const first = { subject: 'a.b', reply: 'answers.to', data: BINARY.toString('latin1'), header: '' }
        assert.deepEqual((await rest.until(1_003))[0], first)
        assert.deepEqual(literal.words, [first.data, ''])
        const numbers = Array.from({ length: 1_000 }, (_, number) => String(number))
        assert.deepEqual(star.words, [first.data, '', ...numbers])
        assert.deepEqual(rest.words, [first.data, '', 'deep', ...numbers])
      })

      test('asks and is answered', options, async (t) => {
        const { from, to } = await start(t)
        to.subscribe('double', ({ data, reply }) => to.publish(reply, text(data + data)))
        await to.flush()
        const asked = Array.from(
          { length: 50 },
          async (_, number) => (await from.request('double', text(`${number};`))).data,
        )
        assert.deepEqual(
          await Promise.all(asked),
          Array.from({ length: 50 }, (_, number) => `${number};${number};`),
        )
      })

      test('shares a queue, each message to one', options, async (t) => {
        const { from, to } = await start(t)
        const [left, right, all] = [new Inbox(), new Inbox(), new Inbox()]
        to.subscribe('jobs', left.receive, { queue: 'workers' })
        from.subscribe('jobs', right.receive, { queue: 'workers' })
        to.subscribe('jobs', all.receive)
        await Promise.all([to.flush(), from.flush()])
        for (let number = 0; number < 200; number++) from.publish('jobs', text(String(number)))
        await from.flush()
        await all.until(200)
        await to.flush()
        assert.equal(left.messages.length + right.messages.length, 200)
        assert.ok(left.messages.length > 0 && right.messages.length > 0)
        assert.equal(new Set([...left.words, ...right.words]).size, 200)
      })

      test('stops after so many, and when told to', options, async (t) => {
        const { from, to } = await start(t)
        const [few, some, all] = [new Inbox(), new Inbox(), new Inbox()]
        to.subscribe('s', few.receive, { max: 2 })
        const subscription = to.subscribe('s', some.receive)
        to.subscribe('s', all.receive)
        await to.flush()
        for (let number = 0; number < 5; number++) from.publish('s', text(String(number)))
        await from.flush()
        await all.until(5)
        subscription.unsubscribe()
        await Promise.all([to.flush()])
        from.publish('s', text('5'))
        await from.flush()
        await all.until(6)
        assert.deepEqual(
          [few.words, some.words],
          [
            ['0', '1'],
            ['0', '1', '2', '3', '4'],
          ],
        )
      })

      test('sends headers to those who know them, and the rest to others', options, async (t) => {
        if (!one.hasHeaders) return t.skip(`${one.title} has no headers`)
        const { from, to } = await start(t)
        const inbox = new Inbox()
        to.subscribe('h', inbox.receive)
        await to.flush()
        from.publish('h', BINARY, { reply: 'r', header: 'value' })
        await from.flush()
        const header = other.hasHeaders ? 'value' : ''
        const data = BINARY.toString('latin1')
        assert.deepEqual(await inbox.until(1), [{ subject: 'h', reply: 'r', data, header }])
      })
    })
  }

  test(`${one.title} asks where nobody is`, { ...WITHIN, skip: skipOf(one) }, async (t) => {
    const { port } = await startNatsStreaming(t)
    const user = await connect(t, one, port)
    const started = performance.now()
    await assert.rejects(user.request('nobody', text('?')))
    const waitedMs = performance.now() - started
    assert.ok(one.hasHeaders ? waitedMs < 500 : waitedMs > 500, `${waitedMs} ms`)
  })

  test(`${one.title} publishes what is as large as may be, and no larger`, {
    ...WITHIN,
    skip: skipOf(one),
  }, async (t) => {
    const { port } = await startNatsStreaming(t, { natsMaxPayloadBytes: 100_000 })
    const user = await connect(t, one, port)
    const inbox = new Inbox()
    user.subscribe('large', inbox.receive)
    user.publish('large', Buffer.alloc(100_000, 'x'))
    await user.flush()
    assert.equal((await inbox.until(1))[0]?.data.length, 100_000)
  })
}
