/**
 * Lays messages into the outbox of a connection:
 *
 *   MSG subject sid [ reply ] bytes CRLF payload CRLF  |  HMSG subject sid [ reply ] header-bytes bytes CRLF headers payload CRLF
 *
 * One that came over the wire is copied from where it lies, and no string is made of it.
 */
import { putBytes, putNumber } from '../../../common/put-bytes.js'
import type { Outbox } from '../../../transport/outbox.js'
import { ReceivedMessage } from './received-message.js'
import type { NatsMessage } from './router.js'

/** A larger body is handed on as it is; a smaller one, laid behind the others, keeps no chunk in memory. */
const COPIED_BYTES_MAX = 16 * 1024
/** Names, separators and lengths of a control line. */
const FRAME_BYTES = 64
/** Where clients look for the end of a control line: they would wait for that of a longer one, and hear nothing any more. */
const CONTROL_LINE_BYTES_MAX = 4096
const CRLF_BYTES = Buffer.from('\r\n')
const NOTHING = Buffer.alloc(0)

const LF = 10
const CR = 13
const SPACE = 32
const H = 72
const M = 77
const S = 83
const G = 71

/**
 * `hasHeaders`: the peer understands them, else they are left out. False, and nothing written, when the control line would
 * be longer than clients read.
 */
export function writeMessage(outbox: Outbox, sid: string, message: NatsMessage, hasHeaders: boolean): boolean {
  const isReceived = message instanceof ReceivedMessage
  const replyBytes = isReceived ? message.replyEnd - message.replyStart : message.reply.length
  if (FRAME_BYTES + message.subject.length + sid.length + replyBytes > CONTROL_LINE_BYTES_MAX) return false
  if (isReceived) writeReceived(outbox, sid, message, hasHeaders)
  else writeGiven(outbox, sid, message, hasHeaders)
  return true
}

function writeReceived(outbox: Outbox, sid: string, message: ReceivedMessage, hasHeaders: boolean): void {
  const { subject, buffer, bodyAt, bodyBytes, headerBytes, replyStart, replyEnd } = message
  const isCopied = bodyBytes <= COPIED_BYTES_MAX
  const replyBytes = replyEnd - replyStart
  const slab = outbox.room(FRAME_BYTES + subject.length + sid.length + replyBytes + (isCopied ? bodyBytes : 0))
  const to = slab.buffer
  const withHeaders = hasHeaders && headerBytes > 0
  let at = writeStart(to, slab.used, subject, sid, withHeaders)
  if (isCopied && message.tailAt >= 0 && (withHeaders || headerBytes === 0)) {
    outbox.wrote(putBytes(to, at, buffer, message.tailAt, bodyAt + bodyBytes + 2))
    return
  }
  if (replyBytes > 0) {
    at = putBytes(to, at, buffer, replyStart, replyEnd)
    to[at++] = SPACE
  }
  const skipped = withHeaders ? 0 : headerBytes
  if (withHeaders) {
    at = putNumber(to, at, headerBytes)
    to[at++] = SPACE
  }
  at = putNumber(to, at, bodyBytes - skipped)
  to[at++] = CR
  to[at++] = LF
  if (isCopied) {
    // The line end behind the body is copied along.
    outbox.wrote(putBytes(to, at, buffer, bodyAt + skipped, bodyAt + bodyBytes + 2))
    return
  }
  outbox.wrote(at)
  outbox.pass(buffer.subarray(bodyAt + skipped, bodyAt + bodyBytes + 2))
}

function writeGiven(outbox: Outbox, sid: string, message: NatsMessage, hasHeaders: boolean): void {
  const { subject, reply, payload } = message
  const headers = hasHeaders && message.headers !== null ? message.headers : NOTHING
  const bodyBytes = headers.length + payload.length
  const isCopied = bodyBytes <= COPIED_BYTES_MAX
  const slab = outbox.room(FRAME_BYTES + subject.length + sid.length + reply.length + (isCopied ? bodyBytes : 0))
  const to = slab.buffer
  let at = writeStart(to, slab.used, subject, sid, headers.length > 0)
  if (reply !== '') {
    at = writeText(to, at, reply)
    to[at++] = SPACE
  }
  if (headers.length > 0) {
    at = putNumber(to, at, headers.length)
    to[at++] = SPACE
  }
  at = putNumber(to, at, bodyBytes)
  to[at++] = CR
  to[at++] = LF
  if (isCopied) {
    at = putBytes(to, at, headers, 0, headers.length)
    at = putBytes(to, at, payload, 0, payload.length)
    to[at++] = CR
    to[at++] = LF
    outbox.wrote(at)
    return
  }
  outbox.wrote(at)
  outbox.pass(headers)
  outbox.pass(payload)
  outbox.pass(CRLF_BYTES)
}

/** Up to the space behind the sid. */
function writeStart(to: Uint8Array, from: number, subject: string, sid: string, withHeaders: boolean): number {
  let at = from
  if (withHeaders) to[at++] = H
  to[at++] = M
  to[at++] = S
  to[at++] = G
  to[at++] = SPACE
  at = writeText(to, at, subject)
  to[at++] = SPACE
  at = writeText(to, at, sid)
  to[at++] = SPACE
  return at
}

function writeText(to: Uint8Array, from: number, text: string): number {
  for (let index = 0; index < text.length; index++) to[from + index] = text.charCodeAt(index)
  return from + text.length
}
