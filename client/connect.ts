/**
 * The door of the client: options in, a connected client out.
 */
import { Client } from './client.js'
import type { ConnectOptions } from './options.js'

/**
 * Connect to a server. Throws at once when there is none (LVT_DISCONNECTED), when it refuses, or when the signal
 * aborts; later the client reconnects by itself.
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const client = new Client(options)
  await client.open(options.signal)
  return client
}
