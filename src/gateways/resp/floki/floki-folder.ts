/**
 * A data directory as Floki's own server keeps it: a folder for each queue, with files of messages and two checkpoints. Only
 * looks; nothing is ever written there.
 *
 *   <queue>/<id of its first message, 15 digits>.data, backend.checkpoint, queue.checkpoint
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

export const QUEUE_CHECKPOINT = 'queue.checkpoint'
export const BACKEND_CHECKPOINT = 'backend.checkpoint'
const SEGMENT = /^\d{15}\.data$/

/** Names of the queues that have files here; none if there is no such folder. Throws what the system says otherwise. */
export function queuesIn(folder: string): string[] {
  return entriesOf(folder).filter((name) => {
    const files = entriesOf(join(folder, name))
    return files.some((file) => SEGMENT.test(file) || file === QUEUE_CHECKPOINT || file === BACKEND_CHECKPOINT)
  })
}

/** Files with messages, in the order of their ids, and the id that each begins with by its name. */
export function segmentsOf(folder: string, queue: string): { readonly path: string; readonly firstId: number }[] {
  const files = entriesOf(join(folder, queue)).filter((file) => SEGMENT.test(file))
  return files.map((file) => ({ path: join(folder, queue, file), firstId: Number.parseInt(file, 10) }))
}

/** In order of their names; nothing for what is missing or is no folder. */
function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw error
  }
}
