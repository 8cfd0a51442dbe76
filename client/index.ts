/**
 * The public interface of `leveret/client`: everything a user of the client names.
 */
export type { Clock, Timer } from '../src/common/clock.js'
export * from '../src/common/errors.js'
export type { Random } from '../src/common/random.js'
export type { Header, LossCause } from '../src/model/record.js'
export type { Durability, Retention, RetentionLimits, SlowConsumerPolicy, TopicSettings } from '../src/model/topic.js'
export { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER } from '../src/model/topic.js'
export type { Mode, PartitionDescription, TopicDescription } from '../src/protocol/frames.js'
export type { Client, ClientEvents, ClientStatus, ServerInfo, TopicOptions } from './client.js'
export { bytes, type Codec, json, text } from './codec.js'
export { connect } from './connect.js'
export type { ConnectOptions, ReconnectOptions } from './options.js'
export type { Receipt } from './receipts.js'
export type { ReceivedRecord } from './received-record.js'
export type { RequestOptions } from './requests.js'
export type { From, LostRange, SubscribeOptions, Subscription } from './subscribe-options.js'
export type { HeadersInput, HeaderValue, PublishAllOptions, PublishOptions, RecordInput, Topic } from './topic.js'
