"""redis-py as its users write it, against one of the dialects. redis-libraries-python.test.ts runs it.

    redis_client.py <dialect> <port> <protocol or 0> <what>

Prints a line of JSON for each answer. `follow` reads a line before each step, so that the test can do something between.
"""

import base64
import json
import sys
import time

import redis

DIALECT, PORT, PROTOCOL, WHAT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]


def connect(**options):
    if PROTOCOL:
        options["protocol"] = PROTOCOL
    return redis.StrictRedis(host="127.0.0.1", port=PORT, **options)


def plain(value):
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def tell(value):
    print(json.dumps(plain(value)), flush=True)


def refused(ask):
    try:
        ask()
    except redis.ResponseError as error:
        return str(error)
    return "it was not refused"


def sign_in():
    options = {"db": 3}
    if redis.__version__ >= "3.4":
        options.update(client_name="a-client", username="someone", password="secret")
    client = connect(**options)
    tell(client.ping())
    tell(client.client_getname())


def ask_meilies():
    client = connect()
    tell(client.execute_command("publish", "s", "e0", "zero"))
    tell(client.execute_command("publish", "s", "e1", b"\x00\r\n\xff"))
    tell(client.execute_command("last-event-number", "s"))
    tell(client.execute_command("last-event-number", "unknown"))
    tell(client.execute_command("stream-names"))
    tell(refused(lambda: client.execute_command("publish", "s:0", "e", "d")))
    tell(refused(lambda: client.publish("s", "d")))
    tell(client.execute_command("publish", "s", "e2", ""))


def next_message(pubsub):
    """The next message or confirmation. Like its users, tries again while the server is away."""
    while True:
        try:
            message = pubsub.get_message(timeout=1)
        except (redis.ConnectionError, redis.TimeoutError):
            if redis.__version__.startswith("3."):
                pubsub.connection.disconnect()  # version 3 goes on with the connection that was closed
            time.sleep(0.05)
            continue
        if message is not None:
            return [message["type"], plain(message["channel"]), plain(message["data"])]


def follow():
    pubsub = connect().pubsub()
    pubsub.subscribe("s:0")
    for line in sys.stdin:
        if line.startswith("unsubscribe"):
            pubsub.unsubscribe("s:0")
        else:
            tell(next_message(pubsub))


def ask_floki():
    client = connect()
    tell(client.set("q", "c"))
    tell(refused(lambda: client.set("q", "c")))
    tell(client.setnx("q", "d"))
    tell(client.rpush("q", "one", "two", base64.b64decode("dGhyZWU=")))
    taken = client.hmget("q", "c", "2")
    tell([[number, body] for number, _, body in taken])
    tickets = [ticket for _, ticket, _ in taken]
    tell(client.hdel("q", "c", *tickets))
    tell(client.hdel("q", "c", *tickets))
    tell([body for _, _, body in client.hmget("q", "c", "9", "5")])
    tell(client.hmget("q", "c", "9"))
    tell(client.hmget("q", "c", "9", "1"))
    tell(client.srem("q", "d"))
    tell(json.loads(client.execute_command("QINFO", "queues"))["q"]["head"])
    tell(json.loads(client.execute_command("QCONFIG", "queues"))["q"]["message_timeout"])
    pipeline = client.pipeline(transaction=False)
    for number in range(100):
        pipeline.rpush("q", "m%d" % number)
    tell(sum(pipeline.execute()))
    tell(client.delete("q"))
    tell(client.delete("q"))
    tell(refused(lambda: client.rpush("q", "x")))


def poll():
    """A long poll that is cut off when the server goes, and said again."""
    client = connect(socket_timeout=60)
    client.set("q", "c")
    tell("ready")
    while True:
        try:
            tell([body for _, _, body in client.hmget("q", "c", "1", "30")])
            return
        except (redis.ConnectionError, redis.TimeoutError):
            time.sleep(0.05)


STEPS = {
    "meilies": {"ask": ask_meilies, "sign-in": sign_in, "follow": follow},
    "floki": {"ask": ask_floki, "sign-in": sign_in, "poll": poll},
}
STEPS[DIALECT][WHAT]()
