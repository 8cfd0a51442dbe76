/**
 * What the log store counts while it works; gauges are read from their owners when somebody looks.
 */
import type { Counter, MetricsRegistry } from '../../metrics/registry.js'

export interface LogCounters {
  readonly bytesWritten: Counter
  readonly bytesRead: Counter
  readonly syncs: Counter
  readonly syncsFailed: Counter
  readonly writesFailed: Counter
  readonly segmentsBegun: Counter
  readonly segmentsDropped: Counter
  readonly recordsCompacted: Counter
  readonly bytesCompacted: Counter
  readonly compactionsFailed: Counter
}

export function logCounters(metrics: MetricsRegistry): LogCounters {
  const counter = (noun: string, help: string) => metrics.counter(`leveret_storage_${noun}_total`, help)
  return {
    bytesWritten: counter('written_bytes', 'Bytes appended to logs, with their headers'),
    bytesRead: counter('read_bytes', 'Bytes read from logs for readers behind the ring'),
    syncs: counter('syncs', 'Syncs of logs'),
    syncsFailed: counter('syncs_failed', 'Syncs of logs that failed; each leaves a partition read-only'),
    writesFailed: counter('writes_failed', 'Groups of batches that could not be written'),
    segmentsBegun: counter('segments_begun', 'Segments begun'),
    segmentsDropped: counter('segments_dropped', 'Segments deleted by retention'),
    recordsCompacted: counter('records_compacted', 'Superseded records that log compaction removed'),
    bytesCompacted: counter('compacted_bytes', 'Bytes that log compaction freed'),
    compactionsFailed: counter('compactions_failed', 'Compactions of a partition that failed, to be tried again'),
  }
}

interface Shared {
  readonly pool: { readonly open: number }
  readonly indexes: { readonly entries: number }
  readonly dirty: { readonly size: number }
}

interface Measured {
  readonly unwrittenBytes: number
  readonly segments: { readonly bytes: number }
}

export function addLogGauges(
  metrics: MetricsRegistry,
  { pool, indexes, dirty }: Shared,
  partitions: ReadonlySet<Measured>,
): void {
  const gauge = (noun: string, help: string, read: () => number) => {
    metrics.gauge(`leveret_storage_${noun}`, help, read)
  }
  const sum = (read: (partition: Measured) => number) => {
    let all = 0
    for (const partition of partitions) all += read(partition)
    return all
  }
  gauge('open_files', 'Files of logs that are open', () => pool.open)
  gauge('index_entries', 'Entries of indexes in memory', () => indexes.entries)
  gauge('partitions', 'Partitions that are loaded', () => partitions.size)
  gauge('unsynced_partitions', 'Partitions with something written that is not synced', () => dirty.size)
  gauge('unwritten_bytes', 'Bytes taken and not written yet', () => sum(({ unwrittenBytes }) => unwrittenBytes))
  gauge('kept_bytes', 'Bytes in the segments of loaded partitions', () => sum(({ segments }) => segments.bytes))
}
