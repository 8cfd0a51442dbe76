/**
 * The system's files without a thread and without a sync: for tests that open a store many hundred times and lose no power.
 */
import { type FileSystem, nodeFileSystem, type RawFile } from '../../src/storage/log/file-system.js'

const DONE = Promise.resolve()

export const quickFileSystem: FileSystem = {
  ...nodeFileSystem,
  open: (path, mode) => quick(nodeFileSystem.open(path, mode)),
  syncDirectory: () => DONE,
}

function quick(file: RawFile): RawFile {
  return {
    writeSync: (buffers, position) => file.writeSync(buffers, position),
    write: async (buffers, position) => file.writeSync(buffers, position),
    sync: () => DONE,
    syncNow: () => undefined,
    readSync: (buffer, position) => file.readSync(buffer, position),
    read: async (buffer, position) => file.readSync(buffer, position),
    size: () => file.size(),
    truncate: (size) => file.truncate(size),
    close: () => file.close(),
  }
}
