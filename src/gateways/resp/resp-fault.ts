/**
 * What can be wrong with a byte stream that should carry RESP requests, so that nothing behind it can be read. Each dialect
 * has words of its own for it.
 */
import { ProtocolError } from '../../common/errors.js'

export type RespFaultKind =
  /** A value begins with a byte that no type has; `detail` is its decimal number. */
  | 'prefix'
  /** A length or an integer is no number, or is negative where nothing can be. */
  | 'integer'
  /** A bulk string does not end with CR LF where its length says. */
  | 'bulk-end'
  /** Arrays in arrays in an array. */
  | 'depth'
  /** A limit, and which one. */
  | 'line-bytes'
  | 'elements'
  | 'bulk-bytes'
  | 'request-bytes'
  /** An inline command whose quotes do not match. */
  | 'quotes'
  /** A browser, perhaps on behalf of somebody else's page. */
  | 'http'
  /** A request was begun and not finished in time. */
  | 'late'

export class RespFault extends ProtocolError {
  readonly kind: RespFaultKind
  /** A clause for people, without what the kind says already. */
  readonly detail: string

  constructor(kind: RespFaultKind, detail: string) {
    super(`${kind}: ${detail}`)
    this.kind = kind
    this.detail = detail
  }
}
