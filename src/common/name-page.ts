/**
 * Lists of names that are handed out in pages, by whoever keeps one in order.
 */

/** At most `limit` of the names that come after `after`; `more` says that there are others behind them. */
export function namesAfter(
  sorted: readonly string[],
  after: string,
  limit: number,
): { names: readonly string[]; more: boolean } {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] as string) <= after) low = middle + 1
    else high = middle
  }
  return { names: sorted.slice(low, low + limit), more: low + limit < sorted.length }
}
