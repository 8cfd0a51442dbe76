/**
 * The subscriptions of one channel as the specification tells them, and no faster: lists that are searched and sorted
 * anew for everything. Random tests hold the real machine against it.
 */
import type { SubscribeRequest } from '../../src/gateways/nats-streaming/streaming/subscription.js'

export interface ModelMember {
  readonly id: number
  readonly request: SubscribeRequest
  isReady: boolean
  isFailing: boolean
  /** Nobody listens to its inbox. */
  isAway: boolean
  pausedUntilMs: number
}

export interface ModelPending {
  readonly sequence: number
  holder: ModelMember | null
  expiryMs: number
  dueMs: number
  count: number
  isPinned: boolean
  isOut: boolean
}

export interface ModelGroup {
  readonly key: string
  readonly isQueue: boolean
  readonly isDurable: boolean
  lastSent: number
  /** The first is first in line. */
  members: ModelMember[]
  shadow: ModelMember | null
  pending: ModelPending[]
}

export class SubscriptionModel {
  groups: ModelGroup[] = []
  #nextId = 1

  count(): number {
    return this.groups.reduce((sum, { members }) => sum + Math.max(1, members.length), 0)
  }

  groupOf(id: number): ModelGroup {
    const group = this.groups.find(({ members }) => members.some((member) => member.id === id))
    if (group === undefined) throw new Error(`nobody has the id ${id}`)
    return group
  }

  member(id: number): ModelMember {
    return this.groupOf(id).members.find((member) => member.id === id) as ModelMember
  }

  heldBy(group: ModelGroup, member: ModelMember): number {
    return group.pending.filter(({ holder }) => holder === member).length
  }

  subscribe(request: SubscribeRequest, key: string, lastSent: number, max: number, replaces: boolean, nowMs: number) {
    const isQueue = request.queue !== ''
    if (isQueue && request.durableName.includes(':')) return 'durable-name'
    let group = this.groups.find((known) => known.key === key)
    const active = isQueue ? undefined : group?.members[0]
    if (active !== undefined && !replaces) return 'duplicate'
    if ((group === undefined || (isQueue && group.members.length > 0)) && this.count() >= max) return 'too-many'
    if (group !== undefined && active !== undefined) this.leave(active.id, true, nowMs)
    if (group === undefined) {
      const isDurable = request.durableName !== ''
      group = { key, isQueue, isDurable, lastSent, members: [], shadow: null, pending: [] }
      this.groups.push(group)
    }
    const id = group.shadow?.id ?? this.#nextId++
    const member = { id, request, isReady: false, isFailing: false, isAway: false, pausedUntilMs: 0 }
    if (group.members.length === 0) {
      for (const entry of group.pending.sort((a, b) => a.sequence - b.sequence)) {
        Object.assign(entry, { holder: member, dueMs: 0, isPinned: true, isOut: false })
      }
    }
    group.shadow = null
    group.members.push(member)
    return id
  }

  /** Who may get something new, the best first. */
  give(group: ModelGroup, sequence: number, nowMs: number): number | null {
    if (group.pending.some(({ isPinned }) => isPinned)) return null
    const here = group.members.filter(isHere)
    const live = here.filter(({ isFailing }) => !isFailing)
    const asked = live.length > 0 ? live : here
    const open = asked.filter((member) => this.heldBy(group, member) < member.request.maxInFlight)
    // Of those that do not answer the first in line, of the others the one with the fewest.
    const least = Math.min(...open.map((member) => this.heldBy(group, member)))
    const chosen = live.length > 0 ? open.find((member) => this.heldBy(group, member) === least) : open[0]
    if (chosen === undefined) return null
    this.#rotate(group, chosen)
    group.lastSent = sequence
    const dueMs = nowMs + chosen.request.ackWaitMs
    group.pending.push({
      sequence,
      holder: chosen,
      expiryMs: dueMs,
      dueMs,
      count: 0,
      isPinned: false,
      isOut: false,
    })
    return chosen.id
  }

  ack(group: ModelGroup, sequence: number): boolean {
    const before = group.pending.length
    group.pending = group.pending.filter((entry) => entry.sequence !== sequence)
    return group.pending.length < before
  }

  /** `leaving` are the ids of those that leave at the same time. */
  leave(id: number, isClose: boolean, nowMs: number, leaving: readonly number[] = []): void {
    const group = this.groupOf(id)
    const member = this.member(id)
    const all = group.pending.filter(({ holder }) => holder === member)
    const out = all.filter(({ isOut }) => isOut).sort((a, b) => a.sequence - b.sequence)
    const held = [...out, ...all.filter(({ isOut }) => !isOut).sort(byDue)]
    group.members.splice(group.members.indexOf(member), 1)
    const heirs = group.members.filter((other) => !leaving.includes(other.id))
    for (const [index, entry] of held.entries()) {
      const heir = heirs[index % heirs.length] ?? null
      const dueMs = heir === null ? entry.dueMs : nowMs + 100
      const expiryMs = heir === null ? entry.expiryMs : nowMs
      Object.assign(entry, { holder: heir, dueMs, expiryMs, isPinned: false, isOut: false })
    }
    if (group.members.length > 0) return
    if (group.isDurable && isClose) group.shadow = member
    else this.groups = this.groups.filter((known) => known !== group)
  }

  /** All sequences that are to be looked up now, group by group. */
  due(nowMs: number): ModelPending[] {
    const due: ModelPending[] = []
    for (const group of this.groups) {
      for (const member of group.members) {
        if (member.isReady) due.push(...this.#dueOf(group, member, nowMs))
      }
    }
    for (const entry of due) entry.isOut = true
    return due
  }

  #dueOf(group: ModelGroup, member: ModelMember, nowMs: number): ModelPending[] {
    const held = group.pending.filter(({ holder, isOut }) => holder === member && !isOut).sort(byDue)
    const first = held[0]
    const whenOf = (entry: ModelPending) => (entry.isPinned ? entry.dueMs : Math.max(entry.dueMs, member.pausedUntilMs))
    if (first === undefined || whenOf(first) > nowMs) return []
    const now = held.filter((entry) => whenOf(entry) <= nowMs + 15)
    if (!group.members.some(isHere)) {
      if (member.isFailing && !group.isQueue && !first.isPinned) member.pausedUntilMs = nowMs + member.request.ackWaitMs
      return []
    }
    if (!member.isFailing || group.isQueue || now.every(({ isPinned }) => isPinned)) return now
    member.pausedUntilMs = nowMs + member.request.ackWaitMs
    return now.filter(({ isPinned }) => isPinned)
  }

  redeliver(group: ModelGroup, sequence: number, nowMs: number): { id: number; count: number } | null {
    const entry = group.pending.find((known) => known.sequence === sequence && known.isOut)
    const holder = entry?.holder ?? null
    if (entry === undefined || holder === null) return null
    // What comes back comes in order.
    const isBehind = group.pending.some(
      (other) => other.holder === holder && other.isPinned && !other.isOut && other.sequence < sequence,
    )
    if (entry.isPinned && isBehind) {
      entry.isOut = false
      return null
    }
    const staysPut = isHere(holder) && (!group.isQueue || (entry.isPinned && !holder.isFailing))
    const to = staysPut ? holder : group.isQueue ? this.#best(group) : null
    if (to === null) {
      entry.isOut = false
      return null
    }
    const next = to === holder && nowMs - entry.expiryMs <= 100 ? entry.expiryMs + to.request.ackWaitMs : 0
    const dueMs = next > nowMs ? next : nowMs + to.request.ackWaitMs
    const count = entry.count + 1
    Object.assign(entry, {
      holder: to,
      isOut: false,
      isPinned: false,
      dueMs,
      expiryMs: dueMs,
      count,
    })
    return { id: to.id, count }
  }

  defer(group: ModelGroup, sequence: number): void {
    const entry = group.pending.find((known) => known.sequence === sequence && known.isOut)
    if (entry !== undefined) entry.isOut = false
  }

  failed(group: ModelGroup, sequence: number, nowMs: number): void {
    const entry = group.pending.find((known) => known.sequence === sequence && known.isOut)
    if (entry === undefined || entry.holder === null) return
    const dueMs = nowMs + entry.holder.request.ackWaitMs
    Object.assign(entry, { isOut: false, isPinned: false, dueMs, expiryMs: dueMs })
  }

  /** Room or not, somebody gets it, if anybody is there. */
  #best(group: ModelGroup): ModelMember | null {
    const ready = group.members.filter(isHere)
    if (ready.length === 0) return null
    const live = ready.filter(({ isFailing }) => !isFailing)
    const open = live.filter((member) => this.heldBy(group, member) < member.request.maxInFlight)
    const least = Math.min(...open.map((member) => this.heldBy(group, member)))
    const chosen = open.find((member) => this.heldBy(group, member) === least) ?? live[0] ?? ready[0]
    this.#rotate(group, chosen as ModelMember)
    return chosen as ModelMember
  }

  #rotate(group: ModelGroup, chosen: ModelMember): void {
    if (group.members[0] === chosen) group.members.push(group.members.shift() as ModelMember)
  }
}

export function isHere({ isReady, isAway }: ModelMember): boolean {
  return isReady && !isAway
}

function byDue(a: ModelPending, b: ModelPending): number {
  return a.dueMs - b.dueMs || a.sequence - b.sequence
}
