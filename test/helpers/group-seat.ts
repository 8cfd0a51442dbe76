/** A member of a shared group that notes what it gets, and tests can wait for it. */

import assert from 'node:assert/strict'
import { ACK, type Range, type Verdict } from '../../src/groups/shared/settings.js'
import { type Offset, toOffset } from '../../src/model/offset.js'
import type { Loss } from '../../src/model/record.js'
import type { DeadLetter, Engine, Share, ShareDelivery, ShareHow, ShareMember } from '../../src/storage/engine.js'

export interface Got {
  readonly partition: number
  readonly offset: number
  readonly deliveryCount: number
}

export class GroupSeat implements ShareMember {
  readonly got: Got[] = []
  readonly losses: Loss[] = []
  /** Taken from it without a word of its own. */
  readonly expiries: Range[] = []
  /** What the group had buried, with this member's settings. */
  readonly buried: DeadLetter[] = []
  /** Fails so many burials. */
  failBurials = 0
  reason: Error | null = null
  /** How much it had each time it was told that nothing is left. */
  readonly dry: number[] = []
  readonly nothingLeft = (): void => {
    this.dry.push(this.got.length)
    this.#look()
  }
  #share: Share | null = null
  readonly #waiting: (() => void)[] = []

  static async take(engine: Engine, group: string, more: Partial<ShareHow> = {}, topic = 'topic'): Promise<GroupSeat> {
    const seat = new GroupSeat()
    const how: ShareHow = {
      member: '',
      start: { kind: 'earliest' },
      ackWaitMs: 1_000,
      backoffMs: [],
      inFlightMax: 1_000,
      spanMax: 1_000,
      deliveryBytesMax: 1e6,
      bury: (dead) => seat.#bury(dead),
      ...more,
    }
    return seat.#sit(await engine.share(topic, group, how, seat))
  }

  #sit(share: Share): this {
    this.#share = share
    return this
  }

  ask(records: number): this {
    this.#share?.ask(records)
    return this
  }

  leave(): void {
    this.#share?.leave()
  }

  settle(from: number, to: number, verdict: Verdict = ACK, partition = 0): Promise<readonly Range[]> {
    if (this.#share === null) throw new Error('there is no seat')
    return this.#share.settle(partition, toOffset(from), toOffset(to), verdict, null)
  }

  /** Offsets, once there are as many. */
  async offsets(count: number): Promise<number[]> {
    await this.until(() => this.got.length >= count)
    return this.got.map(({ offset }) => offset)
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  delivered({ partition, batch, from, to, deliveryCount }: ShareDelivery): void {
    const { baseOffset, count } = batch
    assert.ok(baseOffset <= from && to <= baseOffset + count, `${from} to ${to} of the batch at ${baseOffset}`)
    for (let offset: number = from; offset < to; offset++) this.got.push({ partition, offset, deliveryCount })
    this.#look()
  }

  expired(_partition: number, from: Offset, to: Offset): void {
    this.expiries.push({ from, to })
    this.#look()
  }

  lost(_partition: number, loss: Loss): void {
    this.losses.push(loss)
    this.#look()
  }

  ended(reason: Error): void {
    this.reason = reason
    this.#look()
  }

  async #bury(dead: DeadLetter): Promise<void> {
    if (this.failBurials-- > 0) {
      this.#look()
      throw new Error('no room in the graveyard')
    }
    this.buried.push(dead)
    this.#look()
  }

  #look(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
