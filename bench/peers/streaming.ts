/**
 * What a streaming server says of its channel, asked as a client would.
 */
import { openRaw, Progress } from '../harness/raw-socket.js'
import { NatsMessages } from '../wire/nats-messages.js'
import { CHANNEL, firstOfSubject, greeting, isWelcome } from '../wire/streaming-dialect.js'
import { CLUSTER, request, sequenceAt, subscriptionRequest } from '../wire/streaming-messages.js'

const ANSWER_MS_MAX = 20_000
const CLIENT = 'auditor'
const INBOX = 'last'

/** The sequence of its last message, which is how many there are; the channel must not be empty. */
export async function lastSequence(port: number): Promise<number> {
  const progress = new Progress()
  const messages = new NatsMessages()
  let isIn = false
  let last = 0
  const socket = await openRaw(port, greeting(CLIENT, INBOX), progress, (chunk) => {
    messages.push(chunk)
    while (messages.next()) {
      if (!messages.isMessage) continue
      if (firstOfSubject(messages) === INBOX.charCodeAt(0)) last = sequenceAt(messages.bytes, messages.payload)
      else if (isWelcome(messages)) isIn = true
    }
    progress.made()
  })
  const until = (condition: () => boolean, what: string): Promise<void> =>
    progress.until(condition, ANSWER_MS_MAX, () => what)
  await until(() => isIn, 'the auditor was not let in')
  const wanted = { client: CLIENT, channel: CHANNEL, inbox: INBOX, maxInFlight: 1, durable: '', from: 'last' } as const
  socket.write(request(`_STAN.sub.${CLUSTER}`, 'nobody', subscriptionRequest(wanted)))
  await until(() => last > 0, 'the last message did not come')
  // Whoever closes in so many words may come again under its name.
  const closed = Buffer.concat([Buffer.from([0x0a, CLIENT.length]), Buffer.from(CLIENT)])
  socket.write(request(`_STAN.close.${CLUSTER}`, 'nobody', closed))
  socket.end()
  return last
}
