/**
 * The connection of a client command: opened for it, closed after it, and a server that is not there told in words
 * that help.
 */
import { type Client, type ConnectOptions, connect } from '../../client/index.js'
import { DisconnectedError } from '../common/errors.js'
import { say, type Terminal } from './terminal.js'

/** What every client command takes. */
export interface ClientOptions {
  readonly host: string
  readonly port: number
  readonly json?: boolean
}

/** Connect, work, and close, whatever the work throws. The dial is tried once: a person can see that it failed. */
export async function withClient(
  options: ClientOptions,
  terminal: Terminal,
  work: (client: Client) => Promise<number>,
  more: ConnectOptions = {},
): Promise<number> {
  const { host, port } = options
  const client = await open({ ...more, host, port, clientName: 'leveret', signal: terminal.interrupted })
  client.on('disconnected', (error) => say(terminal, `${error.message}; trying again`))
  client.on('reconnected', () => say(terminal, 'connected again'))
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}

async function open(options: ConnectOptions): Promise<Client> {
  try {
    return await connect(options)
  } catch (error) {
    if (!(error instanceof DisconnectedError)) throw error
    throw new DisconnectedError(`${error.message}\nIs the server running? \`leveret serve\` starts one.`, {
      cause: error,
    })
  }
}
