/**
 * All groups of a broker in figures, for operators, and a word in the log when members have records and say nothing: the sign of
 * a consumer that hangs. Asks the engine only when somebody looks, and every ten seconds.
 */
import { createLog } from '../common/log.js'
import type { Turn, TurnTask } from '../common/turn.js'
import type { MetricsRegistry } from '../metrics/registry.js'
import type { Engine, GroupCounts } from '../storage/engine.js'

const log = createLog('broker:groups')
/** A member with records that says nothing for so long is told of. */
const SILENT_MS = 30_000
const LOOK_MS = 10_000

export class GroupWatch implements TurnTask {
  readonly #engine: Engine
  readonly #turn: Turn
  /** For whoever looks in the same turn: all figures at once are one question. */
  #counts: GroupCounts | null = null
  #lookedMs = Number.NEGATIVE_INFINITY
  #silent = 0

  constructor(engine: Engine, turn: Turn, metrics: MetricsRegistry) {
    this.#engine = engine
    this.#turn = turn
    this.#addMetrics(metrics)
  }

  /** Called with each round of housekeeping. */
  look(nowMs: number): void {
    if (nowMs - this.#lookedMs < LOOK_MS) return
    this.#lookedMs = nowMs
    const { silentMembers } = this.#now()
    if (silentMembers === this.#silent) return
    this.#silent = silentMembers
    log('%d members of groups have had records for %d s and say nothing', silentMembers, SILENT_MS / 1000)
  }

  runTurn(): void {
    this.#counts = null
  }

  #now(): GroupCounts {
    if (this.#counts === null) this.#turn.atEnd(this)
    this.#counts ??= this.#engine.groupCounts(SILENT_MS)
    return this.#counts
  }

  #addMetrics(metrics: MetricsRegistry): void {
    const gauge = (noun: string, help: string, read: (counts: GroupCounts) => number) =>
      metrics.gauge(`leveret_broker_${noun}`, help, () => read(this.#now()))
    const total = (noun: string, help: string, read: (counts: GroupCounts) => number) =>
      metrics.total(`leveret_broker_group_${noun}_total`, help, () => read(this.#now()))
    gauge('groups', 'Groups and named cursors that were used since the server started', ({ groups }) => groups)
    gauge('group_lag_records', 'Records that groups are behind, all together', ({ lag }) => lag)
    const silence = `Members of groups that have had records for ${SILENT_MS / 1000} s and say nothing of them`
    gauge('group_members_silent', silence, ({ silentMembers }) => silentMembers)
    total('redeliveries', 'Records that members of shared groups got again', ({ redeliveries }) => redeliveries)
    total('expired', 'Records whose ack wait ran out', ({ expired }) => expired)
    total('skipped', 'Records that limits removed before shared groups were done with them', ({ skipped }) => skipped)
    total('dead_letters', 'Records that shared groups gave up', ({ deadLetters }) => deadLetters)
    total('rebalances', 'Times that partitions were shared out anew', ({ rebalances }) => rebalances)
    total('fenced', 'Commits of members that had lost the partition', ({ fenced }) => fenced)
  }
}
