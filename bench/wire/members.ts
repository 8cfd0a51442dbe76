/**
 * The members by the name of their peer, as a job that travels between processes names them.
 */
import type { MemberDialect, MemberJob } from './group-member.js'
import { jetstreamMember } from './jetstream-member.js'
import { leveretMember, leveretSingleMember } from './leveret-member.js'
import { redisMember } from './redis-member.js'
import { streamingMember } from './streaming-member.js'

export const MEMBERS = {
  leveret: leveretMember,
  'leveret-single': leveretSingleMember,
  jetstream: jetstreamMember,
  redis: redisMember,
  streaming: streamingMember,
} as const satisfies Record<string, (job: MemberJob) => MemberDialect>

export type MemberDialectName = keyof typeof MEMBERS
