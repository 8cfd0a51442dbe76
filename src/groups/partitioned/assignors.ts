/**
 * Who reads which partition: three pure rules, each balanced within one partition, each the same whatever the order in
 * which the members are named. `sticky` moves as few partitions as a balanced assignment allows; the others look at
 * nothing but the names, so that anybody can work out by hand who has what.
 */

/** Chosen by the client, or by whoever lets it in; what tells one member of a group from another. */
export type MemberId = string

/** The member of each partition, by its index; null only if there are no members, or none yet. */
export type Assignment = readonly (MemberId | null)[]

export type Assignor = (partitions: number, members: readonly MemberId[], previous: Assignment) => Assignment

/** Neighbouring partitions stay together: with 7 partitions, a has 0 to 2, b has 3 and 4, c has 5 and 6. */
export const assignRange: Assignor = (partitions, members) => {
  const names = inOrder(members)
  const assignment = unassigned(partitions)
  let partition = 0
  for (const [index, name] of names.entries()) {
    const share = shareOf(partitions, names.length, index)
    assignment.fill(name, partition, partition + share)
    partition += share
  }
  return assignment
}

/** Dealt out like cards: with 7 partitions, a has 0, 3 and 6, b has 1 and 4, c has 2 and 5. */
export const assignRoundRobin: Assignor = (partitions, members) => {
  const names = inOrder(members)
  return unassigned(partitions).map((_, partition) => names[partition % names.length] ?? null)
}

/** Each member keeps what it had up to its share; only what is left over moves, to whoever has room. */
export const assignSticky: Assignor = (partitions, members, previous) => {
  const names = inOrder(members)
  const assignment = unassigned(partitions)
  const room = stickyRoom(partitions, names, previous)
  for (const partition of assignment.keys()) {
    const name = previous[partition] ?? null
    if (name !== null && takeRoom(room, name)) assignment[partition] = name
  }
  let next = 0
  for (const [partition, kept] of assignment.entries()) {
    if (kept !== null) continue
    let name = names[next]
    while (name !== undefined && !takeRoom(room, name)) name = names[++next]
    assignment[partition] = name ?? null
  }
  return assignment
}

export const ASSIGNORS = {
  range: assignRange,
  'round-robin': assignRoundRobin,
  sticky: assignSticky,
} as const satisfies Record<string, Assignor>

export type AssignorName = keyof typeof ASSIGNORS

/**
 * How many partitions each member is to have. Where they do not divide evenly, the shares that are larger by one go to
 * members that had so many before: each of them saves a move, and no other choice saves more.
 */
function stickyRoom(partitions: number, names: readonly MemberId[], previous: Assignment): Map<MemberId, number> {
  const had = new Map<MemberId, number>(names.map((name) => [name, 0]))
  for (const name of previous.slice(0, partitions)) {
    const count = name === null ? undefined : had.get(name)
    if (name !== null && count !== undefined) had.set(name, count + 1)
  }
  const least = Math.floor(partitions / names.length)
  const isLarge = (name: MemberId) => (had.get(name) ?? 0) > least
  const favoured = [...names.filter(isLarge), ...names.filter((name) => !isLarge(name))]
  return new Map(favoured.map((name, index) => [name, shareOf(partitions, names.length, index)]))
}

function takeRoom(room: Map<MemberId, number>, name: MemberId): boolean {
  const left = room.get(name) ?? 0
  if (left > 0) room.set(name, left - 1)
  return left > 0
}

/** The first members have one more than the last where partitions do not divide evenly. */
function shareOf(partitions: number, members: number, index: number): number {
  return Math.floor(partitions / members) + (index < partitions % members ? 1 : 0)
}

function unassigned(partitions: number): (MemberId | null)[] {
  return new Array<MemberId | null>(partitions).fill(null)
}

function inOrder(members: readonly MemberId[]): MemberId[] {
  return [...new Set(members)].sort()
}
