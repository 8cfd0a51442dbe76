/**
 * Finds the servers and tools of other projects that the suites in test/peers/ talk to.
 * A missing one skips its suite and says so; with LEVERET_REQUIRE_PEERS=1 it fails the run instead.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface PeerSearch {
  readonly path: string
  readonly isRequired: boolean
  warn(line: string): void
}

export type Peer = { readonly found: true; readonly file: string } | { readonly found: false; readonly skip: string }
export type Package =
  | { readonly found: true; readonly exported: unknown }
  | { readonly found: false; readonly skip: string }

/** Throws when the command is missing and peers are required. `skip` is the reason to hand to node's test(). */
export function findPeer(command: string, search: PeerSearch = searchOf(process.env)): Peer {
  for (const folder of search.path.split(delimiter)) {
    const file = join(folder, command)
    if (folder !== '' && isExecutable(file)) return { found: true, file }
  }
  return { found: false, skip: missing(command, search) }
}

/** What a package exports. Throws when it is missing and peers are required. */
export async function findPackage(name: string, search: PeerSearch = searchOf(process.env)): Promise<Package> {
  try {
    const exported: unknown = await import(name)
    return { found: true, exported }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error
    return { found: false, skip: missing(name, search) }
  }
}

/**
 * For a peer that is brought here from a registry or compiled: the reason to skip when that cannot be done, which is false when
 * it is. Throws when peers are required.
 */
export function skipUnless(
  peer: string,
  prepare: () => void,
  search: PeerSearch = searchOf(process.env),
): string | false {
  try {
    prepare()
    return false
  } catch (error) {
    if (search.isRequired) throw error
    search.warn(`SKIPPED: ${peer} could not be made: ${String(error)}`)
    return `${peer} could not be made`
  }
}

function missing(peer: string, search: PeerSearch): string {
  const skip = `${peer} is not installed`
  if (search.isRequired) throw new Error(`${skip}, and LEVERET_REQUIRE_PEERS=1 asks for it`)
  search.warn(`SKIPPED: ${skip}; its suite did not run`)
  return skip
}

function searchOf(env: NodeJS.ProcessEnv): PeerSearch {
  // Debian puts servers into sbin, which the PATH of a plain user leaves out.
  const path = [env.PATH ?? '', '/usr/sbin', '/usr/local/sbin'].join(delimiter)
  return { path, isRequired: env.LEVERET_REQUIRE_PEERS === '1', warn: (line) => console.error(line) }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false // missing or not executable: the same answer to the only question asked
  }
}
