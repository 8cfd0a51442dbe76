/**
 * What an operator asks of groups: list, describe, seek, pause, resume, delete. Called by client.ts.
 */
import { GroupNotFoundError, InvalidArgumentError, SubscriptionNotFoundError } from '../src/common/errors.js'
import type { GroupAction } from '../src/model/group.js'
import { EARLIEST, PARTITIONS_MAX, validateTopicName } from '../src/model/topic.js'
import type { GroupDescription } from '../src/protocol/frames.js'
import { requireWithin } from './options.js'
import type { Progress } from './reading.js'
import type { RequestOptions, Requests } from './requests.js'
import { type From, startOf } from './subscribe-options.js'

export interface SeekOptions extends RequestOptions {
  /** Default: all. */
  readonly partition?: number | undefined
}

type Wish =
  | { readonly action: Exclude<GroupAction, 'seek'> }
  | { readonly action: Extract<GroupAction, 'seek'>; readonly from: From }

/** Page by page, since one frame does not hold the groups of every topic. */
export async function listGroups(
  requests: Requests,
  topic: string,
  options: RequestOptions,
): Promise<GroupDescription[]> {
  validateTopicName(topic)
  const groups: GroupDescription[] = []
  for (;;) {
    const after = groups[groups.length - 1]?.name ?? ''
    const page = await requests.ask(
      'description',
      (id) => ({ kind: 'describe', id, topic, group: '', after, groups: true }),
      options,
    )
    groups.push(...page.groups)
    if (!page.more || page.groups.length === 0) return groups
  }
}

export async function describeGroup(
  requests: Requests,
  topic: string,
  group: string,
  options: RequestOptions,
): Promise<GroupDescription> {
  requireNames(topic, group)
  const { groups } = await requests.ask(
    'description',
    (id) => ({ kind: 'describe', id, topic, group, after: '', groups: false }),
    options,
  )
  const found = groups[0]
  if (found === undefined) throw new GroupNotFoundError(`topic "${topic}" has no group "${group}"`, { topic })
  return found
}

/** Asked again after a reconnect; a deletion whose answer was lost then says LVT_GROUP_NOT_FOUND. */
export async function manageGroup(
  requests: Requests,
  topic: string,
  group: string,
  wish: Wish,
  { partition, signal }: SeekOptions,
): Promise<void> {
  requireNames(topic, group)
  if (partition !== undefined) requireWithin('partition', partition, 0, PARTITIONS_MAX - 1)
  const start = wish.action === 'seek' ? startOf(wish.from) : EARLIEST
  const fields = { topic, group, action: wish.action, start, partition: partition ?? null }
  await requests.ask('done', (id) => ({ kind: 'manage-group', id, ...fields }), { signal })
}

/** `subscription` is the one that reads it now, if there is one. Both ways come to the same. */
export async function forgetCursor(
  requests: Requests,
  topic: string,
  name: string,
  subscription: number | null,
): Promise<void> {
  try {
    if (subscription !== null) {
      await requests.ask('done', (id) => ({ kind: 'unsubscribe', id, subscription, forget: true }))
      return
    }
  } catch (error) {
    // The connection was lost on the way, and the subscription with it.
    if (!(error instanceof SubscriptionNotFoundError)) throw error
  }
  try {
    await manageGroup(requests, topic, name, { action: 'delete' }, {})
  } catch (error) {
    if (!(error instanceof GroupNotFoundError)) throw error
  }
}

/** An empty name means something else on the wire. */
function requireNames(topic: string, group: string): void {
  validateTopicName(topic)
  if (group === '') throw new InvalidArgumentError('the name of a group is not empty')
}

/** Where a member of the group stands, when everything it has fetched is consumed. */
export async function groupProgress(
  requests: Requests,
  topic: string,
  group: string,
  hasAll: (state: GroupDescription) => boolean,
): Promise<Progress> {
  const state = await describeGroup(requests, topic, group, {})
  if (hasAll(state)) return 'caught-up'
  return state.isPaused ? 'paused' : 'behind'
}
