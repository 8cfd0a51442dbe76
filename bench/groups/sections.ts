/**
 * The part of the page about groups.
 */
import type { GroupsReport } from '../groups.js'
import type { Spread } from '../harness/statistics.js'
import { invalid, kib, rangeOf, section, thousands, times } from '../harness/table.js'
import type { IdleReport } from './idle.js'
import type { PartitionedRow } from './partitioned.js'
import type { SharedRow } from './shared.js'

export function groupSections({ shared, partitioned, idle, missing }: GroupsReport): string {
  const sections = [
    missing.map((sentence) => `- **groups**: ${sentence}`).join('\n'),
    ...sharedSections(shared),
    partitioned.length === 0
      ? ''
      : section('Partitioned group, 100 B, leveret client, by iterating', partitionedTable(partitioned)),
    idle === null ? '' : section(`${thousands(idle.groups)} idle groups on one topic`, idleTable(idle)),
  ]
  return sections.filter((text) => text !== '').join('\n\n')
}

function sharedSections(rows: readonly SharedRow[]): string[] {
  const counts = new Set(rows.map(({ members }) => members))
  return Array.from(counts, (members) => {
    const group = rows.filter((row) => row.members === members)
    const rate = (id: string): number | undefined => group.find(({ entrant }) => entrant === id)?.perSecond?.median
    const lines = group.map(({ name, perSecond, serverNs, problems }) => [
      name,
      thousands(perSecond?.median),
      rangeOf(perSecond, thousands),
      times(perSecond?.median, rate('jetstream wire')),
      times(perSecond?.median, rate('redis-everysec wire')),
      thousands(serverNs?.median),
      invalid(problems),
    ])
    const head = ['', 'records/s', 'min-max', '/ JetStream raw', '/ Redis everysec', 'server ns/record', '']
    const title = `Shared group, 100 B, every record acked, ${members} member${members === 1 ? '' : 's'}`
    return section(title, [head, ...lines])
  })
}

function partitionedTable(rows: readonly PartitionedRow[]): string[][] {
  const lines = rows.map(({ members, partitions, perSecond, serverNs, problems }) => [
    `${members} member${members === 1 ? '' : 's'}, ${partitions} partitions`,
    thousands(perSecond?.median),
    rangeOf(perSecond, thousands),
    thousands(serverNs?.median),
    invalid(problems),
  ])
  return [['', 'records/s', 'min-max', 'server ns/record', ''], ...lines]
}

function idleTable(idle: IdleReport): string[][] {
  const line = (what: string, spread: Spread | null, show: (value: number) => string, ratio = ''): string[] => {
    return [what, spread === null ? '-' : show(spread.median), rangeOf(spread, show), ratio]
  }
  const { alone, beside, ratio, aloneNs, besideNs } = idle
  const lines = [
    line('heap, each', idle.heapBytesEach, kib),
    line('resident, each', idle.residentBytesEach, kib),
    line('publishes/s to a topic without groups', alone, thousands),
    line(
      'publishes/s to the topic with the groups',
      beside,
      thousands,
      ratio === null ? '' : `${ratio.median.toFixed(2)}x`,
    ),
    line('server ns/publish without groups', aloneNs, thousands),
    line('server ns/publish with the groups', besideNs, thousands, times(besideNs?.median, aloneNs?.median)),
  ]
  if (idle.problems.length > 0) lines.push([invalid(idle.problems), '', '', ''])
  return [['', 'median', 'min-max', '/ without'], ...lines]
}
