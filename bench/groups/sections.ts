/**
 * The part of the page about groups.
 */
import type { GroupsReport } from '../groups.js'
import { invalid, kib, rangeOf, section, thousands, times } from '../harness/table.js'
import type { IdleReport } from './idle.js'
import type { SharedRow } from './shared.js'

export function groupSections({ shared, idle, missing }: GroupsReport): string {
  const sections = [
    missing.map((sentence) => `- **groups**: ${sentence}`).join('\n'),
    ...sharedSections(shared),
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

function idleTable({ heapBytesEach, residentBytesEach, alone, beside, problems }: IdleReport): string[][] {
  const lines = [
    ['heap, each', heapBytesEach === null ? '-' : kib(heapBytesEach.median), rangeOf(heapBytesEach, kib), ''],
    [
      'resident, each',
      residentBytesEach === null ? '-' : kib(residentBytesEach.median),
      rangeOf(residentBytesEach, kib),
      '',
    ],
    ['publishes/s to a topic without groups', thousands(alone?.median), rangeOf(alone, thousands), ''],
    [
      'publishes/s to the topic with the groups',
      thousands(beside?.median),
      rangeOf(beside, thousands),
      times(beside?.median, alone?.median),
    ],
  ]
  if (problems.length > 0) lines.push([invalid(problems), '', '', ''])
  return [['', 'median', 'min-max', '/ without'], ...lines]
}
