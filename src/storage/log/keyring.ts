/**
 * Encryption of batch bodies at rest: the keys an operator gave, the first of which seals what is written from now on
 * while the others still open what they sealed before. Called by whoever writes and reads batches. Knows no files.
 *
 * What a sealed batch carries beside its body, the extension, 36 bytes, numbers little endian:
 *
 *    0  u8   algorithm: 1 aes-256-gcm, 2 chacha20-poly1305
 *    1  3    0
 *    4  u32  key id
 *    8  12   nonce
 *   20  16   tag
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type DecipherGCM,
  type KeyObject,
} from 'node:crypto'
import { ConfigError, InvariantError, LeveretError } from '../../common/errors.js'
import { type Random, systemRandom } from '../../common/random.js'

export const SEAL_BYTES = 36

const KEY_BYTES = 32
const KEY_ID_AT = 4
const NONCE_AT = 8
const NONCE_BYTES = 12
const TAG_AT = NONCE_AT + NONCE_BYTES
const TAG_BYTES = SEAL_BYTES - TAG_AT

/** Their place in this list, counted from one, stands for them on disk: append only. */
const ALGORITHMS = ['aes-256-gcm', 'chacha20-poly1305'] as const
type Algorithm = (typeof ALGORITHMS)[number]
/** Both are called alike, but the types of Node want a second argument for the associated data of the other one. */
type TypedAlgorithm = 'aes-256-gcm'

interface Key {
  readonly id: number
  readonly algorithm: Algorithm
  readonly secret: KeyObject
}

/** Why a body could not be opened: `unknown-key` is mended by giving the key, the others are damage. */
export type UnsealFailure = 'unknown-key' | 'not-a-seal' | 'does-not-fit'

/** A sealed body that cannot be opened. Its message has the same size whatever the body, and shows nothing of it. */
export class UnsealError extends LeveretError {
  readonly reason: UnsealFailure

  constructor(reason: UnsealFailure, message: string) {
    super('LVT_INTERNAL', message)
    this.reason = reason
  }
}

export class Keyring {
  /** Id of the key that seals. */
  readonly currentId: number
  readonly #current: Key
  readonly #keys: ReadonlyMap<number, Key>
  readonly #nonce: Buffer

  private constructor(current: Key, keys: ReadonlyMap<number, Key>, random: Random) {
    this.currentId = current.id
    this.#current = current
    this.#keys = keys
    this.#nonce = Buffer.from(random.id(NONCE_BYTES), 'hex')
    if (this.#nonce.length !== NONCE_BYTES) throw new InvariantError('a nonce needs random bytes in hexadecimal')
  }

  /**
   * Keys behind commas or line ends, the one that seals first; blank lines and what follows a `#` say nothing. A key is
   * 32 bytes in base64 or hexadecimal, behind `aes-256-gcm:` (which goes without saying) or `chacha20-poly1305:`.
   * `random` must not repeat itself in another process that has the same keys. Throws ConfigError with all mistakes,
   * which names keys by their place only.
   */
  static parse(text: string, random: Random = systemRandom): Keyring {
    const keys = new Map<number, Key>()
    const mistakes: string[] = []
    let number = 0
    for (const entry of entriesOf(text)) {
      number++
      const key = parseKey(entry)
      if (typeof key === 'string') mistakes.push(`encryption key ${number}: ${key}`)
      else if (keys.has(key.id))
        mistakes.push(`encryption key ${number}: a key before it is the same, or has the same id`)
      else keys.set(key.id, key)
    }
    if (number === 0) mistakes.push('encryption keys: there are none')
    const [current] = keys.values()
    if (mistakes.length > 0 || current === undefined) throw new ConfigError(mistakes)
    return new Keyring(current, keys, random)
  }

  /** Ids of all keys, the one that seals first. */
  get ids(): readonly number[] {
    return [...this.#keys.keys()]
  }

  has(id: number): boolean {
    return this.#keys.has(id)
  }

  /**
   * Encrypt `body`, which is only read, so that it opens beside the same `associated` bytes alone. The sealed body is as
   * long as the body.
   *
   * A nonce must never come twice under one key. Nonces are a 96-bit counter that starts anywhere when the keyring is
   * made, as NIST SP 800-38D 8.2.2 allows: two starts reach the same nonce with a chance of (starts x batches) / 2^96,
   * where a nonce drawn for each batch would have batches^2 / 2^97 and be worn out at 2^32 of them, within a day at full
   * speed. A key is good for 2^44 batches, 2^20 starts (together a chance of 2^-32) and 4 PiB of bodies, which is what
   * GCM bears; an operator who comes near adds a key.
   */
  seal(body: Uint8Array, associated: Uint8Array): { extension: Buffer; body: Buffer } {
    const { algorithm, id, secret } = this.#current
    const extension = Buffer.alloc(SEAL_BYTES)
    extension[0] = ALGORITHMS.indexOf(algorithm) + 1
    extension.writeUInt32LE(id, KEY_ID_AT)
    increment(this.#nonce)
    this.#nonce.copy(extension, NONCE_AT)
    const cipher = createCipheriv(algorithm as TypedAlgorithm, secret, this.#nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(associated)
    const sealed = cipher.update(body)
    cipher.final()
    cipher.getAuthTag().copy(extension, TAG_AT)
    return { extension, body: sealed }
  }

  /** The body that was sealed, in memory of its own. Throws UnsealError if a bit of anything is not as it was. */
  open(extension: Uint8Array, body: Uint8Array, associated: Uint8Array): Buffer {
    const algorithm = ALGORITHMS[(extension[0] ?? 0) - 1]
    const isWhole = extension.length === SEAL_BYTES && extension[1] === 0 && extension[2] === 0 && extension[3] === 0
    if (!isWhole || algorithm === undefined) throw new UnsealError('not-a-seal', 'the seal of a batch is damaged')
    const id = sealedKeyId(extension)
    const key = this.#keys.get(id)
    if (key === undefined) {
      throw new UnsealError('unknown-key', `a batch is sealed with key ${keyIdText(id)}, which was not given`)
    }
    if (key.algorithm !== algorithm) throw new UnsealError('not-a-seal', 'the seal of a batch is damaged')
    const nonce = extension.subarray(NONCE_AT, TAG_AT)
    const decipher = createDecipheriv(algorithm as TypedAlgorithm, key.secret, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(associated)
    decipher.setAuthTag(extension.subarray(TAG_AT, SEAL_BYTES))
    const opened = decipher.update(body)
    if (!fits(decipher)) {
      throw new UnsealError('does-not-fit', 'a sealed batch was changed or is not where it was written')
    }
    return opened
  }
}

/** Id of the key that sealed a batch, without opening it. */
export function sealedKeyId(extension: Uint8Array): number {
  return new DataView(extension.buffer, extension.byteOffset, extension.byteLength).getUint32(KEY_ID_AT, true)
}

/** A key id as people see it; says nothing of the key. */
export function keyIdText(id: number): string {
  return id.toString(16).padStart(8, '0')
}

function entriesOf(text: string): string[] {
  const lines = text.split(/[\r\n]+/).map((line) => line.replace(/#.*/, ''))
  return lines.flatMap((line) => line.split(',')).flatMap((entry) => (entry.trim() === '' ? [] : [entry.trim()]))
}

/** The key, or what is wrong with it in words that show nothing of it. */
function parseKey(entry: string): Key | string {
  const colon = entry.indexOf(':')
  const name = colon < 0 ? ALGORITHMS[0] : entry.slice(0, colon)
  const algorithm = ALGORITHMS.find((known) => known === name)
  if (algorithm === undefined) return `what stands before the colon is none of ${ALGORITHMS.join(', ')}`
  const bytes = keyBytes(entry.slice(colon + 1))
  if (bytes === null) return 'not 32 bytes in base64 or 64 hexadecimal digits'
  const secret = createSecretKey(bytes)
  const id = createHmac('sha256', secret).update(`leveret key id ${algorithm}`).digest().readUInt32LE(0)
  bytes.fill(0)
  return { id, algorithm, secret }
}

function keyBytes(text: string): Buffer | null {
  if (/^[\da-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  if (!/^(?:[\w-]{43}|[A-Za-z\d+/]{43})=?$/.test(text)) return null
  const bytes = Buffer.from(text, 'base64')
  // The last digit has two bits to spare: if they are set, it was mistyped.
  const isExact = bytes.toString('base64url') === text.replace('=', '').replaceAll('+', '-').replaceAll('/', '_')
  return isExact && bytes.length === KEY_BYTES ? bytes : null
}

/** Whether the tag is that of what was deciphered; the cipher says no by throwing, and says no more than that. */
function fits(decipher: DecipherGCM): boolean {
  try {
    decipher.final()
    return true
  } catch {
    return false
  }
}

/** One more, the last byte counting ones. */
function increment(counter: Buffer): void {
  for (let index = counter.length - 1; index >= 0; index--) {
    const value = ((counter[index] as number) + 1) & 0xff
    counter[index] = value
    if (value !== 0) return
  }
}
