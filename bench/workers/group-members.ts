/**
 * Members of one group after the other in one process, each member on a raw connection of its own.
 */
import type { Socket } from 'node:net'
import { offer } from '../harness/calls.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { nowNs } from '../harness/time.js'
import type { MemberDialect, MemberJob } from '../wire/group-member.js'
import { MEMBERS, type MemberDialectName } from '../wire/members.js'

const GREETING_MS_MAX = 20_000

export interface MembersJob extends Omit<MemberJob, 'member'> {
  readonly port: number
  readonly dialect: MemberDialectName
  /** A number for each member. */
  readonly members: readonly number[]
}

export interface MembersState {
  readonly received: number
  readonly acked: number
  /** Null for a peer whose offsets say nothing. */
  readonly offsetSum: number | null
  /** When the last bytes arrived. */
  readonly atNs: number
}

interface Member {
  readonly dialect: MemberDialect
  readonly socket: Socket
}

let progress = new Progress()
let members: Member[] = []
let atNs = 0

const api = {
  async open(job: MembersJob): Promise<void> {
    progress = new Progress()
    const own = progress
    for (const number of job.members) {
      const dialect: MemberDialect = MEMBERS[job.dialect]({ ...job, member: `m${number}` })
      const socket = await openRaw(job.port, dialect.greeting(), own, (chunk, from) => {
        dialect.feed(chunk, (bytes) => from.write(bytes))
        atNs = nowNs()
        if (!dialect.isReady || dialect.received === 0) own.made()
      })
      members.push({ dialect, socket })
    }
    await own.until(
      () => members.every(({ dialect }) => dialect.isReady),
      GREETING_MS_MAX,
      () => 'not all members were greeted',
    )
  },

  /** Fetch; answers with the moment before the first of them did. */
  async begin(_: null): Promise<number> {
    const startNs = nowNs()
    for (const { dialect, socket } of members) socket.write(dialect.begin())
    return startNs
  },

  async state(_: null): Promise<MembersState> {
    progress.throwIfFailed()
    const sums = members.map(({ dialect }) => dialect.offsetSum)
    return {
      received: members.reduce((sum, { dialect }) => sum + dialect.received, 0),
      acked: members.reduce((sum, { dialect }) => sum + dialect.acked, 0),
      offsetSum: sums.includes(null) ? null : sums.reduce<number>((sum, each) => sum + (each ?? 0), 0),
      atNs,
    }
  },

  async close(_: null): Promise<void> {
    // What happens to these connections from now on is nobody's failure.
    progress = new Progress()
    for (const { socket } of members) socket.destroy()
    members = []
  },
}

export type GroupMembersApi = typeof api

offer(api)
