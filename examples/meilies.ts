/**
 * An event store, as MeiliES has it, spoken to by a socket and nothing else: publish three events, follow the stream from its
 * second one, then see a live one come. Run it against a server started with --meilies, whose port is MEILIES_PORT unless it is
 * 6480: npx tsx examples/meilies.ts
 */
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'

const socket = connect({ host: '127.0.0.1', port: Number(process.env['MEILIES_PORT'] ?? 6480) })
socket.on('error', ({ message }) => {
  console.error(message)
  process.exit(1)
})
// One line of an answer each: no value below has a line break in it, though those of others may.
const lines = createInterface({ input: socket })[Symbol.asyncIterator]()

async function line(): Promise<string> {
  const { value, done } = await lines.next()
  if (done === true) throw new Error('the server ended the connection')
  return value
}

/** A request is an array of strings, and all lengths are those of bytes. */
function ask(...words: readonly string[]): void {
  const strings = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
  socket.write(`*${words.length}\r\n${strings.join('')}`)
}

/** The strings and numbers of an array. Only the data of an event has a length before it. */
async function answer(): Promise<string[]> {
  const values: string[] = []
  for (let left = Number((await line()).slice(1)); left > 0; left--) {
    const value = await line()
    values.push(value.startsWith('$') ? await line() : value.slice(1))
  }
  return values
}

// A name that nobody else has, so that the answer does not depend on what ran before.
const stream = `hutch-${randomUUID()}`

for (const [name, data] of [
  ['born', 'Ada'],
  ['born', 'Bert'],
  ['named', 'Ada is Lovelace now'],
] as const) {
  ask('publish', stream, name, data)
  console.log(`published ${name}: ${await line()}`)
}

ask('last-event-number', stream)
const [, , last] = await answer()
console.log(`the last event has number ${last}`)

ask('subscribe', `${stream}:1`)
console.log((await answer())[0])
for (let history = 0; history < 2; history++) await tellEvent()

ask('publish', stream, 'moved', 'to the garden')
console.log(`published moved: ${await line()}`)
await tellEvent()
socket.destroy()

async function tellEvent(): Promise<void> {
  const [, , number, name, data] = await answer()
  console.log(`event ${number}, ${name}: ${data}`)
}
