/**
 * RESP values as a client reads them, written apart from the server's codec: slow, whole, and strict. Every value keeps its
 * type, so that a test can tell a simple string from a bulk string.
 */

/** `['+', 'OK']`, `['$', bytes as latin-1]`, `[':', 5]`, `['nil', '$-1' or '*-1' or '_']`, `['*' or '>' or '%', ...]`. */
export type RespValue = readonly ['+' | '-' | '$' | 'nil', string] | readonly [':', number] | RespList
export type RespList = readonly ['*' | '>' | '%', readonly RespValue[]]

/** The value at `at` and where it ends, or null while it is not whole. Throws on what is no RESP. */
export function valueAt(bytes: Buffer, at: number): { value: RespValue; end: number } | null {
  const lineEnd = bytes.indexOf('\r\n', at)
  if (lineEnd < 0) return null
  const type = String.fromCharCode(bytes[at] ?? 0)
  const line = bytes.toString('latin1', at + 1, lineEnd)
  const end = lineEnd + 2
  switch (type) {
    case '+':
    case '-':
      return { value: [type, line], end }
    case ':':
      return { value: [':', number(line)], end }
    case '_':
      if (line !== '') throw new Error(`a nil with content: ${line}`)
      return { value: ['nil', '_'], end }
    case '$': {
      const length = number(line)
      if (length === -1) return { value: ['nil', '$-1'], end }
      if (bytes.length < end + length + 2) return null
      if (bytes.toString('latin1', end + length, end + length + 2) !== '\r\n')
        throw new Error('a bulk string without its end')
      return { value: ['$', bytes.toString('latin1', end, end + length)], end: end + length + 2 }
    }
    case '*':
    case '>':
    case '%':
      if (line === '-1') return { value: ['nil', '*-1'], end }
      return listAt(type, number(line) * (type === '%' ? 2 : 1), bytes, end)
    default:
      throw new Error(`no type of RESP: ${JSON.stringify(bytes.toString('latin1', at, at + 40))}`)
  }
}

function listAt(type: '*' | '>' | '%', count: number, bytes: Buffer, start: number) {
  const values: RespValue[] = []
  let end = start
  for (let index = 0; index < count; index++) {
    const found = valueAt(bytes, end)
    if (found === null) return null
    values.push(found.value)
    end = found.end
  }
  return { value: [type, values] as RespList, end }
}

function number(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new Error(`no number: ${JSON.stringify(text)}`)
  return Number(text)
}

/** A request as every client library sends it. */
export function requestOf(...words: readonly (string | Uint8Array)[]): Buffer {
  const parts = words.flatMap((word) => {
    const bytes = typeof word === 'string' ? Buffer.from(word) : word
    return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]
  })
  return Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts])
}
