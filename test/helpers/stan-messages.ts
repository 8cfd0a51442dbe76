/**
 * The messages of NATS Streaming as a stock protobuf library has them: the oracle of the codec, and the voice of raw clients.
 */
import protobuf from 'protobufjs'

const SCHEMA = `syntax = "proto3"; package pb;
message PubMsg {
  string clientID = 1; string guid = 2; string subject = 3; string reply = 4; bytes data = 5; bytes connID = 6;
  bytes sha256 = 10;
}
message PubAck { string guid = 1; string error = 2; }
message MsgProto {
  uint64 sequence = 1; string subject = 2; string reply = 3; bytes data = 4; int64 timestamp = 5; bool redelivered = 6;
  uint32 redeliveryCount = 7; uint32 CRC32 = 10;
}
message Ack { string subject = 1; uint64 sequence = 2; }
message ConnectRequest {
  string clientID = 1; string heartbeatInbox = 2; int32 protocol = 3; bytes connID = 4; int32 pingInterval = 5;
  int32 pingMaxOut = 6;
}
message ConnectResponse {
  string pubPrefix = 1; string subRequests = 2; string unsubRequests = 3; string closeRequests = 4; string error = 5;
  string subCloseRequests = 6; string pingRequests = 7; int32 pingInterval = 8; int32 pingMaxOut = 9; int32 protocol = 10;
}
message SubscriptionRequest {
  string clientID = 1; string subject = 2; string qGroup = 3; string inbox = 4; int32 maxInFlight = 5;
  int32 ackWaitInSecs = 6; string durableName = 7; int32 startPosition = 10; uint64 startSequence = 11;
  int64 startTimeDelta = 12;
}
message SubscriptionResponse { string ackInbox = 2; string error = 3; }
message UnsubscribeRequest { string clientID = 1; string subject = 2; string inbox = 3; string durableName = 4; }
message CloseRequest { string clientID = 1; }
message CloseResponse { string error = 1; }
message Ping { bytes connID = 1; }
message PingResponse { string error = 1; }`

const { root } = protobuf.parse(SCHEMA, { keepCase: true })

export function stanBytes(name: string, fields: Readonly<Record<string, unknown>>): Buffer {
  const type = root.lookupType(`pb.${name}`)
  return Buffer.from(type.encode(type.create(fields)).finish())
}

/** Fields that are not on the wire are left out; 64-bit numbers are text. */
export function stanFields(name: string, bytes: Buffer): Record<string, unknown> {
  const type = root.lookupType(`pb.${name}`)
  return type.toObject(type.decode(bytes), { longs: String, bytes: Buffer })
}
