/**
 * What the figures of the dialects of RESP are held against: the ratios of turns that lie side by side.
 */
import type { RespReport } from '../resp.js'
import { atLeast, atMost, scaled, steadied, type Verdict } from '../verdict.js'
import { type Measured, ratios } from './turns.js'

const KIB = 1024

export function respVerdicts({ push, consume, events, idle }: RespReport): Verdict[] {
  return [
    ...push.flatMap(({ payloadBytes, connections, depth, sides }) => {
      const what = `RPUSH, sync, ${payloadBytes} B, pipeline of ${depth}, ${connections} from / XADD`
      return [
        held(`${what} always`, sides, 'floki-sync', 'redis-always', 1.5),
        held(`${what} everysec`, sides, 'floki-sync', 'redis-everysec', 0.5),
      ]
    }),
    ...consume.flatMap(({ connections, count, depth, sides }) => {
      const what = `HMGET and HDEL of ${count}, ${connections} connections, ${depth} under way`
      return [held(`${what}, async / XREADGROUP and XACK everysec`, sides, 'floki-async', 'redis-everysec', 0.7)]
    }),
    ...events.map(({ payloadBytes, subscribers, sides }) =>
      held(`events ${payloadBytes} B to ${subscribers} / Redis pub/sub`, sides, 'meilies', 'redis-pubsub', 0.5),
    ),
    ...idle
      .filter(({ kind }) => kind === 'subscriptions')
      .map(({ count, heapBytesEach }) =>
        atMost(`heap of each of ${count} idle MeiliES subscriptions`, scaled(heapBytesEach?.median, KIB), 1, 'KiB'),
      ),
  ]
}

function held<Id extends string>(
  what: string,
  sides: readonly Measured<Id>[],
  ours: Id,
  theirs: Id,
  bound: number,
): Verdict {
  const of = (id: Id) => sides.find(({ contender }) => contender === id)
  const ratio = ratios(of(ours), of(theirs))
  return steadied(atLeast(what, ratio?.median ?? null, bound), ratio)
}
