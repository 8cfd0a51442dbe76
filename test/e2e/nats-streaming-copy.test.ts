/**
 * The program of docs/nats-streaming.md that copies a channel from an old server does what is said there: its text is taken from
 * the page, and only the addresses are others.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { Running } from '../helpers/leveret-process.js'
import { type LibraryServer, publish, Received, startForLibrary, withLibrary } from '../helpers/stan-library.js'

const PAGE = readFileSync(new URL('../../docs/nats-streaming.md', import.meta.url), 'utf8')

function program(from: LibraryServer, to: LibraryServer): string {
  const [, text] = /^## Moving what is there$[^#]*?^```js$(.*?)^```$/ms.exec(PAGE) ?? []
  assert.ok(text !== undefined, 'the page has no such program')
  const addressed = text.replace('nats://127.0.0.1:4222', from.url).replace('nats://127.0.0.1:4223', to.url)
  assert.ok(addressed.includes(from.url) && addressed.includes(to.url))
  return addressed
}

function copy(t: TestContext, from: LibraryServer, to: LibraryServer): Running {
  const running = new Running(['-e', program(from, to)], {})
  t.after(() => running.signal('SIGKILL'))
  return running
}

async function servers(t: TestContext): Promise<{ from: LibraryServer; to: LibraryServer }> {
  return {
    from: await startForLibrary(t, false, { natsStreamingCluster: 'old-cluster' }),
    to: await startForLibrary(t),
  }
}

/** Connected, whatever the ID of its cluster. */
async function connected(server: LibraryServer, clusterId: string) {
  const client = server.open('me', {}, clusterId)
  await new Promise((resolve, reject) => client.once('connect', resolve).once('error', reject))
  return client
}

async function end(running: Running): Promise<void> {
  running.signal('SIGINT')
  const { code, stderr } = await running.ended
  assert.deepEqual([code, stderr], [null, ''])
}

/** All bytes there are, in messages short, long and empty. */
function bytesOf(turn: number): Buffer {
  const length = turn % 10 === 0 ? 0 : turn % 10 === 1 ? 20_000 : turn
  return Buffer.from(Array.from({ length }, (_, at) => (at + turn) % 256))
}

test('a channel is copied in its order, byte by byte, and a second run goes on behind it', withLibrary, async (t) => {
  const { from, to } = await servers(t)
  const old = await connected(from, 'old-cluster')
  const sent = Array.from({ length: 50 }, (_, turn) => bytesOf(turn))
  for (const bytes of sent.slice(0, 40)) await publish(old, 'foo', bytes)

  const first = copy(t, from, to)
  await first.printed(/^40$/m)
  await end(first)
  assert.equal(first.stdout.toString(), Array.from({ length: 40 }, (_, index) => `${index + 1}\n`).join(''))

  for (const bytes of sent.slice(40)) await publish(old, 'foo', bytes)
  const second = copy(t, from, to)
  await second.printed(/^50$/m)
  await end(second)

  const got = withoutTwins(await contents(to))
  assert.deepEqual(got, sent)
})

test(
  'it may be ended at any time: what was on its way is there twice, next to each other, and nothing is lost',
  withLibrary,
  async (t) => {
    const { from, to } = await servers(t)
    const old = await connected(from, 'old-cluster')
    const sent = Array.from({ length: 400 }, (_, turn) => Buffer.from(`message ${turn}`))
    await Promise.all(sent.map((bytes) => publish(old, 'foo', bytes)))
    const ends = [60, 170, 280]
    for (const sequence of ends) {
      const running = copy(t, from, to)
      await running.printed(new RegExp(`^${sequence}$`, 'm'))
      await end(running)
    }
    const last = copy(t, from, to)
    await last.printed(/^400$/m)
    await end(last)

    const got = await contents(to)
    assert.deepEqual(withoutTwins(got), sent)
    assert.ok(got.length <= sent.length + ends.length + 1, `${got.length - sent.length} are there twice`)
  },
)

test('it ends with the reason when the new server refuses a message', withLibrary, async (t) => {
  const { from, to } = await servers(t)
  await publish(await connected(from, 'old-cluster'), 'foo', 'refused')
  // Channels that differ in their case alone are not made.
  await publish(await connected(to, 'test-cluster'), 'Foo', 'here first')
  const { code, stdout, stderr } = await copy(t, from, to).ended
  assert.deepEqual([code, stdout.toString()], [1, ''])
  assert.match(stderr, /rejecting channel "foo" because channel "Foo"/)
})

/** All messages of the channel. */
async function contents(server: LibraryServer): Promise<Buffer[]> {
  const reader = await connected(server, 'test-cluster')
  const end = Buffer.from('the end')
  await publish(reader, 'foo', end)
  const received = new Received(reader.subscribe('foo', reader.subscriptionOptions().setDeliverAllAvailable()))
  while (!received.messages.at(-1)?.getRawData().equals(end)) await received.until(received.messages.length + 1)
  return received.messages.slice(0, -1).map((message) => message.getRawData())
}

/** The ack of a message that was on its way when the program ended may be lost. */
function withoutTwins(messages: readonly Buffer[]): Buffer[] {
  return messages.filter((bytes, index) => index === 0 || !bytes.equals(messages[index - 1] as Buffer))
}
