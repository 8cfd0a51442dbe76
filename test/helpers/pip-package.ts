/**
 * Packages of Python for suites in test/peers/: each in a folder outside of the tree, which is kept for the next run.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'

/** Unless the folder is there: fill a new one, and let it be that. Several may do so at the same time. */
export function keepFolder(folder: string, fill: (fresh: string) => void): void {
  if (existsSync(folder)) return
  const fresh = mkdtempSync(`${folder}-`)
  try {
    fill(fresh)
    renameSync(fresh, folder)
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true })
    // Another run was quicker.
    if (!existsSync(folder)) throw error
  }
}

export function pipInstall(python: string, words: readonly string[]): void {
  const quiet = ['--quiet', '--disable-pip-version-check', '--root-user-action=ignore']
  execFileSync(python, ['-m', 'pip', 'install', ...quiet, ...words], { stdio: ['ignore', 'inherit', 'inherit'] })
}
