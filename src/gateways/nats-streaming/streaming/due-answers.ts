/**
 * The answers to publishes that are stored together: laid out as they come in, sent when it is known what became of them. Those of
 * one client follow each other, so that who waits is looked up once for many.
 *
 *   answer = 0x0a length guid CRLF
 */
import { putBytes } from '../../../common/put-bytes.js'
import { putFieldHead } from '../../../model/put-field.js'
import { ReceivedMessage } from '../core/received-message.js'
import type { Router } from '../core/router.js'
import { encodePubAckError } from './messages.js'
import type { PubMsg } from './pub-msg.js'

const GUID_TAG = 0x0a
const ONE_BYTE_MAX = 0x7f
const FIRST_BYTES = 4096
const [CR, LF] = [13, 10]
/** A tag, a length, and the line end. */
const FRAME_BYTES = 1 + 5 + 2

/** Whoever waits for answers; these count how many. */
export interface Publisher {
  publishes: number
}

/** Answers of one client to one inbox. */
interface Stretch {
  readonly client: Publisher
  /** Empty: nobody waits. */
  readonly inbox: string
  count: number
}

/** What is due when one append has settled. */
export class DueAnswers {
  readonly #bytes: Buffer
  readonly #stretches: readonly Stretch[]
  readonly count: number

  constructor(bytes: Buffer, stretches: readonly Stretch[], count: number) {
    this.#bytes = bytes
    this.#stretches = stretches
    this.count = count
  }

  /** Send them: what is asked for is done, or what is wrong. */
  send(router: Router, error: string): void {
    const message = new ReceivedMessage()
    message.buffer = this.#bytes
    let at = 0
    for (const { client, inbox, count } of this.#stretches) {
      message.subject = inbox
      client.publishes -= count
      for (let sent = 0; sent < count; sent++) {
        const end = answerEnd(this.#bytes, at)
        message.bodyAt = at
        message.bodyBytes = end - at
        at = end + 2
        if (inbox === '') continue
        if (error === '') router.publish(message)
        else router.publish(refusal(inbox, message.payload, error))
      }
    }
  }
}

/** Gathers answers until they are taken. */
export class AnswerGatherer {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES)
  #used = 0
  #stretches: Stretch[] = []
  #last: Stretch | null = null
  #count = 0

  /** The answer to this message, to whoever published it. */
  add(client: Publisher, inbox: string, { buffer, guidStart, guidEnd }: PubMsg): void {
    let last = this.#last
    if (last === null || last.client !== client || last.inbox !== inbox) {
      last = { client, inbox, count: 0 }
      this.#last = last
      this.#stretches.push(last)
    }
    last.count++
    this.#count++
    client.publishes++
    this.#used = putAnswer(this.#room(guidEnd - guidStart), this.#used, buffer, guidStart, guidEnd)
  }

  take(): DueAnswers {
    const due = new DueAnswers(Buffer.from(this.#bytes.subarray(0, this.#used)), this.#stretches, this.#count)
    this.#used = 0
    this.#stretches = []
    this.#last = null
    this.#count = 0
    return due
  }

  #room(guidBytes: number): Buffer {
    const needed = this.#used + guidBytes + FRAME_BYTES
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
      this.#bytes.copy(larger, 0, 0, this.#used)
      this.#bytes = larger
    }
    return this.#bytes
  }
}

/** What cannot be published is answered at once. */
export function refuse(router: Router, inbox: string, { buffer, guidStart, guidEnd }: PubMsg, error: string): void {
  if (inbox === '') return
  const answer = Buffer.allocUnsafe(guidEnd - guidStart + FRAME_BYTES)
  const end = putAnswer(answer, 0, buffer, guidStart, guidEnd) - 2
  router.publish(refusal(inbox, answer.subarray(0, end), error))
}

/** Fields may follow each other in pieces. */
function refusal(subject: string, answer: Buffer, error: string) {
  return { subject, reply: '', headers: null, payload: Buffer.concat([answer, encodePubAckError(error)]) }
}

/** Without a guid it is empty. */
function putAnswer(to: Buffer, position: number, guid: Buffer, start: number, end: number): number {
  let at = position
  if (end > start) {
    at = putBytes(to, putFieldHead(to, at, GUID_TAG, end - start), guid, start, end)
  }
  to[at++] = CR
  to[at++] = LF
  return at
}

/** Where the answer at `position` ends, without its line end. */
function answerEnd(bytes: Buffer, position: number): number {
  if (bytes[position] !== GUID_TAG) return position
  let at = position + 1
  let length = 0
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] as number
    length |= (byte & ONE_BYTE_MAX) << shift
    if (byte <= ONE_BYTE_MAX) return at + length
  }
}
