/**
 * Room for the garbage of a busy server. The engine collects when a heap has grown by a share of what lives in it; a
 * broker's heap is small, while tens of megabytes of buffers pass through it every second, so that it collected thirty
 * times a second and spent a third of its time on that. Given a fixed room instead of a share it collects a few times a
 * second. For the process that `leveret serve` owns; an embedding program decides for itself.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import type { Clock, Timer } from '../common/clock.js'

/** Garbage that may gather before a collection, at about. */
export const GARBAGE_ROOM_BYTES = 64 * 1024 * 1024
const LOOK_MS = 5_000

/** Keeps the room as the heap grows. A heap larger than the room has room enough by itself. */
export function keepHeapRoom(clock: Clock): Timer {
  let last = -1
  const adjust = (): void => {
    const { used_heap_size: used } = getHeapStatistics()
    const percent = used >= GARBAGE_ROOM_BYTES ? 0 : Math.round((GARBAGE_ROOM_BYTES / used) * 100)
    // Small changes are not worth a flag.
    if (last > 0 && percent > 0 && Math.abs(percent - last) < last / 4) return
    last = percent
    setFlagsFromString(`--heap-growing-percent=${percent}`)
  }
  adjust()
  return clock.every(LOOK_MS, adjust)
}
