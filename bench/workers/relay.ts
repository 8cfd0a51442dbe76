/**
 * The least that a broker in Node could be: every chunk from a publisher goes to every subscriber as it is. It
 * reads no frames, keeps no offsets, acknowledges nothing; it waits for its slowest subscriber.
 */
import { createServer, type Socket } from 'node:net'
import { offer } from '../harness/calls.js'
import { listenOn } from '../harness/listen.js'

export interface RelayPorts {
  readonly publisher: number
  readonly subscribers: number
}

const api = {
  async open(_: null): Promise<RelayPorts> {
    const subscribers = new Set<Socket>()
    const outbound = createServer({ noDelay: true }, (socket) => {
      subscribers.add(socket)
      socket.on('close', () => subscribers.delete(socket))
      socket.on('error', () => socket.destroy())
      socket.resume()
    })
    const inbound = createServer({ noDelay: true }, (socket) => {
      let full = 0
      const onDrain = (): void => {
        if (--full === 0) socket.resume()
      }
      socket.on('error', () => socket.destroy())
      socket.on('data', (chunk) => {
        for (const subscriber of subscribers) {
          if (subscriber.write(chunk)) continue
          if (full++ === 0) socket.pause()
          subscriber.once('drain', onDrain)
        }
      })
    })
    return { publisher: await listenOn(inbound), subscribers: await listenOn(outbound) }
  },
}

export type RelayApi = typeof api

offer(api)
