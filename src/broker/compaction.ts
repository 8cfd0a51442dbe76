/**
 * The compaction window of one partition: which keys were accepted less than a window ago, and where. Bounded in
 * keys; trimmed from the oldest deadline, never swept.
 */

/** A key that was accepted. The offset is known once the record is appended. */
export interface AcceptedKey {
  readonly key: string
  readonly acceptedMs: number
  offset: number
  /** The append failed: records that were dropped as duplicates of this one were not kept after all. */
  failed: boolean
}

export class CompactionWindow {
  readonly #windowMs: number
  readonly #keysMax: number
  /** In the order of acceptance, which is the order of deadlines: duplicates do not extend the window. */
  readonly #keys = new Map<string, AcceptedKey>()
  /** Keys forgotten before their time because the table was full. */
  evicted = 0

  constructor(windowMs: number, keysMax: number) {
    this.#windowMs = windowMs
    this.#keysMax = keysMax
  }

  get size(): number {
    return this.#keys.size
  }

  /** The acceptance that makes a record with this key a duplicate at `nowMs`, or null. */
  find(key: string, nowMs: number): AcceptedKey | null {
    const accepted = this.#keys.get(key)
    return accepted !== undefined && !accepted.failed && this.#isWithin(accepted, nowMs) ? accepted : null
  }

  /** The last acceptance of this key, though its window may be over. */
  known(key: string): AcceptedKey | null {
    return this.#keys.get(key) ?? null
  }

  /** Accept a key that `find` did not know. At the limit the oldest key is forgotten early. */
  accept(key: string, nowMs: number): AcceptedKey {
    this.trim(nowMs)
    if (this.#keys.size >= this.#keysMax) this.#forgetOldest()
    const accepted = { key, acceptedMs: nowMs, offset: -1, failed: false }
    this.#keys.delete(key)
    this.#keys.set(key, accepted)
    return accepted
  }

  /** Undo an acceptance whose record could not be appended. */
  reject(accepted: AcceptedKey): void {
    accepted.failed = true
    if (this.#keys.get(accepted.key) === accepted) this.#keys.delete(accepted.key)
  }

  /** Forget keys whose window is over, up to the first one whose is not. */
  trim(nowMs: number): void {
    for (const [key, accepted] of this.#keys) {
      if (this.#isWithin(accepted, nowMs)) return
      this.#keys.delete(key)
    }
  }

  #isWithin(accepted: AcceptedKey, nowMs: number): boolean {
    return nowMs - accepted.acceptedMs < this.#windowMs
  }

  #forgetOldest(): void {
    for (const key of this.#keys.keys()) {
      this.#keys.delete(key)
      this.evicted++
      return
    }
  }
}
