/**
 * Which subscriptions want a subject: literal ones in a map, patterns in a trie of their tokens, and what was found for the
 * subjects that were asked for lately. Nothing is scanned. One per router; no I/O.
 */
import { subjectKind } from './subjects.js'

/** As much of a subscription as the index looks at. */
export interface Indexed {
  readonly subject: string
  readonly queue: string | null
}

/** Who gets a message of one subject. Never changed once it is made, so that it may be walked while others come and go. */
export interface Match<Entry> {
  readonly plain: readonly Entry[]
  /** The members of each queue name. */
  readonly queues: readonly (readonly Entry[])[]
}

/** What is remembered of the subjects asked for lately: about one for each entry and for each recipient. */
const CACHE_WEIGHT_MAX = 65_536
/** A subject that is longer weighs more. */
const CACHE_TEXT_WEIGHT = 64
const NOBODY: Match<never> = { plain: [], queues: [] }

class Node<Entry> {
  /** By the next token; made when there is one. */
  next: Map<string, Node<Entry>> | null = null
  /** Behind `*`. */
  star: Node<Entry> | null = null
  /** Patterns that end here, and those that end with `>` here. */
  ends: Set<Entry> | null = null
  rest: Set<Entry> | null = null

  get isEmpty(): boolean {
    return this.next === null && this.star === null && this.ends === null && this.rest === null
  }
}

export class SubjectIndex<Entry extends Indexed> {
  readonly #literal = new Map<string, Set<Entry>>()
  readonly #root = new Node<Entry>()
  #patterns = 0
  #cache = new Map<string, Match<Entry>>()
  #cacheWeight = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Subjects whose recipients are known without looking. */
  get remembered(): number {
    return this.#cache.size
  }

  /** Its subject must be valid; the same subscription only once. */
  add(subscription: Entry): void {
    const { subject } = subscription
    this.#size++
    if (subjectKind(subject) === 'literal') {
      const known = this.#literal.get(subject)
      if (known === undefined) this.#literal.set(subject, new Set([subscription]))
      else known.add(subscription)
      this.#forget(subject)
      return
    }
    this.#patterns++
    this.#forgetAll()
    let node = this.#root
    const tokens = subject.split('.')
    for (const [index, token] of tokens.entries()) {
      if (token === '>' && index === tokens.length - 1) {
        node.rest ??= new Set()
        node.rest.add(subscription)
        return
      }
      node = this.#step(node, token)
    }
    node.ends ??= new Set()
    node.ends.add(subscription)
  }

  #step(node: Node<Entry>, token: string): Node<Entry> {
    if (token === '*') {
      node.star ??= new Node<Entry>()
      return node.star
    }
    node.next ??= new Map()
    let next = node.next.get(token)
    if (next === undefined) {
      next = new Node<Entry>()
      node.next.set(token, next)
    }
    return next
  }

  /** Whether it was there. */
  remove(subscription: Entry): boolean {
    const { subject } = subscription
    if (subjectKind(subject) === 'literal') {
      const known = this.#literal.get(subject)
      if (known === undefined || !known.delete(subscription)) return false
      if (known.size === 0) this.#literal.delete(subject)
      this.#forget(subject)
    } else {
      if (!this.#removeBelow(this.#root, subject.split('.'), 0, subscription)) return false
      this.#patterns--
      this.#forgetAll()
    }
    this.#size--
    return true
  }

  /** Nodes that lead nowhere any more go, too. */
  #removeBelow(node: Node<Entry>, tokens: readonly string[], at: number, subscription: Entry): boolean {
    if (at === tokens.length) {
      if (node.ends?.delete(subscription) !== true) return false
      if (node.ends.size === 0) node.ends = null
      return true
    }
    const token = tokens[at] as string
    if (token === '>' && at === tokens.length - 1) {
      if (node.rest?.delete(subscription) !== true) return false
      if (node.rest.size === 0) node.rest = null
      return true
    }
    const next = token === '*' ? node.star : (node.next?.get(token) ?? null)
    if (next === null || !this.#removeBelow(next, tokens, at + 1, subscription)) return false
    if (next.isEmpty) {
      if (token === '*') node.star = null
      else {
        node.next?.delete(token)
        if (node.next?.size === 0) node.next = null
      }
    }
    return true
  }

  /** Wildcards in a subject that is published are letters. One with an empty token reaches nobody. */
  match(subject: string): Match<Entry> {
    const known = this.#cache.get(subject)
    if (known !== undefined) return known
    return this.#find(subject)
  }

  #find(subject: string): Match<Entry> {
    const found: Entry[] = []
    const tokens = subject.split('.')
    if (tokens.includes('')) return NOBODY
    const literal = this.#literal.get(subject)
    if (literal !== undefined) for (const each of literal) found.push(each)
    if (this.#patterns > 0) collect(this.#root, tokens, 0, found)
    const match = found.length === 0 ? NOBODY : grouped(found)
    const weight = 1 + found.length + Math.floor(subject.length / CACHE_TEXT_WEIGHT)
    if (this.#cacheWeight + weight > CACHE_WEIGHT_MAX) this.#forgetAll()
    if (weight <= CACHE_WEIGHT_MAX) {
      this.#cache.set(subject, match)
      this.#cacheWeight += weight
    }
    return match
  }

  #forget(subject: string): void {
    // What it weighed stays counted until all is forgotten: who comes and goes all the time clears the cache now and then.
    this.#cache.delete(subject)
  }

  #forgetAll(): void {
    if (this.#cache.size > 0) this.#cache = new Map()
    this.#cacheWeight = 0
  }
}

function collect<Entry>(node: Node<Entry>, tokens: readonly string[], at: number, found: Entry[]): void {
  if (at === tokens.length) {
    if (node.ends !== null) for (const each of node.ends) found.push(each)
    return
  }
  if (node.rest !== null) for (const each of node.rest) found.push(each)
  if (node.star !== null) collect(node.star, tokens, at + 1, found)
  const next = node.next?.get(tokens[at] as string)
  if (next !== undefined) collect(next, tokens, at + 1, found)
}

function grouped<Entry extends Indexed>(found: readonly Entry[]): Match<Entry> {
  const plain: Entry[] = []
  const queues = new Map<string, Entry[]>()
  for (const subscription of found) {
    if (subscription.queue === null) plain.push(subscription)
    else {
      const members = queues.get(subscription.queue)
      if (members === undefined) queues.set(subscription.queue, [subscription])
      else members.push(subscription)
    }
  }
  return { plain, queues: [...queues.values()] }
}
