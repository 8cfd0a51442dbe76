/**
 * The subjects on which a streaming server is spoken to.
 */
import { subjectFromText, textFromSubject } from '../core/subjects.js'

const DEFAULT_DISCOVER_PREFIX = '_STAN.discover'

export interface StreamingSubjects {
  readonly discover: string
  readonly pings: string
  /** The channel comes behind a dot. */
  readonly publishPrefix: string
  readonly subscribe: string
  readonly unsubscribe: string
  readonly closeSubscription: string
  readonly close: string
}

export function streamingSubjects(clusterId: string, discoverPrefix = DEFAULT_DISCOVER_PREFIX): StreamingSubjects {
  const cluster = subjectFromText(clusterId)
  const discover = `${subjectFromText(discoverPrefix)}.${cluster}`
  return {
    discover,
    pings: `${discover}.pings`,
    publishPrefix: `_STAN.pub.${cluster}`,
    subscribe: `_STAN.sub.${cluster}`,
    unsubscribe: `_STAN.unsub.${cluster}`,
    closeSubscription: `_STAN.subclose.${cluster}`,
    close: `_STAN.close.${cluster}`,
  }
}

/** As the original shows them. */
export function subjectLines(subjects: StreamingSubjects): readonly string[] {
  const { discover, publishPrefix, subscribe, closeSubscription, unsubscribe, close } = subjects
  const lines = [
    `Discover subject:           ${discover}`,
    `Publish subject:            ${publishPrefix}.>`,
    `Subscribe subject:          ${subscribe}`,
    `Subscription Close subject: ${closeSubscription}`,
    `Unsubscribe subject:        ${unsubscribe}`,
    `Close subject:              ${close}`,
  ]
  return lines.map(textFromSubject)
}
