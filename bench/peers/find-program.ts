/**
 * Programs of others that the bench starts if they are there.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Null when it is not installed. Debian puts servers into sbin, which the PATH of a plain user leaves out. */
export function findProgram(name: string): string | null {
  const folders = [process.env.PATH ?? '', '/usr/sbin', '/usr/local/sbin'].join(delimiter).split(delimiter)
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false // missing or not executable: the same answer to the only question asked
  }
}
