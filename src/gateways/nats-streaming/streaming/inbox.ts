/**
 * Inboxes that clients name in their requests: what is sent there goes out on other people's connections as well, so nothing
 * may be in them that no subject can have.
 */
import { subjectKind } from '../core/subjects.js'

const BLANK = /[\0-\x20\x7f]/
const BYTES_MAX = 1_024

/** Whether anything can be sent there. */
export function isInbox(subject: string): boolean {
  return subject.length <= BYTES_MAX && !BLANK.test(subject) && subjectKind(subject) === 'literal'
}
