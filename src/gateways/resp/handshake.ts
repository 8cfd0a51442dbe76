/**
 * What the libraries and tools of Redis say before, between and after the verbs of a dialect. None of it reaches the broker.
 */
import type { Conversation, RespPeer, Verb } from './dialect.js'
import { array, bulk, EMPTY_ARRAY, integer, map, nil, RESP_OK, type RespVersion, simple } from './resp-encode.js'
import type { RespRequest } from './resp-request.js'

/** What the server tells of itself. */
export interface HandshakeFacts {
  readonly version: string
  /** Open connections. */
  connections(): number
}

/** Old libraries ask the version of the server for what they may say. */
const REDIS_VERSION = '7.4.0'
const NUMBER = /^\d{1,10}$/

type Answer = (request: RespRequest, peer: RespPeer, state: Conversation) => Buffer | string

/** A reply as bytes, or the text of an error. */
export function handshakeVerbs(facts: HandshakeFacts): ReadonlyMap<string, Verb<Conversation>> {
  const answers: Record<string, Answer> = {
    hello: (request, peer) => hello(request, peer, facts),
    auth,
    client,
    command,
    info: (_request, peer) => {
      if (!peer.hasSpoken) peer.isLibrary = true
      return bulk(infoText(facts))
    },
    ping,
    echo: (request) => (request.count === 2 ? bulk(request.bytes(1)) : arity('echo')),
    select: (request) =>
      request.count === 2 && NUMBER.test(request.shown(1)) ? RESP_OK : 'ERR value is not an integer or out of range',
    readonly: () => RESP_OK,
    reset: (_request, peer, state) => {
      state.reset()
      peer.version = 2
      peer.clientName = ''
      peer.isLibrary = false
      return simple('RESET')
    },
    quit: (_request, peer) => {
      peer.quit()
      return RESP_OK
    },
  }
  return new Map(Object.entries(answers).map(([name, answer]) => [name, verbOf(answer, name === 'reset')]))
}

export function infoText({ version, connections }: HandshakeFacts): string {
  const lines = [
    '# Server',
    `redis_version:${REDIS_VERSION}`,
    'redis_mode:standalone',
    `leveret_version:${version}`,
    '# Clients',
    `connected_clients:${connections()}`,
    '# Persistence',
    'loading:0',
    '# Replication',
    'role:master',
  ]
  return `${lines.join('\r\n')}\r\n`
}

function verbOf(answer: Answer, isOrdered: boolean): Verb<Conversation> {
  return {
    isOrdered,
    run(state, request, peer) {
      const reply = answer(request, peer, state)
      if (typeof reply === 'string') peer.fail(reply)
      else peer.reply(reply)
      return null
    },
  }
}

function hello(request: RespRequest, peer: RespPeer, { version }: HandshakeFacts): Buffer | string {
  let asked: RespVersion = peer.version
  if (request.count > 1) {
    const text = request.shown(1)
    if (text !== '2' && text !== '3') return 'NOPROTO unsupported protocol version'
    asked = text === '3' ? 3 : 2
  }
  let name: string | null = null
  for (let index = 2; index < request.count; ) {
    const option = request.shown(index).toLowerCase()
    if (option === 'auth' && index + 2 < request.count) index += 3
    else if (option === 'setname' && index + 1 < request.count) {
      name = request.shown(index + 1)
      index += 2
    } else return `ERR Syntax error in HELLO option '${request.shown(index)}'`
  }
  peer.version = asked
  if (name !== null) nameClient(peer, name)
  return map(asked, [
    [bulk('server'), bulk('leveret')],
    [bulk('version'), bulk(version)],
    [bulk('proto'), integer(asked)],
    [bulk('id'), integer(peer.connection.id)],
    [bulk('mode'), bulk('standalone')],
    [bulk('role'), bulk('master')],
    [bulk('modules'), EMPTY_ARRAY],
  ])
}

/** Nothing has a password yet, so that every name and password will do. */
function auth(request: RespRequest): Buffer | string {
  if (request.count === 3) return RESP_OK
  if (request.count !== 2) return arity('auth')
  return 'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?'
}

function client(request: RespRequest, peer: RespPeer): Buffer | string {
  const subcommand = request.count > 1 ? request.shown(1).toLowerCase() : ''
  switch (subcommand) {
    case 'setinfo':
      peer.isLibrary = true
      return RESP_OK
    case 'setname':
      nameClient(peer, request.shown(2))
      return RESP_OK
    case 'getname':
      return peer.clientName === '' ? nil(peer.version) : bulk(peer.clientName)
    case 'id':
      return integer(peer.connection.id)
    default:
      return `ERR unknown subcommand '${request.shown(1)}'. Try CLIENT HELP.`
  }
}

function nameClient(peer: RespPeer, name: string): void {
  // Longer than people's names are, and nothing is done with it but to give it back.
  peer.clientName = name.slice(0, 256)
  peer.isLibrary = true
}

function command(request: RespRequest, peer: RespPeer): Buffer | string {
  const subcommand = request.count > 1 ? request.shown(1).toLowerCase() : ''
  switch (subcommand) {
    case '':
    case 'info':
    case 'list':
      return EMPTY_ARRAY
    case 'count':
      return integer(0)
    case 'docs':
      return map(peer.version, [])
    default:
      return `ERR unknown subcommand '${request.shown(1)}'. Try COMMAND HELP.`
  }
}

function ping(request: RespRequest, peer: RespPeer, state: Conversation): Buffer | string {
  if (request.count > 2) return arity('ping')
  if (state.isListening && peer.version === 2) {
    return array([bulk('pong'), request.count === 2 ? bulk(request.bytes(1)) : bulk('')])
  }
  return request.count === 2 ? bulk(request.bytes(1)) : simple('PONG')
}

function arity(verb: string): string {
  return `ERR wrong number of arguments for '${verb}' command`
}
