/**
 * The options of nats-streaming-server as settings of leveret. What they say nothing of comes from the variables of
 * `leveret serve`.
 */
import { createHash } from 'node:crypto'
import { loadConfig } from '../../config/load.js'
import type { Config, ConfigKey } from '../../config/schema.js'
import { configUnder } from '../config-names.js'
import type { NatsLimit, ServerOptions } from './server-options.js'

const LIMITS: Readonly<Record<NatsLimit, ConfigKey>> = {
  maxPayload: 'natsMaxPayloadBytes',
  maxControlLine: 'natsControlLineBytesMax',
  maxPending: 'natsPendingBytesMax',
  writeDeadline: 'natsWriteDeadlineMs',
  maxSubscriptions: 'natsSubscriptionsMax',
  pingInterval: 'natsPingIntervalMs',
  pingMax: 'natsPingsOutMax',
  maxConnections: 'connectionsMax',
}
/** Parameters with a setting of their own, beside the limits. */
const OTHERS = { host: 'host', port: 'natsStreaming', clusterId: 'natsStreamingCluster', dir: 'data' } as const

/** Throws ConfigError, in the words of whoever wrote the options. */
export function serverConfig(options: ServerOptions, env: Readonly<Record<string, string | undefined>>): Config {
  const names: Partial<Record<ConfigKey, string>> = {}
  for (const [parameter, key] of Object.entries({ ...OTHERS, ...LIMITS })) {
    const shown = options.shown.get(parameter)
    if (shown !== undefined) names[key] = shown
  }
  const flags = settingsOf(options)
  return configUnder(names, () => loadConfig({ env, flags, usual: { dialectsOnly: true } }))
}

/** Under the keys of Config. */
function settingsOf(options: ServerOptions): Readonly<Record<string, unknown>> {
  const { nats, dir, encryption } = options
  const settings: Record<string, unknown> = {
    host: options.host,
    insecure: true,
    natsStreaming: options.port,
    natsStreamingCluster: options.clusterId,
    store: dir === null ? 'memory' : 'log',
  }
  if (dir !== null) settings.data = dir
  for (const [limit, key] of Object.entries(LIMITS)) {
    const value = nats[limit as NatsLimit]
    if (value !== null) settings[key] = value
  }
  if (encryption !== null) {
    // Any text is a key there; here it has 32 bytes.
    settings.encryptionKeys = `${encryption.cipher}:${createHash('sha256').update(encryption.key).digest('base64')}`
  }
  return settings
}
