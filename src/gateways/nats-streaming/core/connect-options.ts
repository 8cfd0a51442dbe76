/**
 * What a connection of the NATS protocol says about itself with CONNECT. A later CONNECT is laid over the earlier one.
 */
import { NatsFault } from './nats-fault.js'

export interface ConnectOptions {
  /** Answer each operation with `+OK`. */
  readonly verbose: boolean
  /** Complain about subjects that nobody should publish to. */
  readonly pedantic: boolean
  /** Wants its own messages. */
  readonly echo: boolean
  /** Understands HMSG and may say HPUB. */
  readonly headers: boolean
  /** Is told when a request reaches nobody. */
  readonly noResponders: boolean
  readonly protocol: number
  /** For logs; of a streaming client it is its client ID. */
  readonly name: string
  readonly lang: string
  readonly version: string
}

/** Also of a connection that has said nothing yet. */
export const DEFAULT_CONNECT_OPTIONS: ConnectOptions = {
  verbose: true,
  pedantic: true,
  echo: true,
  headers: false,
  noResponders: false,
  protocol: 0,
  name: '',
  lang: '',
  version: '',
}

/** By what the keys are called on the wire, in lower case: the original looks at no case either. */
const KEYS: ReadonlyMap<string, keyof ConnectOptions> = new Map([
  ['verbose', 'verbose'],
  ['pedantic', 'pedantic'],
  ['echo', 'echo'],
  ['headers', 'headers'],
  ['no_responders', 'noResponders'],
  ['protocol', 'protocol'],
  ['name', 'name'],
  ['lang', 'lang'],
  ['version', 'version'],
])

/** Throws NatsFault. Keys that nobody knows are left alone. */
export function mergeConnect(known: ConnectOptions, text: string): ConnectOptions {
  const json = parsedJson(text)
  if (json === undefined) throw new NatsFault(null, 'CONNECT is not JSON')
  if (json === null) return known
  if (typeof json !== 'object' || Array.isArray(json)) throw new NatsFault(null, 'CONNECT is no object')
  const said: Partial<Record<keyof ConnectOptions, unknown>> = {}
  for (const [name, value] of Object.entries(json)) {
    const key = KEYS.get(name.toLowerCase())
    if (key === undefined || value === null) continue
    if (typeof value !== typeof known[key]) throw new NatsFault(null, `CONNECT with a wrong type of ${name}`)
    said[key] = value
  }
  // Each value was seen to have the type of the one that it replaces.
  const options = { ...known, ...said } as ConnectOptions
  if (options.protocol !== 0 && options.protocol !== 1) {
    throw new NatsFault('invalid client protocol', `protocol ${options.protocol}`)
  }
  if (options.noResponders && !options.headers) {
    throw new NatsFault('no responders requires headers support', 'no_responders without headers')
  }
  return options
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
