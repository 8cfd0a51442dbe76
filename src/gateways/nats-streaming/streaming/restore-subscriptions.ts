/**
 * From what was kept of subscriptions to what they are after a restart. Whatever part of the writes survived, nothing
 * that was not acked is taken for acked: in doubt a message is sent again. What is known to have been sent waits for its ack as
 * long as it would have without the restart; what may have been sent, or may not, does not wait.
 */

import { groupKey } from './subscription.js'
import {
  decodeDues,
  decodeNextId,
  decodePosition,
  decodeRanges,
  decodeSubscription,
  parseStateKey,
  type SequenceRange,
  StateDamagedError,
  type StateKey,
  type StoredDues,
  type StoredPosition,
  type StoredSubscription,
} from './subscription-state.js'

/** So many of a group are known one by one; what was sent after them is sent anew, unflagged. */
const RESTORED_MAX = 1_048_576

/** All that was kept of one channel. */
export class StoredChannel {
  nextId = 1
  readonly subscriptions: StoredSubscription[] = []
  readonly positions = new Map<number, StoredPosition>()
  readonly done = new Map<number, SequenceRange[]>()
  readonly dues = new Map<number, StoredDues>()
  readonly owned = new Map<number, SequenceRange[]>()
}

/** The first and the last sequence of the channel's messages; 0 and 0 if it never had any. */
export interface SequenceBounds {
  readonly first: number
  readonly last: number
}

export interface RestoredGroup {
  readonly id: number
  readonly start: number
  readonly lastSent: number
  readonly kept: StoredPosition
  /** At least one, or none and a shadow. */
  readonly members: readonly StoredSubscription[]
  readonly shadow: StoredSubscription | null
  readonly waiting: readonly number[]
  /** By sequence, the id of the member that had it, as far as that is known, or of the one whose turn it is; none if there is none. */
  readonly owners: ReadonlyMap<number, number>
  /** By sequence, until when on the clock of the wall it waits for its ack; those that are not there have no reason to. */
  readonly dues: ReadonlyMap<number, number>
  /** The channel has lost messages of which something was kept: what was kept must not outlive that. */
  readonly isCut: boolean
}

export interface RestoredChannel {
  readonly nextId: number
  readonly groups: readonly RestoredGroup[]
  /** Subscriptions whose client is gone and left nothing. */
  readonly dropped: readonly StoredSubscription[]
  /** Groups, and members of groups, of which more was kept than of what they were. */
  readonly droppedGroups: readonly number[]
  readonly droppedOwners: readonly number[]
}

/** Sort what was kept by channel. Keys whose value is damaged are listed, and count as missing. */
export function readStored(values: ReadonlyMap<string, Buffer>, damaged: string[]): Map<string, StoredChannel> {
  const channels = new Map<string, StoredChannel>()
  for (const [key, value] of values) {
    const parsed = parseStateKey(key)
    if (parsed === null) continue
    const stored = channels.get(parsed.channel) ?? new StoredChannel()
    channels.set(parsed.channel, stored)
    try {
      readValue(parsed, value, stored)
    } catch (error) {
      if (!(error instanceof StateDamagedError)) throw error
      damaged.push(key)
    }
  }
  return channels
}

function readValue({ kind, id }: StateKey, value: Buffer, stored: StoredChannel): void {
  if (kind === 'ids') stored.nextId = Math.max(stored.nextId, decodeNextId(value))
  else if (kind === 'sub') stored.subscriptions.push(decodeSubscription(id, value))
  else if (kind === 'pos') stored.positions.set(id, decodePosition(value))
  else if (kind === 'ack') stored.done.set(id, decodeRanges(value))
  else if (kind === 'due') stored.dues.set(id, decodeDues(value))
  else stored.owned.set(id, decodeRanges(value))
}

export function restoreChannel(
  stored: StoredChannel,
  bounds: SequenceBounds,
  isClientKnown: (clientId: string) => boolean,
): RestoredChannel {
  const byGroup = new Map<number, StoredSubscription[]>()
  let nextId = stored.nextId
  for (const subscription of stored.subscriptions) {
    nextId = Math.max(nextId, subscription.id + 1, subscription.group + 1)
    const members = byGroup.get(subscription.group)
    if (members === undefined) byGroup.set(subscription.group, [subscription])
    else members.push(subscription)
  }
  const groups = new Map<string, RestoredGroup>()
  for (const [id, all] of byGroup) {
    const members = all.filter(({ isClosed, clientId }) => !isClosed && isClientKnown(clientId))
    const shadow = members.length === 0 ? (all.filter(({ durableName }) => durableName !== '').at(-1) ?? null) : null
    const [anyone] = shadow === null ? members : [shadow]
    if (anyone === undefined) continue
    const group = restoreGroup(id, members, shadow, anyone.start, stored, bounds)
    const key = groupKey(anyone)
    // Never two of one name, unless somebody else wrote here: the one that has come further goes on.
    if (group.lastSent >= (groups.get(key)?.lastSent ?? 0)) groups.set(key, group)
  }
  const restored = [...groups.values()]
  return { nextId, groups: restored, ...leftovers(stored, restored) }
}

function restoreGroup(
  id: number,
  members: readonly StoredSubscription[],
  shadow: StoredSubscription | null,
  start: number,
  stored: StoredChannel,
  { first, last }: SequenceBounds,
): RestoredGroup {
  const position = stored.positions.get(id) ?? { lastSent: start, floor: start, sent: start, atMs: 0 }
  const done = stored.done.get(id) ?? []
  const isCut = position.floor > last || (done.at(-1)?.to ?? 0) > last
  const waiting: number[] = []
  let lastSent = Math.min(position.lastSent, last)
  let next = 0
  for (let sequence = Math.max(position.floor + 1, first, 1); sequence <= lastSent; sequence++) {
    while ((done[next]?.to ?? Number.POSITIVE_INFINITY) < sequence) next++
    const range = done[next]
    if (range !== undefined && range.from <= sequence) sequence = range.to
    else if (waiting.length === RESTORED_MAX) lastSent = sequence - 1
    else waiting.push(sequence)
  }
  const owners = ownersOf(members, waiting, stored)
  // Where messages were lost others have their sequences by now.
  const dues = isCut ? new Map<number, number>() : duesOf(members, waiting, owners, position, stored.dues.get(id))
  return { id, start, lastSent, kept: position, members, shadow, waiting, owners, dues, isCut }
}

function duesOf(
  members: readonly StoredSubscription[],
  waiting: readonly number[],
  owners: ReadonlyMap<number, number>,
  { sent, atMs }: StoredPosition,
  { to, ranges }: StoredDues = { to: 0, ranges: [] },
): Map<number, number> {
  const dues = new Map<number, number>()
  const ackWaits = new Map(members.map(({ id, ackWaitMs }) => [id, ackWaitMs]))
  let at = 0
  for (const sequence of waiting) {
    if (sequence > to) {
      const ackWaitMs = sequence > sent ? undefined : ackWaits.get(owners.get(sequence) ?? 0)
      if (ackWaitMs !== undefined) dues.set(sequence, atMs + ackWaitMs)
      continue
    }
    while (at < ranges.length && (ranges[at] as SequenceRange).to < sequence) at++
    const range = ranges[at]
    if (range !== undefined && range.from <= sequence) dues.set(sequence, range.dueMs)
  }
  return dues
}

function ownersOf(
  members: readonly StoredSubscription[],
  waiting: readonly number[],
  { owned }: StoredChannel,
): Map<number, number> {
  const owners = new Map<number, number>()
  // It must have been somebody.
  for (const sequence of waiting) {
    const member = members[sequence % members.length]
    if (member !== undefined) owners.set(sequence, member.id)
  }
  if (members.length < 2) return owners
  for (const { id } of members) {
    const ranges = owned.get(id) ?? []
    let at = 0
    for (const sequence of waiting) {
      while (at < ranges.length && (ranges[at] as SequenceRange).to < sequence) at++
      const range = ranges[at]
      if (range === undefined) break
      if (range.from <= sequence) owners.set(sequence, id)
    }
  }
  return owners
}

/** What is there of subscriptions and groups that are not there. */
function leftovers(
  { subscriptions, positions, done, dues, owned }: StoredChannel,
  groups: readonly RestoredGroup[],
): Pick<RestoredChannel, 'dropped' | 'droppedGroups' | 'droppedOwners'> {
  const groupIds = new Set(groups.map(({ id }) => id))
  const ids = new Set<number>()
  for (const { members, shadow } of groups) {
    for (const { id } of members) ids.add(id)
    if (shadow !== null) ids.add(shadow.id)
  }
  const others = new Set([...positions.keys(), ...done.keys(), ...dues.keys()].filter((id) => !groupIds.has(id)))
  return {
    dropped: subscriptions.filter(({ id }) => !ids.has(id)),
    droppedGroups: [...others],
    droppedOwners: [...owned.keys()].filter((id) => !ids.has(id)),
  }
}
