/**
 * Codecs turn the values of a topic into payloads and back. Anything with these two functions is one.
 */

export interface Codec<T> {
  encode(value: T): Uint8Array
  /** The bytes belong to the record: copy what outlives it. */
  decode(bytes: Uint8Array): T
}

/** Payloads as they are; the default. */
export function bytes(): Codec<Uint8Array> {
  return { encode: (value) => value, decode: (payload) => payload }
}

/** UTF-8. Decoding refuses bytes that are not. */
export function text(): Codec<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  return { encode: (value) => Buffer.from(value), decode: (payload) => decoder.decode(payload) }
}

/** JSON in UTF-8. `T` is what the caller says it is: nothing is validated. */
export function json<T>(): Codec<T> {
  return {
    encode(value) {
      const encoded = JSON.stringify(value)
      if (encoded === undefined) throw new TypeError('the value has no JSON form')
      return Buffer.from(encoded)
    },
    decode: (payload) => JSON.parse(viewOf(payload).toString()) as T,
  }
}

function viewOf(payload: Uint8Array): Buffer {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
}
