/**
 * Conversations by the byte that nats-server and leveret must answer alike: the facts of the protocol as their own test. Each
 * step is written by one of the peers, and then every peer asks PING and waits for its PONG.
 */
import { MODERN, NatsPeer, QUIET } from './nats-peer.js'

/** Who writes, and what. `part`: the operation goes on with the next step, so nobody asks in between. */
export type Step = readonly [peer: number, bytes: string, part?: 'part']

export interface Conversation {
  readonly title: string
  readonly steps: readonly Step[]
  /** Several subscriptions of one kind match: nobody says who of them is first. */
  readonly isUnordered?: boolean
}

const LONG = 'x'.repeat(4096)
const PEDANTIC = 'CONNECT {"verbose":false,"pedantic":true}\r\n'
const VERBOSE = 'CONNECT {"verbose":true,"pedantic":false}\r\n'
const SILENT = 'CONNECT {"verbose":false,"pedantic":false,"echo":false}\r\n'

function one(title: string, ...lines: readonly string[]): Conversation {
  return { title, steps: lines.map((line) => [0, line]) }
}

function many(title: string, ...lines: readonly string[]): Conversation {
  return { ...one(title, ...lines), isUnordered: true }
}

function two(title: string, ...steps: readonly Step[]): Conversation {
  return { title, steps }
}

const OPERATIONS: readonly Conversation[] = [
  one('PING before CONNECT', ''),
  one('SUB and PUB before CONNECT', 'SUB a 1\r\n', 'PUB a 1\r\nx\r\n'),
  one(
    'operations of any case',
    'connect {"verbose":false}\r\n',
    'sUb a 1\r\n',
    'pub a 1\r\nx\r\n',
    'Unsub 1\r\n',
    'pub a 1\r\nx\r\n',
  ),
  one(
    'spaces and tabs',
    QUIET,
    'SUB   a\t 1  \r\n',
    'PUB \t a  r\t 1 \r\nx\r\n',
    'PUB\ta\t1\r\nx\r\n',
    'UNSUB  1  2 \r\n',
  ),
  one('lines that end with a line feed only', QUIET, 'SUB a 1\nPUB a 1\nx\r\n', 'PING\n'),
  one('a payload that ends with a line feed only', QUIET, 'SUB a 1\r\n', 'PUB a 1\r\nx\n'),
  one('a payload that is longer than said', QUIET, 'SUB a 1\r\n', 'PUB a 1\r\nxyz\r\n'),
  one('an empty payload', QUIET, 'SUB a 1\r\nPUB a 0\r\n\r\n'),
  one('a size with zeros in front', QUIET, 'SUB a 1\r\nPUB a 02\r\nhi\r\n', 'PUB a r 02\r\nhi\r\n'),
  one('line ends and controls in a payload', QUIET, 'SUB a 1\r\nPUB a 14\r\n\r\nPING\r\n\0\xff\xfe\r\n\r\n\r\n'),
  one('subjects of any bytes', QUIET, 'SUB \xe9\x01.\xff 1\r\nPUB \xe9\x01.\xff 1\r\nx\r\n'),
  one('a sid of any letters', QUIET, 'SUB a abc-7\r\nPUB a 1\r\nx\r\n', 'UNSUB abc-7\r\nPUB a 1\r\nx\r\n'),
  one('a sid in use', VERBOSE, 'SUB a 1\r\nSUB b 1\r\nPUB a 1\r\nx\r\nPUB b 1\r\ny\r\n'),
  one('words behind PING', QUIET, 'PING now\r\n'),
  one('PONG without PING', QUIET, 'PONG\r\n'),
  one('INFO from a client', QUIET, 'INFO {}\r\n'),
  one('+OK from a client', QUIET, '+OK\r\n'),
  one('-ERR from a client', QUIET, "-ERR 'x'\r\n"),
  one('MSG from a client', QUIET, 'MSG a 1 1\r\nx\r\n'),
  one('an empty line', QUIET, '\r\n'),
  one('an unknown operation', QUIET, 'HELLO\r\n'),
  one('an operation that begins well', QUIET, 'PUBLISH a 1\r\nx\r\n'),
  one('SUB without arguments', QUIET, 'SUB\r\n'),
  one('SUB with spaces only', QUIET, 'SUB \r\n'),
  one('SUB with one argument', QUIET, 'SUB a\r\n'),
  one('SUB with four arguments', QUIET, 'SUB a b c d\r\n'),
  one('PUB without arguments', QUIET, 'PUB\r\n'),
  one('PUB with one argument', QUIET, 'PUB a\r\n'),
  one('PUB with four arguments', QUIET, 'PUB a b c 1\r\nx\r\n'),
  one('PUB with a size that is no number', QUIET, 'PUB a x\r\n'),
  one('PUB with a negative size', QUIET, 'PUB a -1\r\n'),
  one('PUB with a sign', QUIET, 'PUB a +1\r\nx\r\n'),
  one('UNSUB without arguments', QUIET, 'UNSUB\r\n'),
  one('UNSUB with three arguments', QUIET, 'UNSUB 1 2 3\r\n'),
  one('UNSUB of nothing', VERBOSE, 'UNSUB 9\r\n'),
]

const LIMITS: readonly Conversation[] = [
  one('a payload beyond the limit', QUIET, 'PUB a 1048577\r\n'),
  one('a payload of 9 digits', QUIET, 'PUB a 999999999\r\n'),
  one('a payload of 10 digits', QUIET, 'PUB a 9999999999\r\n'),
  one('headers beyond the limit', MODERN, 'HPUB a 12 1048577\r\n'),
  one('arguments as long as may be', QUIET, `SUB ${LONG.slice(0, 4094)} 1\r\n`),
  one('arguments that are too long', QUIET, `SUB ${LONG.slice(0, 4095)} 1\r\n`),
]

const CONNECTS: readonly Conversation[] = [
  one('CONNECT with all defaults', 'CONNECT {}\r\n', 'SUB a 1\r\nPUB a 1\r\nx\r\n', 'PUB > 1\r\nx\r\n'),
  one('verbose', VERBOSE, 'SUB a 1\r\nPUB a 1\r\nx\r\nUNSUB 1\r\n'),
  one(
    'pedantic',
    PEDANTIC,
    'SUB > 1\r\n',
    'PUB a.* 1\r\nx\r\n',
    'PUB a..b 1\r\nx\r\n',
    'PUB .a 1\r\nx\r\n',
    'PUB a*b 1\r\nx\r\n',
  ),
  one('no echo', SILENT, 'SUB a 1\r\nSUB a q 2\r\nPUB a 1\r\nx\r\n'),
  one('a second CONNECT', VERBOSE, 'CONNECT {"verbose":false}\r\n', 'SUB a.. 1\r\nPUB a 0\r\n\r\n'),
  one('CONNECT that is no JSON', 'CONNECT nonsense\r\n'),
  one('CONNECT without anything', 'CONNECT\r\n'),
  one('CONNECT without a space', 'CONNECT{"verbose":false}\r\nSUB a 1\r\n'),
  one('CONNECT of an array', 'CONNECT []\r\n'),
  one('CONNECT of null', 'CONNECT null\r\nSUB a 1\r\n'),
  one('CONNECT with nulls', 'CONNECT {"verbose":null,"name":null}\r\nSUB a 1\r\n'),
  one('CONNECT with a wrong type', 'CONNECT {"verbose":"no"}\r\n'),
  one('CONNECT with keys of another case', 'CONNECT {"VERBOSE":false}\r\nSUB a 1\r\n'),
  one('CONNECT with keys that nobody knows', 'CONNECT {"verbose":false,"colour":"red"}\r\nSUB a 1\r\n'),
  one('a protocol that nobody speaks', 'CONNECT {"verbose":false,"protocol":7}\r\n'),
  one('a protocol below zero', 'CONNECT {"verbose":false,"protocol":-1}\r\n'),
  one('no_responders without headers', 'CONNECT {"verbose":false,"no_responders":true}\r\n'),
]

const SUBJECTS: readonly Conversation[] = [
  ...['.a', 'a.', 'a..b', '.', '>.a', 'a.>.b', '..'].map((subject) =>
    one(`SUB of ${subject}`, VERBOSE, `SUB ${subject} 1\r\n`, 'SUB ok 2\r\n'),
  ),
  ...['a*', 'a>', '*a', 'a.b*.c', '>>', '**'].map((subject) =>
    one(`SUB of ${subject}`, QUIET, `SUB ${subject} 1\r\n`, `PUB ${subject} 1\r\nx\r\n`, 'PUB ab 1\r\nx\r\n'),
  ),
  one('a wildcard for one token', QUIET, 'SUB a.* 1\r\n', 'PUB a 1\r\n1\r\nPUB a.b 1\r\n2\r\nPUB a.b.c 1\r\n3\r\n'),
  one('a wildcard for the rest', QUIET, 'SUB a.> 1\r\n', 'PUB a 1\r\n1\r\nPUB a.b 1\r\n2\r\nPUB a.b.c 1\r\n3\r\n'),
  one(
    'wildcards in the middle',
    QUIET,
    'SUB *.b.*.> 1\r\n',
    'PUB a.b.c 1\r\n1\r\nPUB a.b.c.d 1\r\n2\r\nPUB a.c.c.d 1\r\n3\r\n',
  ),
  one('letters of either case', QUIET, 'SUB a 1\r\nPUB A 1\r\nx\r\n'),
  one(
    'publishing to wildcards',
    QUIET,
    'SUB > 1\r\n',
    'SUB a.* 2\r\n',
    'SUB a.b 3\r\n',
    'PUB a.* 1\r\nx\r\n',
    'PUB > 1\r\ny\r\n',
  ),
  one(
    'publishing to empty tokens',
    QUIET,
    'SUB > 1\r\nSUB a.* 2\r\nSUB *.*.* 3\r\n',
    'PUB a..b 1\r\nx\r\n',
    'PUB a. 1\r\ny\r\n',
    'PUB .a 1\r\nz\r\n',
  ),
  many('two subscriptions of one connection', QUIET, 'SUB a 1\r\nSUB a 2\r\n', 'PUB a 1\r\nx\r\n'),
]

const DELIVERIES: readonly Conversation[] = [
  two('one to another', [0, QUIET], [1, QUIET], [1, 'SUB a 7\r\n'], [0, 'PUB a 2\r\nhi\r\nPUB a r 2\r\nho\r\n']),
  two(
    'a queue of one member each',
    [0, QUIET],
    [1, QUIET],
    [0, 'SUB a q 1\r\nSUB a.> other 2\r\n'],
    [1, 'SUB a x 3\r\nSUB a 4\r\n'],
    [1, 'PUB a 1\r\nx\r\n'],
  ),
  two(
    'a queue over several subjects',
    [0, QUIET],
    [0, 'SUB a.b q 1\r\nSUB a.* q 1\r\nSUB c q 2\r\n'],
    [0, 'PUB a.b 1\r\nx\r\n'],
  ),
  one(
    'UNSUB with a maximum',
    QUIET,
    'SUB a 1\r\nUNSUB 1 2\r\n',
    'PUB a 1\r\n1\r\nPUB a 1\r\n2\r\nPUB a 1\r\n3\r\n',
    'SUB a 1\r\nPUB a 1\r\n4\r\n',
  ),
  one(
    'UNSUB with a maximum that was reached',
    QUIET,
    'SUB a 1\r\nPUB a 1\r\n1\r\nPUB a 1\r\n2\r\n',
    'UNSUB 1 2\r\n',
    'PUB a 1\r\n3\r\n',
  ),
  one('UNSUB with a maximum of zero', QUIET, 'SUB a 1\r\nUNSUB 1 0\r\n', 'PUB a 1\r\n1\r\n'),
  one('UNSUB with no number', QUIET, 'SUB a 1\r\nUNSUB 1 x\r\n', 'PUB a 1\r\n1\r\n'),
  one('UNSUB that is asked again', QUIET, 'SUB a 1\r\nUNSUB 1 5\r\nUNSUB 1 1\r\n', 'PUB a 1\r\n1\r\nPUB a 1\r\n2\r\n'),
]

const BLOCK = 'NATS/1.0\r\nk: v\r\n\r\n'
const HEADERS: readonly Conversation[] = [
  one('headers', MODERN, 'SUB a 1\r\n', `HPUB a 18 20\r\n${BLOCK}hi\r\n`, `HPUB a r 18 18\r\n${BLOCK}\r\n`),
  two(
    'headers for who does not know them',
    [0, MODERN],
    [1, QUIET],
    [1, 'SUB a 1\r\n'],
    [0, `HPUB a r 18 20\r\n${BLOCK}hi\r\n`],
    [0, `HPUB a 18 18\r\n${BLOCK}\r\n`],
  ),
  one('headers that were not asked for', QUIET, `HPUB a 18 20\r\n${BLOCK}hi\r\n`),
  one('headers that are longer than all', MODERN, `HPUB a 21 20\r\n${BLOCK}hi\r\n`),
  one('HPUB with one length', MODERN, 'HPUB a 20\r\n'),
  one('HPUB with five arguments', MODERN, 'HPUB a b c 18 20\r\n'),
  one('headers of no bytes', MODERN, 'SUB a 1\r\n', 'HPUB a 0 2\r\nhi\r\n'),
  one('headers that are none', MODERN, 'SUB a 1\r\n', 'HPUB a 2 4\r\nxxhi\r\n'),
  one('sizes with zeros in front', MODERN, 'SUB a 1\r\n', `HPUB a 018 0020\r\n${BLOCK}hi\r\n`),
  one(
    'nobody there',
    MODERN,
    'SUB r 1\r\n',
    'PUB a r 2\r\nhi\r\n',
    `HPUB a r 18 20\r\n${BLOCK}hi\r\n`,
    'PUB a 2\r\nhi\r\n',
  ),
  many('nobody there, told once', MODERN, 'SUB r 1\r\nSUB r.> 2\r\nSUB r.* 3\r\nUNSUB 1\r\n', 'PUB a r.x 2\r\nhi\r\n'),
  one('nobody there, and only a queue waits', MODERN, 'SUB r q 1\r\n', 'PUB a r 2\r\nhi\r\n'),
  one('nobody there, and a maximum', MODERN, 'SUB r 1\r\nUNSUB 1 1\r\n', 'PUB a r 2\r\nhi\r\n', 'PUB a r 2\r\nhi\r\n'),
  one('nobody there, and not wanted', QUIET, 'SUB r 1\r\n', 'PUB a r 2\r\nhi\r\n'),
  one(
    'nobody there but the asker without echo',
    'CONNECT {"verbose":false,"pedantic":false,"echo":false,"headers":true,"no_responders":true}\r\n',
    'SUB a 1\r\nSUB r 2\r\n',
    'PUB a r 2\r\nhi\r\n',
  ),
  two('somebody there', [0, MODERN], [1, QUIET], [1, 'SUB a 1\r\n'], [0, 'SUB r 1\r\n'], [0, 'PUB a r 2\r\nhi\r\n']),
]

const CUTS: readonly Conversation[] = [
  two(
    'operations in pieces',
    [0, QUIET],
    [0, 'SU', 'part'],
    [0, 'B a', 'part'],
    [0, ' 1\r', 'part'],
    [0, '\nPUB a 5\r\nhe', 'part'],
    [0, 'llo', 'part'],
    [0, '\r', 'part'],
    [0, '\n'],
  ),
  two('an operation that is wrong at its first letters', [0, QUIET], [0, 'GET', 'part'], [0, '']),
]

export const CONVERSATIONS: readonly Conversation[] = [
  ...OPERATIONS,
  ...LIMITS,
  ...CONNECTS,
  ...SUBJECTS,
  ...DELIVERIES,
  ...HEADERS,
  ...CUTS,
]

/** What each peer was told after each step. */
export async function converse(port: number, { steps, isUnordered }: Conversation): Promise<string[][]> {
  const count = Math.max(...steps.map(([peer]) => peer)) + 1
  const peers: NatsPeer[] = []
  try {
    for (let index = 0; index < count; index++) peers.push(await NatsPeer.connect(port))
    const answers: string[][] = []
    for (const [index, bytes, part] of steps) {
      const writer = peers[index] as NatsPeer
      writer.write(bytes)
      if (part === 'part') continue
      const answer: string[] = []
      for (const peer of [writer, ...peers.filter((each) => each !== writer)]) {
        const text = asOfOld(await peer.untilPong())
        answer.push(
          isUnordered === true
            ? text
                .split(/(?<!H)(?=H?MSG )/)
                .sort()
                .join('')
            : text,
        )
      }
      answers.push(answer)
    }
    return answers
  } finally {
    for (const peer of peers) peer[Symbol.dispose]()
  }
}

/** Newer versions of nats-server say once more who they are, and in a 503 which subject it was. */
function asOfOld(text: string): string {
  return text
    .replace(/INFO \{.*\} \r\n/, '')
    .replace(/(HMSG \S+ \S+) \d+ \d+(\r\nNATS\/1\.0 503\r\n)Nats-Subject: .*\r\n/g, '$1 16 16$2')
}
