/**
 * What all parts of a check share: where the data is, what was found and counted so far, and whether to repair.
 */
import { AbortedError } from '../../common/errors.js'
import type { CheckRequest, CheckTotals, Finding, FindingKind, Severity } from '../check-report.js'
import type { FileSystem } from './file-system.js'
import type { Keyring } from './keyring.js'

/** Findings kept and told; the rest is counted. */
const FINDINGS_MAX = 10_000
/** Progress is told, and a wish to end looked at, each time so much was walked. */
const BEAT_BYTES = 1024 * 1024

/** A finding as whoever makes it says it: what is left out concerns nothing in particular. */
export interface Found extends Partial<Omit<Finding, 'severity' | 'kind' | 'file' | 'message'>> {
  readonly severity: Severity
  readonly kind: FindingKind
  readonly file: string
  readonly message: string
}

export class CheckContext {
  readonly fs: FileSystem
  /** The data directory, absolute. */
  readonly data: string
  readonly keyring: Keyring | null
  readonly isRepair: boolean
  readonly totals: CheckTotals = { topics: 0, partitions: 0, segments: 0, batches: 0, records: 0, bytes: 0 }
  readonly findings: Finding[] = []
  readonly counts = { damage: 0, repairable: 0, note: 0, repaired: 0 }
  /** Ids of keys that were not given, and how many batches they sealed. */
  readonly unopened = new Map<number, number>()
  /** Bytes of all logs, once they are known. */
  totalBytes = 0
  readonly #request: CheckRequest
  #walked = 0
  #beatAt = BEAT_BYTES

  constructor(request: CheckRequest, data: string, fs: FileSystem, keyring: Keyring | null) {
    this.#request = request
    this.fs = fs
    this.data = data
    this.keyring = keyring
    this.isRepair = request.isRepair
  }

  /** Nothing is damaged, or what was is repaired. */
  get isSound(): boolean {
    return this.counts.damage === 0 && this.counts.repairable === this.counts.repaired
  }

  add(found: Found): void {
    const nothing = { topic: null, partition: null, offsets: null, position: null, bytes: null, isRepaired: false }
    const finding: Finding = { ...nothing, ...found }
    this.counts[finding.severity]++
    if (finding.isRepaired) this.counts.repaired++
    if (this.findings.length >= FINDINGS_MAX) return
    this.findings.push(finding)
    this.#request.onFinding(finding)
  }

  /** So many bytes of a log are behind us. Throws AbortedError when nobody wants to know more. */
  walked(bytes: number): void {
    this.#walked += bytes
    if (this.#walked < this.#beatAt) return
    this.#beatAt = this.#walked + BEAT_BYTES
    this.#request.onProgress(this.totals.records, this.#walked, this.totalBytes)
    this.endIfAborted()
  }

  endIfAborted(): void {
    if (this.#request.signal.aborted) throw new AbortedError('the check was interrupted')
  }

  /** A path as findings name it. */
  nameOf(path: string): string {
    return path.slice(this.data.length + 1).replaceAll('\\', '/')
  }
}
