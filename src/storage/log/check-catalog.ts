/**
 * The lock file and the two copies of the catalog: what they say of the data, where they are damaged, and putting one copy
 * right from the other.
 */
import { join } from 'node:path'
import { LeveretError } from '../../common/errors.js'
import { keepCopyAside } from './catalog.js'
import { type CatalogLine, CatalogReading, type CatalogState } from './catalog-lines.js'
import type { CheckContext } from './check-context.js'
import type { Witness } from './directory-lock.js'
import { readFile, replaceFile } from './file-io.js'
import { CATALOGS, LOCK, TOPICS } from './file-names.js'
import type { FileSystem } from './file-system.js'
import { keyIdText } from './keyring.js'
import { decodeLine, lineAt } from './sealed-lines.js'

/** What the catalog says, as far as it can be read. */
export interface CatalogFacts {
  /** Stands in the checksums of all batches; null when nobody knows it any more. */
  readonly dataId: string | null
  /** Null: which topics there are cannot be told. */
  readonly state: CatalogState | null
}

/** The lock file says everything in two equal halves; whoever takes the lock writes it anew, if it can be read at all. */
export function checkLock(context: CheckContext): void {
  const content = readFile(context.fs, join(context.data, LOCK))
  if (content === null) return
  const halves = [content.subarray(0, content.length / 2), content.subarray(content.length / 2)] as const
  const readable = [...halves, content].filter((line) => decodeLine(line.subarray(0, -1)) !== null)
  if (readable.length === 0) {
    const message = 'the lock file is damaged: make sure that no process uses the data, and remove it'
    context.add({ severity: 'damage', kind: 'lock', file: LOCK, message })
  } else if (!halves[0].equals(halves[1])) {
    const message = 'one half of the lock file is damaged'
    context.add({ severity: 'repairable', kind: 'lock', file: LOCK, message, isRepaired: context.isRepair })
  }
}

/** `witness` is what the catalog must agree with. Throws LVT_DATA_DAMAGED for another format. */
export async function checkCatalog(context: CheckContext, witness: Witness): Promise<CatalogFacts> {
  const { fs, data } = context
  const copies = CATALOGS.map((name) => readFile(fs, join(data, name)))
  if (witness.generation === 0 && copies.every((copy) => copy === null) && isEmpty(fs, join(data, TOPICS))) {
    const message = 'there is no catalog yet: the first start did not come that far'
    context.add({ severity: 'note', kind: 'catalog', file: CATALOGS[0], message })
    return { dataId: null, state: null }
  }
  const heads = copies.map(headOf).filter((head) => head !== null)
  for (const { format } of heads) refuseFormat(format)
  const dataId = heads.toSorted((a, b) => b.generation - a.generation)[0]?.data ?? null
  const reading = readCopies(copies)
  if (reading instanceof LeveretError) {
    for (const [index, copy] of copies.entries()) await checkCopy(context, index, copy, null, null)
    const [message = ''] = reading.message.split('. nothing was')
    context.add({ severity: 'damage', kind: 'catalog', file: CATALOGS[0], message })
    return { dataId, state: null }
  }
  const { state } = reading
  const message = contradiction(state, witness)
  const isStale = message !== null
  if (isStale) context.add({ severity: 'damage', kind: 'catalog', file: CATALOGS[0], message })
  const repair = context.isRepair && !isStale ? state.generation : null
  for (const [index, copy] of copies.entries()) {
    if (!state.isClosed && index === 1 && isBehind(copy, reading.text)) tellBehind(context)
    else await checkCopy(context, index, copy, reading.text, repair)
  }
  for (const id of state.keys) {
    if (context.keyring?.has(id) === true) continue
    const message = `the data is encrypted with key ${keyIdText(id)}, which was not given`
    context.add({ severity: 'note', kind: 'sealed', file: CATALOGS[0], message })
  }
  context.totals.topics = state.topics.size
  return { dataId: state.data, state }
}

/** The second copy gets what nobody waits for with the next change, so that it may lack the last lines after a crash. */
function isBehind(copy: Buffer | null, text: Buffer): boolean {
  return (
    copy !== null && copy.length < text.length && copy.at(-1) === 0x0a && text.subarray(0, copy.length).equals(copy)
  )
}

function tellBehind(context: CheckContext): void {
  const message = 'this copy of the catalog is some lines behind the other one; the next start brings it up to date'
  context.add({ severity: 'note', kind: 'catalog', file: CATALOGS[1], message })
}

function isEmpty(fs: FileSystem, directory: string): boolean {
  return !fs.exists(directory) || fs.list(directory).length === 0
}

function contradiction({ generation, data }: CatalogState, witness: Witness): string | null {
  if (witness.data !== '' && witness.data !== data) return 'the catalog is that of other data'
  if (generation >= witness.generation) return null
  return `the catalog is of generation ${generation}, and the data has seen generation ${witness.generation}`
}

function readCopies(copies: readonly (Buffer | null)[]): CatalogReading | LeveretError {
  if (copies.every((copy) => copy === null)) {
    return new LeveretError('LVT_DATA_DAMAGED', 'both copies of the catalog are missing')
  }
  try {
    return CatalogReading.of(copies, '', { generation: 0, data: '' })
  } catch (error) {
    if (error instanceof LeveretError) return error
    throw error
  }
}

type Head = Extract<CatalogLine, { kind: 'catalog' }>

function headOf(copy: Buffer | null): Head | null {
  const value = copy === null ? null : (lineAt(copy, 0)?.value as CatalogLine | null | undefined)
  return value?.kind === 'catalog' ? value : null
}

/** A newer format is no damage, and nothing can be said about it. */
function refuseFormat(format: number): void {
  if (format === 1) return
  throw new LeveretError('LVT_DATA_DAMAGED', `the data directory has format ${format}, this version reads format 1`)
}

/** `text` is what the copy should hold, `repair` the generation to repair it for; each null if nobody can. */
async function checkCopy(
  context: CheckContext,
  index: number,
  copy: Buffer | null,
  text: Buffer | null,
  repair: number | null,
): Promise<void> {
  if (text !== null && copy?.equals(text)) return
  const file = CATALOGS[index] as string
  const faults = copy === null ? [{ position: null, message: 'this copy of the catalog is missing' }] : faultsOf(copy)
  if (copy !== null && faults.length === 0 && text !== null) {
    const position = firstDifference(copy, text)
    faults.push({ position, message: 'from here on this copy of the catalog says something else than the other one' })
  }
  const path = join(context.data, file)
  if (repair !== null && text !== null) {
    if (copy !== null) await keepCopyAside(context.fs, path, copy, repair)
    await replaceFile(context.fs, path, text)
  }
  const severity = text === null ? 'damage' : 'repairable'
  for (const { position, message } of faults) {
    const kind = message === UNFINISHED ? 'torn' : 'catalog'
    context.add({ severity, kind, file, position, message, isRepaired: repair !== null })
  }
}

const UNFINISHED = 'this copy of the catalog ends with an unfinished line'

interface Fault {
  readonly position: number | null
  readonly message: string
}

function faultsOf(copy: Buffer): Fault[] {
  const faults: Fault[] = []
  let number = 1
  for (let line = lineAt(copy, 0), at = 0; line !== null; line = lineAt(copy, at), number++) {
    const isUnfinished = line.end === copy.length && copy.at(-1) !== 0x0a
    if (isUnfinished) faults.push({ position: at, message: UNFINISHED })
    else if (line.value === null) {
      faults.push({ position: at, message: `line ${number} of this copy of the catalog is damaged` })
    }
    at = line.end
  }
  return faults
}

function firstDifference(a: Buffer, b: Buffer): number {
  let at = 0
  while (at < a.length && at < b.length && a[at] === b[at]) at++
  return at
}
