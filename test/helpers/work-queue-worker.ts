/**
 * One worker of the work queue in kill-work-queue.ts, as a process of its own: `PORT GROUP JOURNAL`. It notes in its journal, before it
 * says a word to the server, what it has done with a record, and afterwards that the server has taken the word. Lines:
 *
 *   done OFFSET TIME      the record was processed
 *   failed OFFSET TIME    it was given back, or rejected
 *   told OFFSET TIME      the server has said that the ack is safe
 *
 * Times are of the monotonic clock of the machine, in nanoseconds, so that journals can be laid side by side.
 */
import { openSync, writeSync } from 'node:fs'
import process from 'node:process'
import { type Client, connect, type ReceivedRecord } from '../../client/index.js'
import { pause } from './kill-server.js'
import { fateOf, QUEUE_TOPIC } from './work-queue-fates.js'

const WINDOW = 64

const [port, group, path] = process.argv.slice(2) as [string, string, string]
const journal = openSync(path, 'a')

function note(word: string, offset: number): void {
  writeSync(journal, `${word} ${offset} ${process.hrtime.bigint()}\n`)
}

async function work(record: ReceivedRecord): Promise<void> {
  const { offset } = record
  switch (fateOf(offset, record.deliveryCount)) {
    case 'done':
      note('done', offset)
      await record.ack()
      note('told', offset)
      return
    case 'retry':
      note('failed', offset)
      return await record.retry({ delayMs: 5 })
    case 'reject':
      note('failed', offset)
      return await record.reject('made to fail')
  }
}

/** The server may be down just now. */
async function connected(): Promise<Client> {
  for (;;) {
    try {
      return await connect({ port: Number(port), reconnect: { minDelayMs: 5, maxDelayMs: 50 } })
    } catch {
      await pause(20)
    }
  }
}

const client = await connected()
// The connection was lost, or the record is another's by now: it comes again to somebody, and the journal says so.
const lost = () => undefined
for await (const record of client.topic(QUEUE_TOPIC).subscribe({ group, mode: 'shared', window: WINDOW })) {
  void work(record).catch(lost)
}
