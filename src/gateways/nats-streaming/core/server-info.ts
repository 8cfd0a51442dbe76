/**
 * What the server says of itself with INFO, before a connection has said anything. Knows no socket.
 */
import type { Random } from '../../../common/random.js'

/**
 * Clients switch features on by the version; this is the level of the protocol that is spoken here, without anything that the
 * text does not name: no clusters, no JetStream.
 */
export const NATS_PROTOCOL_VERSION = '2.9.24'
export const SERVER_NAME = 'leveret'
/** Of a server ID, without its first letter. */
const ID_BYTES = 28
/** Older clients look for the end of a control line in so many bytes only. */
const INFO_BYTES_MAX = 4096

export interface ServerInfo {
  /** 56 characters. */
  readonly serverId: string
  readonly serverName: string
  readonly host: string
  readonly port: number
  readonly payloadBytesMax: number
}

/** The line for one connection. */
export function infoLine(server: ServerInfo, clientId: number, clientIp: string): Buffer {
  const json = JSON.stringify({
    server_id: server.serverId,
    server_name: server.serverName,
    version: NATS_PROTOCOL_VERSION,
    proto: 1,
    go: 'go1.19.8',
    host: server.host,
    port: server.port,
    headers: true,
    max_payload: server.payloadBytesMax,
    client_id: clientId,
    client_ip: clientIp,
  })
  const line = Buffer.from(`INFO ${json} \r\n`)
  if (line.length > INFO_BYTES_MAX) throw new RangeError(`INFO has ${line.length} bytes`)
  return line
}

/** What looks like the key of a server. */
export function newServerId(random: Random): string {
  return `N${random.id(ID_BYTES).toUpperCase()}`.padEnd(56, 'A').slice(0, 56)
}
