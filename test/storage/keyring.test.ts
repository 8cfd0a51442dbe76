import assert from 'node:assert/strict'
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { ConfigError } from '../../src/common/errors.js'
import { systemRandom } from '../../src/common/random.js'
import { Keyring, SEAL_BYTES, sealedKeyId, UnsealError, type UnsealFailure } from '../../src/storage/log/keyring.js'
import { fc } from '../helpers/fast-check.js'

const ALGORITHMS = ['aes-256-gcm', 'chacha20-poly1305'] as const
const KEY = Buffer.from('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4', 'hex')
const OTHER = Buffer.alloc(32, 0xa5)
const PLACE = Buffer.from('the header of a batch')

function keyring(key: Buffer, algorithm: string = ALGORITHMS[0]): Keyring {
  return Keyring.parse(`${algorithm}:${key.toString('base64')}`)
}

/** A source of chance that says always the same. */
function fixed(hex: string) {
  return { next: () => 0, id: () => hex }
}

function refusedAs(reason: UnsealFailure) {
  return (error: unknown) => error instanceof UnsealError && error.reason === reason
}

test('what is sealed opens again beside the same header, and is as long as it was', () => {
  const arbBytes = fc.uint8Array({ maxLength: 2_000 })
  for (const algorithm of ALGORITHMS) {
    const keys = keyring(KEY, algorithm)
    fc.assert(
      fc.property(arbBytes, arbBytes, (body, associated) => {
        const before = Buffer.from(body)
        const sealed = keys.seal(body, associated)
        assert.ok(before.equals(body))
        assert.deepEqual([sealed.extension.length, sealed.body.length], [SEAL_BYTES, body.length])
        if (body.length >= 16) assert.ok(!before.equals(sealed.body))
        assert.ok(keys.open(sealed.extension, sealed.body, associated).equals(before))
      }),
    )
  }
})

test('a stranger with the key opens it by the layout alone', () => {
  for (const [index, algorithm] of ALGORITHMS.entries()) {
    const { extension, body } = keyring(KEY, algorithm).seal(Buffer.from('records'), PLACE)
    assert.deepEqual([...extension.subarray(0, 4)], [index + 1, 0, 0, 0])
    const id = createHmac('sha256', KEY).update(`leveret key id ${algorithm}`).digest().subarray(0, 4)
    assert.ok(extension.subarray(4, 8).equals(id))
    const decipher = createDecipheriv(algorithm as 'aes-256-gcm', KEY, extension.subarray(8, 20), { authTagLength: 16 })
    decipher.setAAD(PLACE)
    decipher.setAuthTag(extension.subarray(20))
    assert.equal(decipher.update(body, undefined, 'utf8') + decipher.final('utf8'), 'records')
  }
})

test('opens what a stranger sealed by the layout', () => {
  for (const [index, algorithm] of ALGORITHMS.entries()) {
    const nonce = Buffer.from('cafebabefacedbaddecaf888', 'hex')
    const cipher = createCipheriv(algorithm as 'aes-256-gcm', KEY, nonce, { authTagLength: 16 })
    cipher.setAAD(PLACE)
    const body = Buffer.concat([cipher.update('records'), cipher.final()])
    const id = createHmac('sha256', KEY).update(`leveret key id ${algorithm}`).digest().subarray(0, 4)
    const extension = Buffer.concat([Buffer.from([index + 1, 0, 0, 0]), id, nonce, cipher.getAuthTag()])
    assert.equal(keyring(KEY, algorithm).open(extension, body, PLACE).toString(), 'records')
  }
})

test('seals as the published vectors of both algorithms say', () => {
  // Test case 16 of the GCM specification (McGrew, Viega); RFC 8439 section 2.8.2.
  const gcm = {
    key: 'feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308',
    nonce: 'cafebabefacedbaddecaf888',
    associated: 'feedfacedeadbeeffeedfacedeadbeefabaddad2',
    body:
      'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72' +
      '1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
    sealed:
      '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa' +
      '8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662',
    tag: '76fc6ece0f4e1768cddf8853bb2d551b',
  }
  const text =
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
  const chacha = {
    key: '808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f',
    nonce: '070000004041424344454647',
    associated: '50515253c0c1c2c3c4c5c6c7',
    body: Buffer.from(text).toString('hex'),
    sealed:
      'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6' +
      '3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36' +
      '92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc' +
      '3ff4def08e4b7a9de576d26586cec64b6116',
    tag: '1ae10b594f09e26a7e902ecbd0600691',
  }
  for (const [algorithm, vector] of Object.entries({ 'aes-256-gcm': gcm, 'chacha20-poly1305': chacha })) {
    // The counter is raised before it is used.
    const start = (BigInt(`0x${vector.nonce}`) - 1n).toString(16).padStart(24, '0')
    const keys = Keyring.parse(`${algorithm}:${vector.key}`, fixed(start))
    const sealed = keys.seal(Buffer.from(vector.body, 'hex'), Buffer.from(vector.associated, 'hex'))
    assert.equal(sealed.body.toString('hex'), vector.sealed)
    assert.equal(sealed.extension.toString('hex', 8), vector.nonce + vector.tag)
  }
})

test('every flipped bit of a small sealed batch is refused: in the extension, the body and the header', () => {
  for (const algorithm of ALGORITHMS) {
    const keys = Keyring.parse(`${algorithm}:${KEY.toString('hex')},${OTHER.toString('hex')}`)
    const { extension, body } = keys.seal(Buffer.from('a few records'), PLACE)
    const parts = [extension, body, Buffer.from(PLACE)] as const
    for (const part of parts) {
      for (let bit = 0; bit < part.length * 8; bit++) {
        part.writeUInt8(part.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        assert.throws(() => keys.open(...parts), UnsealError, `bit ${bit} of ${part.length} bytes, ${algorithm}`)
        part.writeUInt8(part.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      }
    }
    assert.equal(keys.open(...parts).toString(), 'a few records')
  }
})

test('a batch that was moved, cut or lengthened is refused', () => {
  const keys = keyring(KEY)
  const { extension, body } = keys.seal(Buffer.from('records'), PLACE)
  assert.throws(() => keys.open(extension, body, Buffer.from('the header elsewhere')), refusedAs('does-not-fit'))
  assert.throws(() => keys.open(extension, body.subarray(1), PLACE), refusedAs('does-not-fit'))
  assert.throws(() => keys.open(extension, Buffer.concat([body, Buffer.of(0)]), PLACE), refusedAs('does-not-fit'))
  for (const length of [0, 1, 8, 24, SEAL_BYTES - 1]) {
    assert.throws(() => keys.open(extension.subarray(0, length), body, PLACE), refusedAs('not-a-seal'))
  }
  const longer = Buffer.concat([extension, Buffer.of(0)])
  assert.throws(() => keys.open(longer, body, PLACE), refusedAs('not-a-seal'))
})

test('the wrong key is told from damage, and nothing of the right one is said', () => {
  const { extension, body } = keyring(KEY).seal(Buffer.from('records'), PLACE)
  const wrong = keyring(OTHER)
  assert.ok(!wrong.has(sealedKeyId(extension)))
  assert.throws(() => wrong.open(extension, body, PLACE), refusedAs('unknown-key'))
  // Another key that claims to be this one opens nothing either.
  extension.writeUInt32LE(wrong.currentId, 4)
  assert.throws(() => wrong.open(extension, body, PLACE), refusedAs('does-not-fit'))
})

test('a key is another one under another algorithm', () => {
  const keys = Keyring.parse(ALGORITHMS.map((algorithm) => `${algorithm}:${KEY.toString('hex')}`).join('\n'))
  assert.equal(new Set(keys.ids).size, 2)
  const { extension, body } = keys.seal(Buffer.from('records'), PLACE)
  extension[0] = 2
  assert.throws(() => keys.open(extension, body, PLACE), refusedAs('not-a-seal'))
})

test('a key is added in front, opens what the older ones sealed, and seals by itself from then on', () => {
  const [first, second, third] = [1, 2, 3].map((fill) => Buffer.alloc(32, fill).toString('hex'))
  const old = Keyring.parse(`${first}`)
  const sealed = old.seal(Buffer.from('old'), PLACE)
  const rotated = Keyring.parse(`chacha20-poly1305:${second}\n${first}`)
  assert.deepEqual(rotated.ids, [rotated.currentId, old.currentId])
  assert.ok(rotated.has(old.currentId) && rotated.has(rotated.currentId) && !old.has(rotated.currentId))
  assert.equal(rotated.open(sealed.extension, sealed.body, PLACE).toString(), 'old')
  const later = rotated.seal(Buffer.from('new'), PLACE)
  assert.equal(sealedKeyId(later.extension), rotated.currentId)
  assert.throws(() => old.open(later.extension, later.body, PLACE), refusedAs('unknown-key'))
  const done = Keyring.parse(`${third},chacha20-poly1305:${second}`)
  assert.equal(done.open(later.extension, later.body, PLACE).toString(), 'new')
  assert.throws(() => done.open(sealed.extension, sealed.body, PLACE), refusedAs('unknown-key'))
})

test('no nonce comes twice, across carries and starts', () => {
  const starts = ['ffffffffffffffffffffff00', '00000000ffffffffffffff80', '0000000000000000000000f0']
  const nonces = new Set<string>()
  const seal = (keys: Keyring) => nonces.add(keys.seal(Buffer.of(1), PLACE).extension.toString('hex', 8, 20))
  for (const start of starts) {
    const keys = Keyring.parse(KEY.toString('hex'), fixed(start))
    for (let count = 0; count < 300; count++) seal(keys)
  }
  for (let start = 0; start < 300; start++) seal(keyring(KEY))
  assert.equal(nonces.size, 300 * starts.length + 300)
  // Around the end to the beginning, and with a carry through every byte.
  assert.ok(nonces.has('000000000000000000000000') && nonces.has('000000010000000000000000'))
  assert.throws(() => Keyring.parse(KEY.toString('hex'), { ...systemRandom, id: () => 'no hex' }), /random bytes/)
})

test('keys are read in every form, among comments and blank lines', () => {
  const key = Buffer.alloc(32, 0xfb)
  const hex = key.toString('hex')
  const base64 = key.toString('base64')
  assert.match(base64, /[+/]/)
  const { currentId } = keyring(key)
  const forms = [
    hex,
    hex.toUpperCase(),
    base64,
    base64.replace('=', ''),
    key.toString('base64url'),
    `aes-256-gcm:${hex}`,
  ]
  for (const form of forms) assert.equal(Keyring.parse(form).currentId, currentId, form)
  const other = keyring(OTHER, ALGORITHMS[1]).currentId
  const text = `\uFEFF# keys, newest first\r\n\r\n  ${hex}  # of May\r\n\tchacha20-poly1305:${OTHER.toString('base64')},\r\n`
  assert.deepEqual(Keyring.parse(text).ids, [currentId, other])
})

test('all mistakes are told at once, by the place of the key, and no message shows key material', () => {
  const hex = KEY.toString('hex')
  const base64 = KEY.toString('base64')
  const bad = [hex.slice(1), `${hex}0`, `${hex.slice(1)}g`, base64.slice(1), `rot13:${hex}`, `${hex}:${hex}`, 'secret']
  // 43 digits of base64 of which the last one carries more than the key.
  bad.push(`${base64.slice(0, 42)}${base64[42] === 'B' ? 'D' : 'B'}`)
  for (const form of bad) {
    const text = `${OTHER.toString('hex')},\n${form}`
    assert.throws(
      () => Keyring.parse(text),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError)
        assert.equal(error.mistakes.length, 1, form)
        assert.match(error.message, /^encryption key 2: /)
        const shown = inspect(error, { depth: null, showHidden: true }).replace(/\n\s+at .*/g, '')
        for (let at = 0; at + 6 <= form.length; at++) assert.ok(!shown.includes(form.slice(at, at + 6)), form)
        return true
      },
    )
  }
  const mistakesOf = (text: string) => {
    try {
      Keyring.parse(text)
    } catch (error) {
      return error instanceof ConfigError ? error.mistakes : null
    }
    return null
  }
  assert.equal(mistakesOf(`${bad.join('\n')}`)?.length, bad.length)
  assert.match(mistakesOf(`${hex}\n${base64}`)?.[0] ?? '', /^encryption key 2: .*same/)
  for (const nothing of ['', ' \n\n', '# only words', ',,']) assert.equal(mistakesOf(nothing)?.length, 1)
})

test('a keyring that is logged shows no key', () => {
  const keys = keyring(KEY)
  for (const shown of [inspect(keys, { depth: null, showHidden: true }), JSON.stringify(keys)]) {
    for (const form of [KEY.toString('hex'), KEY.toString('base64'), '60 3d eb', '96, 61, 235', '96,61,235']) {
      assert.ok(!shown.includes(form))
    }
  }
})
