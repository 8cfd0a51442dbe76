/**
 * Who consumes what in the bench of groups: a server, and the members on the other side of its sockets, as a raw worker
 * drives them or as programs do through a client library.
 */
import { type ContenderId, contendersOf, type DurableContender } from '../durable/contenders.js'
import type { Bench } from '../harness/bench.js'
import type { Worker } from '../harness/worker.js'
import { ackFloor, createConsumer } from '../peers/jetstream.js'
import { groupLag } from '../peers/leveret.js'
import { createGroup, pendingEntries } from '../peers/redis.js'
import type { MemberDialectName } from '../wire/members.js'
import type { ClientWay, GroupClientsApi } from '../workers/group-clients.js'
import type { GroupMembersApi, MembersState } from '../workers/group-members.js'

export const PAYLOAD_BYTES = 100
/** Records that all members of a group may have in flight together: what leveret allows. */
export const IN_FLIGHT_MAX = 65_536
/** Of one member; what all of them may have is shared out among many. */
const WINDOW_MAX = 16_384

export type EntrantId =
  | 'leveret wire'
  | 'leveret wire single'
  | 'leveret client ack'
  | 'leveret client iterate'
  | 'jetstream wire'
  | 'jetstream client'
  | 'redis-everysec wire'
  | 'redis-always wire'

export interface Entrant {
  readonly id: EntrantId
  /** With what its acks are worth. */
  readonly name: string
  readonly server: DurableContender
  /** Before its members come. */
  makeGroup(port: number, group: string): Promise<void>
  /** Whether the server says that all records are acked. */
  isDone(port: number, group: string, records: number): Promise<boolean>
  /** The members cannot know it, the server is asked until it says so. */
  readonly isAskedForEnd: boolean
  seat(bench: Bench): Seats
}

/** A process with members. */
export interface Seats extends AsyncDisposable {
  open(port: number, group: string, members: readonly number[], window: number): Promise<void>
  /** Answers with the moment before the first fetch. */
  begin(): Promise<number>
  state(): Promise<MembersState>
  close(): Promise<void>
}

export function windowOf(members: number): number {
  return Math.min(WINDOW_MAX, Math.floor(IN_FLIGHT_MAX / members))
}

/** In the order of the tables. */
export function entrantsOf(bench: Bench): Entrant[] {
  const servers = contendersOf(bench)
  const server = (id: ContenderId): DurableContender[] => servers.filter((each) => each.id === id)
  return [
    ...server('jetstream-default').flatMap((each) => [jetstream(each, 'wire'), jetstream(each, 'client')]),
    ...server('redis-everysec').map(redis),
    ...server('redis-always').map(redis),
    ...server('leveret-disk').flatMap((each) => [
      leveret(each, 'leveret wire', 'leveret, raw members, acks synced', wire('leveret')),
      leveret(each, 'leveret wire single', 'leveret, raw members, a Commit a record', wire('leveret-single')),
      leveret(each, 'leveret client ack', 'leveret client, record.ack()', client('leveret', 'ack')),
      leveret(each, 'leveret client iterate', 'leveret client, by iterating', client('leveret', 'iterate')),
    ]),
  ]
}

function leveret(server: DurableContender, id: EntrantId, name: string, seat: SeatsOf): Entrant {
  return {
    id,
    name,
    server,
    makeGroup: async () => {},
    isDone: async (port, group) => (await groupLag(port, group)) === 0,
    isAskedForEnd: id === 'leveret client iterate',
    seat,
  }
}

function jetstream(server: DurableContender, way: 'wire' | 'client'): Entrant {
  return {
    id: `jetstream ${way}`,
    name: way === 'wire' ? 'JetStream pull, raw members' : 'JetStream pull, NATS client',
    server,
    makeGroup: (port, group) => createConsumer(port, group, IN_FLIGHT_MAX),
    isDone: async (port, group, records) => (await ackFloor(port, group)) === records,
    isAskedForEnd: true,
    seat: way === 'wire' ? wire('jetstream') : client('nats', 'ack'),
  }
}

function redis(server: DurableContender): Entrant {
  return {
    id: server.id === 'redis-always' ? 'redis-always wire' : 'redis-everysec wire',
    name: `${server.name}, raw members`,
    server,
    makeGroup: createGroup,
    isDone: async (port, group) => (await pendingEntries(port, group)) === 0,
    isAskedForEnd: false,
    seat: wire('redis'),
  }
}

type SeatsOf = (bench: Bench) => Seats

function wire(dialect: MemberDialectName): SeatsOf {
  return (bench) => {
    const worker = bench.code.start<GroupMembersApi>('group-members')
    const fixed = { dialect, payloadBytes: PAYLOAD_BYTES }
    return seatsOf(worker, (port, group, members, window) =>
      worker.call('open', { ...fixed, port, group, members, window }),
    )
  }
}

export function client(peer: 'leveret' | 'nats', way: ClientWay, mode: 'shared' | 'partitioned' = 'shared'): SeatsOf {
  return (bench) => {
    const worker = bench.code.start<GroupClientsApi>('group-clients')
    const fixed = { peer, way, mode, payloadBytes: PAYLOAD_BYTES }
    return seatsOf(worker, (port, group, members, window) =>
      worker.call('open', { ...fixed, port, group, members, window }),
    )
  }
}

function seatsOf(worker: Worker<GroupMembersApi> | Worker<GroupClientsApi>, open: Seats['open']): Seats {
  // Both offer the same but for how they are opened.
  const seats = worker as Worker<Pick<GroupMembersApi, 'begin' | 'state' | 'close'>>
  return {
    open,
    begin: () => seats.call('begin', null),
    state: () => seats.call('state', null),
    close: () => seats.call('close', null),
    [Symbol.asyncDispose]: () => seats[Symbol.asyncDispose](),
  }
}
