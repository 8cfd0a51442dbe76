/**
 * The dialects by name, as a job that travels between processes names them.
 */
import { leveretDialect } from './leveret-dialect.js'
import { natsDialect } from './nats-dialect.js'
import { plainDialect } from './plain-dialect.js'
import type { Dialect } from './stream.js'

export type DialectName = 'leveret' | 'nats' | 'plain'

export const DIALECTS: Readonly<Record<DialectName, Dialect>> = {
  leveret: leveretDialect,
  nats: natsDialect,
  plain: plainDialect,
}
