"""aiokafka: what the reference's ingester reads alerts with."""

import asyncio
import logging

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import create_conn
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    MessageSizeTooLargeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)
from aiokafka.helpers import create_ssl_context

from lab import BROKERS, CARD, DEADLINE, ENV, OTHER, TOPIC, UNGRANTED, USER, VISIT, check, equal, run, schema_id, unique, wire

# Every refused login is a traceback otherwise.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def login(admin=False, **more):
    prefix = "ADMIN_" if admin else ""
    return {
        "bootstrap_servers": ENV["KAFKA_BOOTSTRAP_SERVERS"],
        "security_protocol": ENV["KAFKA_SECURITY_PROTOCOL"],
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": ENV[prefix + "KAFKA_USERNAME"],
        "sasl_plain_password": ENV[prefix + "KAFKA_PASSWORD"],
        **({"ssl_context": create_ssl_context(cafile=ENV["SSL_CA_FILE"])} if "SSL_CA_FILE" in ENV else {}),
        **more,
    }


def awaited(function):
    """Make an ordinary check of a coroutine, bounded in time."""

    def call():
        return asyncio.run(asyncio.wait_for(function(), 2 * DEADLINE))

    call.__name__ = function.__name__
    return call


async def refusal(coroutine):
    """The error that a coroutine raises."""
    try:
        got = await coroutine
    except Exception as error:
        return type(error)
    return f"no error but {got!r}"


class topic_of_ours:
    """A topic for one check, made by aiokafka's own AdminClient."""

    def __init__(self, partitions):
        self.name, self.partitions = unique("clients-aiokafka"), partitions

    async def __aenter__(self):
        self.admin = AIOKafkaAdminClient(**login(admin=True))
        await self.admin.start()
        answer = await self.admin.create_topics([NewTopic(self.name, self.partitions, 1)])
        equal([(t, code) for t, code, *_ in answer.topic_errors], [(self.name, 0)], "answer to the creation")
        return self.name

    async def __aexit__(self, *_):
        await self.admin.delete_topics([self.name])
        await self.admin.close()


@check("it logs in with SCRAM-SHA-512 and knows every broker")
@awaited
async def logs_in():
    admin = AIOKafkaAdminClient(**login(admin=True))
    await admin.start()
    try:
        cluster = await admin.describe_cluster()
        equal({b["node_id"]: f"{b['host']}:{b['port']}" for b in cluster["brokers"]}, BROKERS, "brokers")
        topics = await admin.list_topics()
        assert TOPIC in topics, topics
    finally:
        await admin.close()
    return f"{len(cluster['brokers'])} brokers"


@check("a wrong password is refused as such")
@awaited
async def wrong_password():
    wrong = login(sasl_plain_password="wrong")
    # A consumer that no broker lets in tells only that it has met none.
    consumer = AIOKafkaConsumer(TOPIC, **wrong)
    equal(await refusal(consumer.start()), KafkaConnectionError, "a consumer's error")
    await consumer.stop()
    # One connection tells why.
    host, port = wrong.pop("bootstrap_servers").split(":")
    try:
        await create_conn(host, int(port), **wrong)
    except SaslAuthenticationFailed as error:
        assert "invalid credentials" in str(error), error
        return str(error).split(": ", 1)[-1]
    raise AssertionError("it got in")


@check("a community user reads a visit, in a group of its own name")
@awaited
async def consume():
    consumer = AIOKafkaConsumer(TOPIC, **login(group_id=unique(USER), auto_offset_reset="earliest", enable_auto_commit=False))
    await consumer.start()
    try:
        seen = set()
        while len(seen) < VISIT:
            message = await asyncio.wait_for(consumer.getone(), DEADLINE)
            equal(wire(message.value)[0], schema_id(CARD["simulator"]["schema"]), "schema id")
            equal(message.timestamp_type, 1, "timestamp type (1: append time)")
            seen.add(message.value)
        await consumer.commit()
        committed = [await consumer.committed(p) for p in consumer.assignment()]
        assert sum(c or 0 for c in committed) >= VISIT, committed
    finally:
        await consumer.stop()
    return f"{len(seen)} alerts"


@check("an ungranted topic, a foreign group and a write are refused")
@awaited
async def refused():
    consumer = AIOKafkaConsumer(UNGRANTED, **login(group_id=unique(USER)))
    equal(await refusal(consumer.start()), TopicAuthorizationFailedError, "ungranted topic")
    await consumer.stop()
    consumer = AIOKafkaConsumer(TOPIC, **login(group_id=unique(OTHER)))

    async def join():
        await consumer.start()
        await consumer.getone()

    equal(await refusal(asyncio.wait_for(join(), DEADLINE)), GroupAuthorizationFailedError, "foreign group")
    await consumer.stop()
    producer = AIOKafkaProducer(**login())
    await producer.start()
    equal(await refusal(producer.send_and_wait(TOPIC, b"x")), TopicAuthorizationFailedError, "write")
    await producer.stop()


@check("what is produced is consumed, with keys and headers; what is too large is refused")
@awaited
async def produce():
    count = 1000
    async with topic_of_ours(3) as name:
        producer = AIOKafkaProducer(**login(admin=True, enable_idempotence=True, compression_type="gzip", max_request_size=10_000_000))
        await producer.start()
        sent = [await producer.send(name, key=str(i).encode(), value=b"x" * 1000, headers=[("n", str(i).encode())]) for i in range(count)]
        places = {(p.partition, p.offset) for p in await asyncio.gather(*sent)}
        equal(len(places), count, "acknowledged places")
        await producer.stop()
        plain = AIOKafkaProducer(**login(admin=True, max_request_size=10_000_000))
        await plain.start()
        equal(await refusal(plain.send_and_wait(name, b"x" * 4194305)), MessageSizeTooLargeError, "a message above message.max.bytes")
        await plain.stop()
        consumer = AIOKafkaConsumer(name, **login(admin=True, auto_offset_reset="earliest"))
        await consumer.start()
        got = {}
        while len(got) < count:
            m = await asyncio.wait_for(consumer.getone(), DEADLINE)
            equal(m.headers, (("n", m.key),), "headers")
            assert (m.partition, m.offset) in places, (m.partition, m.offset)
            equal(got.setdefault(m.key, m.offset), m.offset, "offset of a message that came twice")
        await consumer.stop()
    return f"{count} messages"


@check("a second member shares a group's partitions, and hands them back when it leaves")
@awaited
async def rebalance():
    async with topic_of_ours(4) as name:
        group = unique("clients")
        everything = {TopicPartition(name, i) for i in range(4)}

        async def member():
            consumer = AIOKafkaConsumer(name, **login(admin=True, group_id=group, auto_offset_reset="earliest", heartbeat_interval_ms=200, metadata_max_age_ms=1000))
            await consumer.start()
            return consumer

        read = []

        async def settle(members, what, done):
            end = asyncio.get_running_loop().time() + DEADLINE
            while not done():
                assert asyncio.get_running_loop().time() < end, f"{what}: {[m.assignment() for m in members]}"
                for m in members:
                    for batch in (await m.getmany(timeout_ms=50)).values():
                        read.extend(r.value for r in batch)

        producer = AIOKafkaProducer(**login(admin=True))
        await producer.start()

        async def produce(values):
            for i in values:
                await producer.send_and_wait(name, str(i).encode(), partition=i % 4)

        first = await member()
        await produce(range(0, 40))
        await settle([first], "one member has all", lambda: first.assignment() == everything and len(set(read)) == 40)
        second = await member()
        await settle(
            [first, second],
            "two members have two each",
            lambda: len(first.assignment()) == len(second.assignment()) == 2 and first.assignment() | second.assignment() == everything,
        )
        await produce(range(40, 80))
        await settle([first, second], "both read on", lambda: len(set(read)) == 80)
        await second.stop()
        await settle([first], "the first has all again", lambda: first.assignment() == everything)
        await produce(range(80, 120))
        await settle([first], "it reads on", lambda: len(set(read)) == 120)
        equal(len(read), 120, "messages read")
        await first.stop()
        await producer.stop()
    return "4, 2 and 2, 4 partitions; 120 messages once each"


if __name__ == "__main__":
    run(f"aiokafka {aiokafka.__version__}")
