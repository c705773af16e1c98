"""librdkafka by confluent-kafka: what most community brokers read alerts with."""

import confluent_kafka
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from lab import (
    BROKERS,
    CARD,
    DEADLINE,
    ENV,
    OTHER,
    SUBJECT,
    TOPIC,
    UNGRANTED,
    USER,
    VERSIONS,
    VISIT,
    check,
    equal,
    librdkafka,
    run,
    schema_id,
    topic_of_ours,
    unique,
    until,
    visit,
    wire,
)

admin = AdminClient(librdkafka(admin=True))


def code_of(call):
    """The Kafka error that a call raises."""
    try:
        call()
    except KafkaException as error:
        return error.args[0].code()
    return None


def poll_error(settings, topic):
    """The first error that a consumer of a topic meets."""
    consumer = Consumer(settings)
    try:
        consumer.subscribe([topic])

        def met():
            message = consumer.poll(0.2)
            assert message is None or message.error(), f"{topic} could be read: offset {message.offset()}"
            return message and message.error()

        return until(met, f"an error from {topic}").code()
    finally:
        consumer.close()


def deliver(producer, topic, values, **more):
    """Produce and wait; give the errors."""
    errors = []
    for value in values:
        producer.produce(topic, value=value, on_delivery=lambda error, _: error and errors.append(error), **more)
        producer.poll(0)
    equal(producer.flush(DEADLINE), 0, "messages without an answer")
    return errors


@check("the superuser logs in and every broker is listed at its own address")
def brokers():
    listed = admin.list_topics(timeout=DEADLINE).brokers
    equal({b.id: f"{b.host}:{b.port}" for b in listed.values()}, BROKERS, "brokers")
    cluster = admin.describe_cluster().result(DEADLINE)
    equal(len(cluster.nodes), len(BROKERS), "nodes of the described cluster")
    assert cluster.controller.id in BROKERS, cluster.controller
    return f"{len(listed)} brokers, controller {cluster.controller.id}"


@check("a wrong password and an unknown user are refused as such")
def wrong_password():
    for settings in (librdkafka(sasl_password="wrong"), librdkafka(sasl_username="nobody")):
        errors = []
        client = AdminClient({**settings, "error_cb": errors.append, "log_level": 0})
        try:
            client.list_topics(timeout=1)
            raise AssertionError(f"{settings['sasl.username']} got in")
        except KafkaException:
            pass
        until(lambda: client.poll(0.1) or errors, "the refusal is told", 5)
        codes = {e.code() for e in errors}
        assert KafkaError._AUTHENTICATION in codes, errors
    return next(e.str() for e in errors if e.code() == KafkaError._AUTHENTICATION).split("error: ", 1)[-1].split(" (after")[0]


@check("a community user reads its topic in a group of its own name, and sees no other topic")
def granted():
    seen = set(AdminClient(librdkafka()).list_topics(timeout=DEADLINE).topics)
    equal(seen, {TOPIC}, f"topics that {USER} sees")
    alerts = visit()
    return f"{len(alerts)} alerts from {len({m.partition() for m in alerts})} partitions"


@check("it does so by the newer group protocol too")
def newer_protocol():
    settings = {"group.id": unique(USER), "group.protocol": "consumer", "auto.offset.reset": "earliest"}
    consumer = Consumer({**librdkafka(), **settings})
    try:
        consumer.subscribe([TOPIC])
        seen = set()

        def a_visit():
            message = consumer.poll(0.2)
            if message:
                assert message.error() is None, message.error()
                seen.add(message.value())
            return len(seen) == VISIT

        until(a_visit, "a visit")
        consumer.commit(asynchronous=False)
    finally:
        consumer.close()


@check("a topic that was not granted is refused")
def ungranted():
    equal(poll_error(librdkafka(group_id=unique(USER), auto_offset_reset="earliest"), UNGRANTED), KafkaError.TOPIC_AUTHORIZATION_FAILED, "error")
    return UNGRANTED


@check("a group of another user's name is refused")
def foreign_group():
    group = unique(OTHER)
    equal(poll_error(librdkafka(group_id=group), TOPIC), KafkaError.GROUP_AUTHORIZATION_FAILED, "error")
    return group


@check("a community user cannot write, create or delete")
def read_only():
    errors = deliver(Producer(librdkafka()), TOPIC, [b"x"])
    equal([e.code() for e in errors], [KafkaError.TOPIC_AUTHORIZATION_FAILED], "errors of a write")
    user = AdminClient(librdkafka())
    name = unique("clients-refused")
    refused = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}
    assert code_of(lambda: user.create_topics([NewTopic(name, 1, 1)])[name].result(DEADLINE)) in refused, "it created a topic"
    assert code_of(lambda: user.delete_topics([TOPIC])[TOPIC].result(DEADLINE)) in refused, "it deleted a topic"
    assert name not in admin.list_topics(timeout=5).topics, "the refused topic is there"


@check("topics are listed and described")
def topics():
    listed = admin.list_topics(timeout=DEADLINE).topics
    assert {TOPIC, UNGRANTED} <= set(listed), sorted(listed)
    described = admin.describe_topics(TopicCollection([TOPIC]))[TOPIC].result(DEADLINE)
    equal(len(described.partitions), len(listed[TOPIC].partitions), "partitions")
    leaders = {p.leader.id for p in described.partitions}
    assert leaders <= set(BROKERS), leaders
    return f"{len(listed)} topics; {TOPIC} has {len(described.partitions)} partitions on {len(leaders)} brokers"


@check("a topic is created with settings, changed and deleted")
def create_topic():
    name = unique("clients-created")
    new = NewTopic(name, num_partitions=3, replication_factor=1, config={"retention.ms": "3600000", "cleanup.policy": "delete"})
    admin.create_topics([new])[name].result(DEADLINE)
    again = code_of(lambda: admin.create_topics([new])[name].result(DEADLINE))
    equal(again, KafkaError.TOPIC_ALREADY_EXISTS, "creating it twice")
    resource = ConfigResource(ResourceType.TOPIC, name)
    settings = admin.describe_configs([resource])[resource].result(DEADLINE)
    equal(settings["retention.ms"].value, "3600000", "retention.ms")
    equal(settings["retention.ms"].source, ConfigSource.DYNAMIC_TOPIC_CONFIG.value, "source of retention.ms")
    change = ConfigResource(
        ResourceType.TOPIC, name, incremental_configs=[ConfigEntry("retention.ms", "7200000", incremental_operation=AlterConfigOpType.SET)]
    )
    admin.incremental_alter_configs([change])[change].result(DEADLINE)
    settings = admin.describe_configs([resource])[resource].result(DEADLINE)
    equal(settings["retention.ms"].value, "7200000", "retention.ms after its change")
    equal(settings["cleanup.policy"].value, "delete", "cleanup.policy after the change of another setting")
    admin.delete_topics([name])[name].result(DEADLINE)
    until(lambda: name not in admin.list_topics(timeout=5).topics, "the deleted topic is gone")
    gone = code_of(lambda: admin.delete_topics([name])[name].result(DEADLINE))
    equal(gone, KafkaError.UNKNOWN_TOPIC_OR_PART, "deleting it twice")


@check("settings of a topic and of a broker are described, to a community user those of its topic only")
def describe_configs():
    topic = ConfigResource(ResourceType.TOPIC, TOPIC)
    user = AdminClient(librdkafka())
    mine = user.describe_configs([topic])[topic].result(DEADLINE)
    equal(mine["message.timestamp.type"].value, "LogAppendTime", "message.timestamp.type")
    other = ConfigResource(ResourceType.TOPIC, UNGRANTED)
    equal(code_of(lambda: user.describe_configs([other])[other].result(DEADLINE)), KafkaError.TOPIC_AUTHORIZATION_FAILED, "settings of an ungranted topic")
    broker = ConfigResource(ResourceType.BROKER, str(min(BROKERS)))
    limits = admin.describe_configs([broker])[broker].result(DEADLINE)
    equal(limits["message.max.bytes"].value, "4194304", "message.max.bytes")
    equal(limits["auto.create.topics.enable"].value, str(CARD["kafka"]["autoCreateTopics"]).lower(), "auto.create.topics.enable")
    equal(code_of(lambda: user.describe_configs([broker])[broker].result(DEADLINE)), KafkaError.CLUSTER_AUTHORIZATION_FAILED, "settings of a broker")
    return f"{len(mine)} of the topic, {len(limits)} of the broker"


@check("what is produced is consumed, in order, with keys and headers, compressed or not")
def produce_consume():
    count = 500
    with topic_of_ours(4) as name:
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            producer = Producer(librdkafka(admin=True, compression_type=codec, enable_idempotence=True, linger_ms=5))
            errors = []
            for i in range(count):
                value = f"{codec} {i} ".encode() + b"x" * 2000
                headers = [("n", str(i).encode())]
                producer.produce(name, key=str(i % 7), value=value, headers=headers, on_delivery=lambda e, _: e and errors.append(e))
                producer.poll(0)
            equal(producer.flush(DEADLINE), 0, "messages without an answer")
            equal(errors, [], "errors")
        consumer = Consumer(librdkafka(admin=True, group_id=unique("clients"), auto_offset_reset="earliest"))
        consumer.subscribe([name])
        got, last = {}, {}

        def all_of_them():
            for m in consumer.consume(500, 0.2):
                assert m.error() is None, m.error()
                codec, i = m.value().split()[:2]
                equal(m.headers(), [("n", i)], "headers")
                equal(m.key(), str(int(i) % 7).encode(), "key")
                assert last.get((codec, m.key()), -1) < int(i), f"{codec} {i} came after {last[codec, m.key()]}"
                last[codec, m.key()] = int(i)
                got[codec, i] = got.get((codec, i), 0) + 1
            return len(got) == 5 * count

        until(all_of_them, "all messages")
        consumer.close()
        equal(set(got.values()), {1}, "copies of each message")
    return f"{len(got)} messages, five codecs"


@check("a group's members, offsets and lag can be seen and set")
def group_lag():
    group = unique("clients")
    with topic_of_ours(1) as name:
        equal(deliver(Producer(librdkafka(admin=True)), name, [b"m"] * 100), [], "errors")
        consumer = Consumer(librdkafka(admin=True, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False))
        consumer.subscribe([name])
        read = []
        until(lambda: read.extend(consumer.consume(40 - len(read), 0.2)) or len(read) == 40, "40 messages")
        consumer.commit(message=read[-1], asynchronous=False)
        described = admin.describe_consumer_groups([group])[group].result(DEADLINE)
        equal(described.state.name, "STABLE", "state of the group")
        equal(len(described.members), 1, "members")
        equal([(p.topic, p.partition) for p in described.members[0].assignment.topic_partitions], [(name, 0)], "assignment")
        assert described.coordinator.id in BROKERS, described.coordinator
        assert group in {g.group_id for g in admin.list_consumer_groups().result(DEADLINE).valid}, "the group is not listed"
        partition = TopicPartition(name, 0)
        ask = [ConsumerGroupTopicPartitions(group, [partition])]

        def lag():
            committed = admin.list_consumer_group_offsets(ask)[group].result(DEADLINE).topic_partitions[0].offset
            end = admin.list_offsets({partition: OffsetSpec.latest()})[partition].result(DEADLINE).offset
            return end - committed

        equal(lag(), 60, "lag")
        busy = code_of(lambda: admin.delete_consumer_groups([group])[group].result(DEADLINE))
        equal(busy, KafkaError.NON_EMPTY_GROUP, "deleting a group with members")
        consumer.close()
        until(lambda: admin.describe_consumer_groups([group])[group].result(DEADLINE).state.name == "EMPTY", "the group is empty")
        admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [TopicPartition(name, 0, 90)])])[group].result(DEADLINE)
        equal(lag(), 10, "lag after offsets were set")
        admin.delete_consumer_groups([group])[group].result(DEADLINE)
    return "lag 60, then 10"


@check("a message above message.max.bytes is refused, one below is taken")
def message_too_large():
    limit = 4194304
    with topic_of_ours(1) as name:
        producer = Producer(librdkafka(admin=True, message_max_bytes=10_000_000))
        equal([e.code() for e in deliver(producer, name, [b"x" * (limit + 1)])], [KafkaError.MSG_SIZE_TOO_LARGE], "errors")
        equal(deliver(producer, name, [b"x" * (limit - 1000)]), [], "errors")
        low, high = Consumer(librdkafka(admin=True, group_id="clients")).get_watermark_offsets(TopicPartition(name, 0), timeout=DEADLINE)
        equal((low, high), (0, 1), "offsets")
    return f"{limit} bytes"


@check("SchemaRegistryClient reads every schema version by the read-only address, and can write none")
def registry_client():
    registry = SchemaRegistryClient({"url": ENV["SCHEMA_REGISTRY_URL"]})
    subjects = set(registry.get_subjects())
    assert {SUBJECT, *(f"lsst-alerts-v{v}-value" for v in VERSIONS)} <= subjects, sorted(subjects)
    for version in VERSIONS:
        number = schema_id(version)
        text = registry.get_schema(number).schema_str
        for subject, place in ((SUBJECT, number), (f"lsst-alerts-v{version}-value", 1)):
            held = registry.get_version(subject, place)
            equal((held.schema_id, held.schema.schema_str), (number, text), f"{subject} {place}")
        equal(registry.get_latest_version(f"lsst-alerts-v{version}-value").schema_id, number, "latest version")
    try:
        registry.register_schema("clients-refused", Schema('"string"', "AVRO"))
        raise AssertionError("the read-only address took a schema")
    except SchemaRegistryError as error:
        equal(error.http_status_code, 403, "status")
    return f"{len(VERSIONS)} versions, {len(subjects)} subjects"


@check("AvroDeserializer decodes every alert of a visit")
def deserializer():
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": ENV["SCHEMA_REGISTRY_URL"]}))
    ids = set()
    for message in visit():
        equal(wire(message.value())[0], schema_id(CARD["simulator"]["schema"]), "schema id")
        alert = deserialize(message.value(), SerializationContext(TOPIC, MessageField.VALUE))
        equal(alert["diaSourceId"], alert["diaSource"]["diaSourceId"], "diaSourceId")
        assert alert["diaSource"]["band"] in "ugrizy", alert["diaSource"]["band"]
        ids.add(alert["diaSourceId"])
    equal(len(ids), VISIT, "different alerts")
    return f"{len(ids)} alerts"


@check("AvroSerializer registers a schema of its own, under an id above those of alert schemas")
def serializer():
    registry = SchemaRegistryClient({"url": ENV["ADMIN_SCHEMA_REGISTRY_ADMIN_URL"]})
    topic = unique("clients-serializer")
    subject = topic + "-value"
    text = '{"type":"record","name":"Seen","namespace":"%s","fields":[{"name":"id","type":"long"}]}' % topic.replace("-", "_")
    context = SerializationContext(topic, MessageField.VALUE)
    value = AvroSerializer(registry, text)({"id": 7}, context)
    number, _ = wire(value)
    assert number > 100_000, f"the assigned id is {number}"
    equal(AvroDeserializer(registry)(value, context), {"id": 7}, "value")
    equal(registry.lookup_schema(subject, Schema(text, "AVRO")).schema_id, number, "id of the looked up schema")
    registry.set_compatibility(subject, "BACKWARD")
    wider = Schema(text.replace("}]}", '},{"name":"extra","type":"long"}]}'), "AVRO")
    equal(registry.test_compatibility(subject, wider), False, "compatibility of a new field without a default")
    try:
        registry.register_schema(subject, wider)
        raise AssertionError("an incompatible schema was taken")
    except SchemaRegistryError as error:
        equal(error.http_status_code, 409, "status")
    equal(registry.delete_subject(subject), [1], "deleted versions")
    equal(registry.delete_subject(subject, permanent=True), [1], "versions deleted for good")
    return f"id {number}"


if __name__ == "__main__":
    run(f"confluent-kafka {confluent_kafka.__version__}, librdkafka {confluent_kafka.libversion()[0]}")
