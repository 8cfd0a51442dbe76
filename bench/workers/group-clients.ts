/**
 * Members of one group after the other in one process, each a program that consumes record by record through a client
 * library of its own.
 */
import { connect as connectNats, type NatsConnection } from '@nats-io/transport-node'
import { connect as connectLeveret, type ReceivedRecord, type SubscribeOptions } from '../../client/index.js'
import { offer } from '../harness/calls.js'
import { nowNs } from '../harness/time.js'
import { STREAM } from '../wire/jetstream-dialect.js'
import { TOPIC } from '../wire/leveret-dialect.js'
import type { MembersState } from './group-members.js'

/** How a program says that it is done with a record: in so many words, or by asking for the next one. */
export type ClientWay = 'ack' | 'iterate'

export interface ClientsJob {
  readonly port: number
  readonly peer: 'leveret' | 'nats'
  readonly way: ClientWay
  readonly mode: 'shared' | 'partitioned'
  readonly group: string
  readonly window: number
  readonly payloadBytes: number
  /** A number for each member. */
  readonly members: readonly number[]
}

interface Member {
  begin(): void
  close(): Promise<void>
}

const PULL_RECORDS = 1_000
const PULL_NS = 60e9

let failure: Error | null = null
let members: Member[] = []
let received = 0
let acked = 0
let offsetSum: number | null = 0
let payloadBytes = 0
let atNs = 0
let isStamping = false

const api = {
  async open(job: ClientsJob): Promise<void> {
    received = 0
    acked = 0
    offsetSum = job.peer === 'leveret' && job.mode === 'shared' ? 0 : null
    payloadBytes = job.payloadBytes
    const open = job.peer === 'leveret' ? leveretMember : natsMember
    for (const number of job.members) members.push(await open(job, number))
  },

  /** Fetch; answers with the moment before the first of them did. */
  async begin(_: null): Promise<number> {
    const startNs = nowNs()
    for (const member of members) member.begin()
    return startNs
  },

  async state(_: null): Promise<MembersState> {
    if (failure !== null) throw failure
    return { received, acked, offsetSum, atNs }
  },

  async close(_: null): Promise<void> {
    await Promise.all(members.map((member) => member.close()))
    members = []
  },
}

export type GroupClientsApi = typeof api

offer(api)

async function leveretMember({ port, way, mode, group, window }: ClientsJob): Promise<Member> {
  const client = await connectLeveret({ port })
  const closing = new AbortController()
  const options: SubscribeOptions = { group, mode, window, manualCommit: way === 'ack', signal: closing.signal }
  const consume = async (): Promise<void> => {
    for await (const record of client.topic(TOPIC).subscribe(options)) {
      onRecord(record.payload)
      if (offsetSum !== null) offsetSum += record.offset
      if (way === 'ack') ack(record)
      // What asking for the next record says is confirmed by nobody: the server is asked in the end.
      else acked++
    }
  }
  return {
    begin: () => void consume().catch((error: Error) => fail(closing.signal.aborted ? null : error)),
    close: async () => {
      closing.abort()
      await client.close()
    },
  }
}

function ack(record: ReceivedRecord): void {
  record.ack().then(onAcked, fail)
}

function onAcked(): void {
  acked++
  stamp()
}

/** What NATS's own library does for a pull consumer, with its connection: a next batch when half of one has come. */
async function natsMember({ port, group }: ClientsJob, number: number): Promise<Member> {
  const connection = await connectNats({ servers: `127.0.0.1:${port}` })
  const inbox = `pulled-${number}`
  const subscription = connection.subscribe(inbox)
  await connection.flush()
  let outstanding = 0
  const pull = (): void => {
    if (outstanding > PULL_RECORDS / 2) return
    pullFrom(connection, group, inbox, PULL_RECORDS - outstanding)
    outstanding = PULL_RECORDS
  }
  const consume = async (): Promise<void> => {
    for await (const message of subscription) {
      onRecord(message.data)
      message.respond()
      acked++
      outstanding--
      pull()
    }
  }
  return {
    begin: () => {
      pull()
      consume().catch(fail)
    },
    close: () => connection.close(),
  }
}

function pullFrom(connection: NatsConnection, group: string, inbox: string, batch: number): void {
  const subject = `$JS.API.CONSUMER.MSG.NEXT.${STREAM}.${group}`
  connection.publish(subject, JSON.stringify({ batch, expires: PULL_NS }), { reply: inbox })
}

function onRecord(payload: Uint8Array): void {
  if (payload.length !== payloadBytes) fail(new Error('a record has another length'))
  received++
  stamp()
}

/** Once a turn: to look at the clock costs more than the record does. */
function stamp(): void {
  if (isStamping) return
  isStamping = true
  setImmediate(() => {
    atNs = nowNs()
    isStamping = false
  })
}

function fail(error: Error | null): void {
  failure ??= error
}
