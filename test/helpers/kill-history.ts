/**
 * What publishers did and what they were told, and whether a log agrees with it: the oracle of the kill tests. A record
 * carries its publisher and a number that counts up from 0, so that the log alone tells what is lost, twice or out of order.
 */
import assert from 'node:assert/strict'

/** Offset and partition in one number, so that a long history is one array of them. */
const PARTITIONS_MAX = 64
const NOT_ACKED = -1
const COMPLAINTS_MAX = 10

export interface LoggedRecord {
  readonly partition: number
  readonly offset: number
  readonly payload: Uint8Array
}

export interface Verdict {
  readonly records: number
  readonly acked: number
  /** Copies beyond the first: of un-acked retries of publishers without sequences. */
  readonly duplicates: number
  /** Stored although their publisher was never told. */
  readonly unacked: number
}

export class PublisherHistory {
  readonly index: number
  /** Retries carry a sequence and are stored once. */
  readonly isSequenced: boolean
  /** By number: how often it was sent, where it was acknowledged. */
  readonly sends: number[] = []
  readonly #acks: number[] = []
  acked = 0
  readonly faults: string[] = []

  constructor(index: number, isSequenced: boolean) {
    this.index = index
    this.isSequenced = isSequenced
  }

  /** The next record, about `bytes` long. */
  make(bytes: number): string {
    const number = this.sends.length
    this.sends.push(0)
    this.#acks.push(NOT_ACKED)
    return `${this.index}:${number}:`.padEnd(bytes, 'abcdefghijklmnopqrstuvwxyz')
  }

  sent(number: number): void {
    this.sends[number] = (this.sends[number] as number) + 1
  }

  ackedAt(number: number, partition: number, offset: number): void {
    if (this.#acks[number] !== NOT_ACKED) this.faults.push(`${this.index}:${number} was acknowledged twice`)
    this.#acks[number] = offset * PARTITIONS_MAX + partition
    this.acked++
  }

  /** Null when nobody was told. */
  placeOf(number: number): { partition: number; offset: number } | null {
    const place = this.#acks[number] ?? NOT_ACKED
    return place === NOT_ACKED
      ? null
      : { partition: place % PARTITIONS_MAX, offset: Math.floor(place / PARTITIONS_MAX) }
  }
}

/** All publishers of one topic that keeps everything. */
export class TopicHistory {
  readonly topic: string
  readonly publishers: PublisherHistory[] = []

  constructor(topic: string) {
    this.topic = topic
  }

  add(isSequenced: boolean): PublisherHistory {
    const publisher = new PublisherHistory(this.publishers.length, isSequenced)
    this.publishers.push(publisher)
    return publisher
  }

  get acked(): number {
    return this.publishers.reduce((sum, { acked }) => sum + acked, 0)
  }

  /** Everything that the topic holds, by partition and in the order of offsets, against the history. Throws if they differ. */
  check(partitions: readonly (readonly LoggedRecord[])[]): Verdict {
    const complaints = this.publishers.flatMap(({ faults }) => faults)
    const copies = this.publishers.map(({ sends }) => new Uint16Array(sends.length))
    for (const [partition, records] of partitions.entries()) this.#walk(partition, records, copies, complaints)
    let [duplicates, unacked] = [0, 0]
    for (const publisher of this.publishers) {
      const counts = copies[publisher.index] as Uint16Array
      for (let number = 0; number < counts.length; number++) {
        const count = counts[number] as number
        const most = publisher.isSequenced ? 1 : (publisher.sends[number] as number)
        if (count > most) complaints.push(`${publisher.index}:${number} stands in the log ${count} times, sent ${most}`)
        if (count > 1) duplicates += count - 1
        const place = publisher.placeOf(number)
        if (place === null) {
          unacked += Math.min(count, 1)
          continue
        }
        const there = partitions[place.partition]?.[place.offset]
        const found = there === undefined ? null : nameOf(there.payload)
        if (found?.publisher === publisher.index && found.number === number) continue
        const instead = found === null ? 'nothing' : `${found.publisher}:${found.number}`
        complaints.push(`acked ${publisher.index}:${number} is lost: ${place.partition}/${place.offset} has ${instead}`)
      }
    }
    const shown = complaints.slice(0, COMPLAINTS_MAX).join('\n')
    assert.equal(complaints.length, 0, `topic ${this.topic}, ${complaints.length} complaints:\n${shown}`)
    const records = partitions.reduce((sum, { length }) => sum + length, 0)
    return { records, acked: this.acked, duplicates, unacked }
  }

  #walk(partition: number, records: readonly LoggedRecord[], copies: Uint16Array[], complaints: string[]): void {
    /** The highest number so far, by publisher. */
    const highest = this.publishers.map(() => -1)
    for (const [index, { offset, payload }] of records.entries()) {
      if (offset !== index) complaints.push(`partition ${partition} has offset ${offset} where ${index} belongs`)
      const { publisher: by, number } = nameOf(payload)
      const publisher = this.publishers[by]
      const counts = copies[by]
      if (publisher === undefined || counts === undefined || !((publisher.sends[number] ?? 0) > 0)) {
        complaints.push(`${partition}/${offset} has ${by}:${number}, which was never sent`)
        continue
      }
      const isFirst = counts[number] === 0
      counts[number] = (counts[number] as number) + 1
      if (number > (highest[by] as number)) highest[by] = number
      else if (isFirst || publisher.isSequenced) complaints.push(`${by}:${number} stands behind ${by}:${highest[by]}`)
    }
  }
}

/** Subscribers that stay: every record of a partition once and in order, whatever happens to the server. */
export class SubscriberHistory {
  readonly #seen: LoggedRecord[][] = []
  readonly faults: string[] = []

  /** Fails at once on a gap or a repetition. */
  got(record: LoggedRecord): void {
    const { partition, offset } = record
    this.#seen[partition] ??= []
    const seen = this.#seen[partition]
    if (offset !== seen.length) this.faults.push(`${partition}/${offset} came where ${seen.length} was next`)
    seen.push(record)
  }

  hasSeen(partition: number, end: number): boolean {
    return (this.#seen[partition]?.length ?? 0) >= end
  }

  check(partitions: readonly (readonly LoggedRecord[])[]): void {
    assert.deepEqual(this.faults.slice(0, COMPLAINTS_MAX), [])
    for (const [partition, records] of partitions.entries()) {
      const seen = this.#seen[partition] ?? []
      assert.equal(seen.length, records.length, `a subscriber saw ${seen.length} records of partition ${partition}`)
      for (const [index, { payload }] of records.entries()) {
        const same = Buffer.compare(payload, (seen[index] as LoggedRecord).payload) === 0
        assert.ok(same, `a subscriber saw something else at ${partition}/${index}`)
      }
    }
  }
}

export function nameOf(payload: Uint8Array): { publisher: number; number: number } {
  const text = Buffer.from(payload.buffer, payload.byteOffset, Math.min(payload.length, 32)).toString('latin1')
  const [publisher, number] = text.split(':', 2)
  return { publisher: Number(publisher), number: Number(number) }
}
