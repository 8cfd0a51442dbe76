/**
 * What native sessions count, all of them together.
 */
import type { Counter, MetricsRegistry } from '../metrics/registry.js'

export interface SessionCounters {
  readonly frames: Counter
  readonly bytesReceived: Counter
  readonly malformed: Counter
  readonly failures: Counter
  readonly timeouts: Counter
}

export function sessionCounters(metrics: MetricsRegistry): SessionCounters {
  const counter = (noun: string, help: string) => metrics.counter(`leveret_session_${noun}_total`, help)
  return {
    frames: counter('frames_received', 'Frames received'),
    bytesReceived: counter('bytes_received', 'Bytes received'),
    malformed: counter('frames_malformed', 'Frames whose body could not be decoded'),
    failures: counter('failures', 'Requests answered with a failure'),
    timeouts: counter('timeouts', 'Connections ended because their peer kept no time'),
  }
}
