/**
 * Tells from the first bytes of a connection that somebody came to the wrong port, so that the answer can say so at
 * once instead of after a timeout. A guess for people: whatever it misses, the decoder refuses.
 */

const HTTP = /^(GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|CONNECT) |^PRI \* HTTP/
const RESP = /^(\*\d|PING\r)/
const NATS = /^(CONNECT \{|PUB |SUB )/

/** The name of the protocol that the bytes are the beginning of, or null. */
export function foreignProtocol(chunk: Buffer): string | null {
  if (chunk[0] === 0x16 && chunk[1] === 0x03) return 'TLS'
  const head = chunk.toString('latin1', 0, 12)
  if (NATS.test(head)) return 'NATS'
  if (HTTP.test(head)) return 'HTTP'
  if (RESP.test(head)) return 'RESP'
  return null
}
