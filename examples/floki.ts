/**
 * A message queue, as Floki has it, spoken to by sockets and nothing else: a consumer waits for messages, a producer pushes
 * some, and what is acked is done with. Run it against a server started with --floki, whose port is FLOKI_PORT unless it is
 * 9797: npx tsx examples/floki.ts
 */
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

const PORT = Number(process.env['FLOKI_PORT'] ?? 9797)

/** One connection: requests go out at once, answers come in their order. */
class Connection {
  readonly #socket = connect({ host: '127.0.0.1', port: PORT })
  // One line of an answer each: no value below has a line break in it, though those of others may.
  readonly #lines = createInterface({ input: this.#socket })[Symbol.asyncIterator]()

  constructor() {
    this.#socket.on('error', ({ message }) => {
      console.error(message)
      process.exit(1)
    })
  }

  /** A request is an array of strings, and all lengths are those of bytes. */
  async ask(...words: readonly (string | number)[]): Promise<string[]> {
    const strings = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`)
    this.#socket.write(`*${words.length}\r\n${strings.join('')}`)
    return await this.#answer()
  }

  end(): void {
    this.#socket.destroy()
  }

  /** Its values, arrays in arrays flattened; none for an empty array, and for nil. */
  async #answer(): Promise<string[]> {
    const line = await this.#line()
    const count = Number(line.slice(1))
    if (line.startsWith('-')) throw new Error(line.slice(1))
    if (line.startsWith('$')) return count < 0 ? [] : [await this.#line()]
    if (!line.startsWith('*')) return [line.slice(1)]
    const values: string[] = []
    for (let left = count; left > 0; left--) values.push(...(await this.#answer()))
    return values
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next()
    if (done === true) throw new Error('the server ended the connection')
    return value
  }
}

// A name that nobody else has, so that the answer does not depend on what ran before.
const queue = `parcels_${randomUUID().replaceAll('-', '')}`
const channel = 'packers'
const producer = new Connection()
// Who waits has a connection for it.
const consumer = new Connection()
console.log(`created: ${await producer.ask('SET', queue, channel)}`)

const consuming = consume()
for (const parcels of [['books', 'tea'], ['bicycle']]) {
  console.log(`pushed: ${await producer.ask('RPUSH', queue, ...parcels)}`)
}
await consuming
console.log(`deleted: ${await producer.ask('DEL', queue)}`)
producer.end()
consumer.end()

/** Up to ten messages at a time, waiting a second for the first of them, until none comes. */
async function consume(): Promise<void> {
  const packed: string[] = []
  for (;;) {
    // Each has an id, a ticket and a body.
    const messages = await consumer.ask('HMGET', queue, channel, 10, 1)
    if (messages.length === 0) break
    const tickets: string[] = []
    for (let at = 0; at < messages.length; at += 3) {
      const [id = '', ticket = '', body = ''] = messages.slice(at, at + 3)
      packed.push(`${id}: ${body}`)
      tickets.push(ticket)
    }
    // Without this they would come again when the time of their tickets is over.
    await consumer.ask('HDEL', queue, channel, ...tickets)
  }
  console.log(`packed ${packed.join(', ')}`)
}
