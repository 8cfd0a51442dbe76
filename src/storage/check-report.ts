/**
 * What a verification of a data directory finds: the words that whoever verifies and whoever prints share.
 */

/**
 * `damage`: records cannot be read, or the data cannot be opened, and no repair brings them back. `repairable`: a repair puts
 * it right, and loses nothing that was whole. `note`: worth knowing, and nothing is wrong.
 */
export type Severity = 'damage' | 'repairable' | 'note'

export type FindingKind =
  /** The lock file. */
  | 'lock'
  /** The list of topics: its copies, its age. */
  | 'catalog'
  /** A directory of topics or partitions that no line of the catalog explains. */
  | 'unexplained'
  /** Bytes that no append has written, and the offsets that stood there. */
  | 'corrupt'
  /** Offsets that stand nowhere. */
  | 'missing'
  /** A file of another partition. */
  | 'misplaced'
  /** Offsets or times that go back. */
  | 'order'
  /** An unfinished write at the end of a log or of the catalog. */
  | 'torn'
  /** A sealed batch that does not open, or whose key was not given. */
  | 'sealed'
  | 'index'
  | 'checkpoint'
  /** The journal of a log compaction. */
  | 'journal'
  /** Put aside by a recovery, or left by something that was interrupted. */
  | 'leftover'
  /** Not of leveret's making. */
  | 'stranger'
  /** The system refused to read it. */
  | 'unreadable'

export interface Finding {
  readonly severity: Severity
  readonly kind: FindingKind
  readonly topic: string | null
  readonly partition: number | null
  /** Offsets concerned, `to` exclusive. */
  readonly offsets: { readonly from: number; readonly to: number } | null
  /** Below the data directory, with `/`. */
  readonly file: string
  readonly position: number | null
  /** Length of what is concerned in the file. */
  readonly bytes: number | null
  readonly message: string
  readonly isRepaired: boolean
}

export interface CheckTotals {
  topics: number
  partitions: number
  segments: number
  batches: number
  records: number
  /** Of whole batches. */
  bytes: number
}

export interface CheckReport {
  /** Nothing is damaged, or everything that was is repaired. */
  readonly isSound: boolean
  /** Whether whoever had the data last closed it. */
  readonly isClosed: boolean
  readonly totals: CheckTotals
  /** The first ones; `counts` are of all. */
  readonly findings: readonly Finding[]
  readonly counts: Readonly<Record<Severity | 'repaired', number>>
}

export interface CheckRequest {
  readonly data: string
  /** Cut torn tails, rebuild indexes, restore a copy of the catalog. */
  readonly isRepair: boolean
  /** Told of each finding as it is made, as far as they are kept. */
  onFinding(finding: Finding): void
  /** Called often, with what was walked so far and with the bytes that there are. */
  onProgress(records: number, bytes: number, totalBytes: number): void
  /** Ends the check, with an AbortedError. */
  readonly signal: AbortSignal
}
