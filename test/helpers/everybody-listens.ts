/** Where nobody is ever away. */
import type { ChannelHost } from '../../src/gateways/nats-streaming/streaming/channel-subscriptions.js'

export const EVERYBODY_LISTENS: ChannelHost = { isHeard: () => true, isPressed: () => false, skipped: () => undefined }
