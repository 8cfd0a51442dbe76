/**
 * What the figures of groups are held against: raw members against raw members, programs against programs.
 */
import type { GroupsReport } from '../groups.js'
import { atLeast, atMost, ratio, scaled, steadied, type Verdict } from '../verdict.js'
import type { EntrantId } from './entrants.js'
import type { IdleReport } from './idle.js'
import { MEMBERS, type SharedRow } from './shared.js'

const KIB = 1024

export function groupVerdicts({ shared, idle }: GroupsReport): Verdict[] {
  return [...MEMBERS.flatMap((members) => sharedVerdicts(shared, members)), ...idleVerdicts(idle)]
}

function sharedVerdicts(rows: readonly SharedRow[], members: number): Verdict[] {
  const of = (id: EntrantId) =>
    rows.find((row) => row.entrant === id && row.members === members && row.problems.length === 0)?.perSecond ?? null
  const wanted: [ours: EntrantId, theirs: EntrantId, name: string, bound: number][] = [
    ['leveret wire', 'jetstream wire', 'acks synced / JetStream pull consumer', 3],
    ['leveret client ack', 'jetstream client', 'record.ack() / JetStream pull, NATS client', 3],
    ['leveret wire', 'redis-everysec wire', 'acks synced / Redis everysec', 1],
    ['leveret wire', 'redis-always wire', 'acks synced / Redis always', 1],
  ]
  return wanted
    .filter(([ours]) => rows.some((row) => row.entrant === ours && row.members === members))
    .map(([ours, theirs, name, bound]) => {
      const [mine, other] = [of(ours), of(theirs)]
      const what = `shared group, ${members} member${members === 1 ? '' : 's'}, ${name}`
      return steadied(atLeast(what, ratio(mine?.median ?? null, other?.median ?? null), bound), mine, other)
    })
}

function idleVerdicts(idle: IdleReport | null): Verdict[] {
  if (idle === null) return []
  const { heapBytesEach, residentBytesEach, ratio } = idle
  return [
    atMost('heap of each of 10,000 idle groups', scaled(heapBytesEach?.median, KIB), 2, 'KiB'),
    atMost('resident memory of each of 10,000 idle groups', scaled(residentBytesEach?.median, KIB), 2, 'KiB'),
    atLeast('publish to a topic with 10,000 idle groups / without', ratio?.median ?? null, 0.9),
  ]
}
