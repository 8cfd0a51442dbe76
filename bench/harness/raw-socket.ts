/**
 * A raw connection of a worker: reads into one buffer that is reused, and keeps the first thing that went wrong
 * until somebody waits.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const READ_BYTES = 256 * 1024

/** Wakes whoever waits for progress. Shared by the connections of a worker. */
export class Progress {
  #failure: Error | null = null
  #look: () => void = () => {}

  /** Something arrived. */
  made(): void {
    this.#look()
  }

  fail(error: Error): void {
    this.#failure ??= error
    this.#look()
  }

  throwIfFailed(): void {
    if (this.#failure !== null) throw this.#failure
  }

  /** Until `condition` holds; looked at whenever there is progress. `describe` says how far it got when it does not. */
  until(condition: () => boolean, timeoutMs: number, describe: () => string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timeout = setTimeout(() => this.fail(new Error(`${describe()} after ${timeoutMs} ms`)), timeoutMs)
      this.#look = () => {
        if (this.#failure === null && !condition()) return
        clearTimeout(timeout)
        this.#look = () => {}
        if (this.#failure === null) resolve()
        else reject(this.#failure)
      }
      this.#look()
    })
  }
}

type OnChunk = (chunk: Buffer, socket: Socket) => void

/** Connect and send `greeting`. `onChunk` may throw: that fails `progress`. Its chunk is reused after the call. */
export async function openRaw(port: number, greeting: Buffer, progress: Progress, onChunk: OnChunk): Promise<Socket> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback(bytes, buffer) {
        take(Buffer.from(buffer.buffer as ArrayBuffer, buffer.byteOffset, bytes), socket, progress, onChunk)
        return true
      },
    },
  })
  await opened(socket, progress)
  socket.write(greeting)
  return socket
}

/** The same without a buffer of its own: for a process with thousands of them. */
export async function openSmall(port: number, progress: Progress, onChunk: OnChunk): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('data', (chunk) => take(chunk as Buffer, socket, progress, onChunk))
  await opened(socket, progress)
  return socket
}

function take(chunk: Buffer, socket: Socket, progress: Progress, onChunk: OnChunk): void {
  try {
    onChunk(chunk, socket)
  } catch (error) {
    progress.fail(error as Error)
  }
}

async function opened(socket: Socket, progress: Progress): Promise<void> {
  socket.on('error', (error) => progress.fail(error))
  socket.on('close', () => progress.fail(new Error('the peer closed the connection')))
  await once(socket, 'connect')
}
