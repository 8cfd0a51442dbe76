/**
 * Which test files belong to which group: pure, so that the rule itself is tested.
 * Knows paths only; scripts/test.ts reads the folder and starts the runner.
 */

/** unit: in one process, quick. system: whole processes, packages. peers: needs other servers installed. */
export type Group = 'unit' | 'system' | 'peers'

export interface Choice {
  readonly files: readonly string[]
  /** Why `files` is empty; empty text when it is not. */
  readonly reason: string
}

/** Paths are relative to the project, with `/`. A file is kept when its path contains any of the filters. */
export function chooseSuites(paths: readonly string[], groups: readonly Group[], filters: readonly string[]): Choice {
  const suites = paths.filter((path) => path.endsWith('.test.ts') && groups.includes(groupOf(path)))
  const files = suites.filter((path) => filters.length === 0 || filters.some((word) => path.includes(word))).sort()
  if (files.length > 0) return { files, reason: '' }
  if (suites.length === 0) return { files, reason: `there is no ${groups.join(' or ')} suite yet` }
  return { files, reason: `no ${groups.join(' or ')} suite has ${filters.join(' or ')} in its path` }
}

function groupOf(path: string): Group {
  if (path.startsWith('test/peers/')) return 'peers'
  return path.startsWith('test/e2e/') || path === 'test/package.test.ts' ? 'system' : 'unit'
}
