/** Durations in the words of NATS Streaming, which are those of Go. */

/** As Go prints it: `24h0m0s`, `1m30s`, `500ms`. */
export function formatGoDuration(ms: number): string {
  if (ms === 0) return '0s'
  const sign = ms < 0 ? '-' : ''
  const whole = Math.abs(ms)
  if (whole < 1_000) return `${sign}${whole >= 1 ? `${whole}ms` : `${Math.round(whole * 1e3)}µs`}`
  const hours = Math.floor(whole / 3_600_000)
  const minutes = Math.floor((whole % 3_600_000) / 60_000)
  const seconds = (whole % 60_000) / 1_000
  return `${sign}${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`
}
