/**
 * The examples do what they say, twice in a row, against a real server.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { runSource, type Server, startServer } from '../helpers/leveret-process.js'

const PRINTED: Readonly<Record<string, string>> = {
  'compaction.ts': `order-1, first click: stored at offset 0
order-2, first click: stored at offset 1
order-1, second click: duplicate of offset 0
order-1, third click: duplicate of offset 0
order-3, first click: stored at offset 2
what a subscriber sees:
  offset 0: order-1, first click
  offset 1: order-2, first click
  offset 2: order-3, first click
`,
  'consumer-group.ts': `ann is alone and reads 4 partitions
bob has come: each of them reads 2
bob has gone: ann reads all 4 again
ada: order 1, order 2, order 3, order 4
bert: order 1, order 2, order 3, order 4
cleo: order 1, order 2, order 3, order 4
dora: order 1, order 2, order 3, order 4
emil: order 1, order 2, order 3, order 4
`,
  'echo.ts': `published "one" at offset 0
published "two" at offset 1
published "three" at offset 2
received "one" from offset 0
received "two" from offset 1
received "three" from offset 2
`,
  'floki.ts': `created: OK
pushed: 2
pushed: 1
packed 1: books, 2: tea, 3: bicycle
deleted: 1
`,
  'meilies.ts': `published born: +OK
published born: +OK
published named: +OK
the last event has number 2
subscribed
event 1, born: Bert
event 2, named: Ada is Lovelace now
published moved: +OK
event 3, moved: to the garden
`,
  'work-queue.ts': `published 6 jobs
fly: given up: max-deliveries (3)
glue: done at attempt 2
pack: done
paint: done
polish: done
sand: done
`,
  'nats-streaming.ts': `published two cups
published a plate
published a spoon
first: 1 two cups
first: 2 a plate
second: 2 a plate, again
second: 3 a spoon
second: 4 a bowl
`,
  'retention.ts': `published 2 readings to a topic that keeps them for 2000 ms
a subscriber that comes later:
  offset 0: cellar 8 C
  offset 1: attic 31 C
  2 records
a subscriber that comes after more than 2000 ms:
  offsets 0 to 1 are gone (expired)
  0 records
`,
}

describe('examples', () => {
  let server: Server
  let ports: Readonly<Record<string, string>>
  before(async () => {
    server = await startServer(['--meilies', '0', '--floki', '0', '--nats-streaming', '0'])
    const [, meilies = ''] = await server.process.printed(/^listening meilies 127\.0\.0\.1:(\d+)$/m)
    const [, floki = ''] = await server.process.printed(/^listening floki 127\.0\.0\.1:(\d+)$/m)
    const [, nats = ''] = await server.process.printed(/^listening nats-streaming 127\.0\.0\.1:(\d+)$/m)
    ports = { PORT: String(server.port), MEILIES_PORT: meilies, FLOKI_PORT: floki, NATS_PORT: nats }
  })
  after(() => server.stop())

  for (const name of readdirSync('examples').sort()) {
    test(`examples/${name} prints the same each time and ends by itself`, async () => {
      for (const round of ['first', 'second']) {
        const { code, stdout, stderr } = await runSource(`examples/${name}`, ports)
        assert.deepEqual([code, stderr], [0, ''], `${round} round`)
        assert.equal(stdout.toString(), PRINTED[name], `${round} round`)
      }
    })
  }

  test('an example ends with a failure and one line when there is no server', async () => {
    const gone = await startServer()
    await gone.stop()
    const port = String(gone.port)
    for (const name of readdirSync('examples')) {
      const ports = { PORT: port, MEILIES_PORT: port, FLOKI_PORT: port, NATS_PORT: port }
      const { code, stderr } = await runSource(`examples/${name}`, ports)
      assert.equal(code, 1)
      assert.match(stderr, new RegExp(`^.*127\\.0\\.0\\.1:${port}.*\\n$`), name)
    }
  })
})
