/**
 * RESP values as bytes. What a value looks like may depend on the version that a connection speaks; values in arrays are
 * encoded by the caller.
 *
 *   simple "+" text CRLF    error "-" text CRLF    integer ":" number CRLF    bulk "$" length CRLF bytes CRLF
 *   array "*" count CRLF { value }
 *   version 2:  nil "$-1" CRLF    map: an array of keys and values    push: an array
 *   version 3:  nil "_" CRLF      map "%" pairs CRLF { key value }    push ">" count CRLF { value }
 */

export type RespVersion = 2 | 3

const NIL_2 = Buffer.from('$-1\r\n')
const NIL_3 = Buffer.from('_\r\n')
const CRLF = Buffer.from('\r\n')
const FEW = Array.from({ length: 128 }, (_, value) => Buffer.from(`:${value}\r\n`))
const LINE_ENDS = /[\r\n]+/g

export const RESP_OK = simple('OK')
export const EMPTY_ARRAY = Buffer.from('*0\r\n')

/** The text has no line ends. */
export function simple(text: string): Buffer {
  return Buffer.from(`+${text}\r\n`)
}

/** Line ends in the text become spaces. */
export function respError(text: string): Buffer {
  return Buffer.from(`-${text.replace(LINE_ENDS, ' ')}\r\n`)
}

/** Nobody changes what it returns: those that are answered all the time are made once. */
export function integer(value: number): Buffer {
  return FEW[value] ?? Buffer.from(`:${value}\r\n`)
}

export function bulk(value: string | Uint8Array): Buffer {
  if (typeof value === 'string') return Buffer.from(`$${Buffer.byteLength(value)}\r\n${value}\r\n`)
  return Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, CRLF])
}

export function nil(version: RespVersion): Buffer {
  return version === 3 ? NIL_3 : NIL_2
}

export function array(values: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(`*${values.length}\r\n`), ...values])
}

export function push(version: RespVersion, values: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(`${version === 3 ? '>' : '*'}${values.length}\r\n`), ...values])
}

export function map(version: RespVersion, pairs: readonly (readonly [Buffer, Buffer])[]): Buffer {
  const head = version === 3 ? `%${pairs.length}\r\n` : `*${2 * pairs.length}\r\n`
  return Buffer.concat([Buffer.from(head), ...pairs.flat()])
}
