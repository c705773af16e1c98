"""What the client programs share: the lab that they meet, and how they report.

A program registers its checks with @check("a sentence") and ends with run().
Each check asserts; what it returns is its evidence, a few words. The runner in
../ reads standard output, a JSON object a line: first the plan (the version of
the client and the names of all checks), then a result for each check. What a
library prints goes to standard error.

The environment is that of an ordinary user, as `alertlab env --user NAME` gives
it, and beside it the superuser's, each name with ADMIN_ in front.
"""

import json
import os
import struct
import subprocess
import sys
import time
import traceback

ENV = os.environ
# The connection card, which tells what the lab should be.
with open(ENV["ALERTLAB_CARD"]) as _file:
    CARD = json.load(_file)

USER = ENV["KAFKA_USERNAME"]
# Another user of the lab, whose groups are not USER's.
OTHER = ENV["ALERTLAB_OTHER_USER"]
TOPIC = CARD["simulator"]["topic"]
# No reader has this one.
UNGRANTED = CARD["simulator"]["staticTopic"]
VISIT = CARD["simulator"]["alerts"]
BROKERS = {b["id"]: b["address"] for b in CARD["kafka"]["brokers"]}
VERSIONS = CARD["registry"]["versions"]
SUBJECT = CARD["registry"]["subject"]
# Enough for any single wait of a check.
DEADLINE = 30.0

_checks = []


def check(sentence):
    """Register a check under its sentence."""

    def register(function):
        _checks.append((function.__name__.replace("_", "-"), sentence, function))
        return function

    return register


def run(version):
    """Run the checks that the command line names, all without one; exit 1 on failure."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**line):
        out.write(json.dumps(line) + "\n")
        out.flush()

    wanted = sys.argv[1:]
    unknown = set(wanted) - {name for name, _, _ in _checks}
    chosen = [c for c in _checks if not wanted or c[0] in wanted]
    say(version=version, plan=[name for name, _, _ in chosen], unknown=sorted(unknown))
    failed = bool(unknown)
    for name, sentence, function in chosen:
        began = time.monotonic()
        line = {"check": name, "sentence": sentence}
        try:
            line["evidence"] = function() or ""
        except BaseException as error:  # a check must not take the others along
            failed = True
            traceback.print_exc()
            line["error"] = f"{type(error).__name__}: {error}"
            if isinstance(error, KeyboardInterrupt):
                raise
        line["seconds"] = time.monotonic() - began
        say(**line)
    out.close()
    sys.stderr.flush()
    # Background threads of a client must not hold the program.
    os._exit(1 if failed else 0)


def equal(got, want, what):
    """Assert with both sides in the message, as far as they can be read."""
    assert got == want, f"{what}: got {repr(got)[:300]}, want {repr(want)[:300]}"


def until(condition, what, seconds=DEADLINE, every=0.05):
    """Wait for a condition that nothing announces; give its first true value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"after {seconds:.0f} s still not: {what}"
        time.sleep(every)


def unique(name):
    """A name that no earlier run of the program has used."""
    return f"{name}-{time.time_ns():x}"


def schema_id(version):
    """The fixed id of an alert schema version: major * 100 + minor."""
    major, minor = version.split(".")
    return int(major) * 100 + int(minor)


def wire(value):
    """Split a message in Confluent's wire format into schema id and Avro body."""
    magic, number = struct.unpack(">bI", value[:5])
    equal(magic, 0, "first byte")
    return number, value[5:]


def first_long(body):
    """The long with which an Avro body begins: the id, in every alert schema."""
    number, shift = 0, 0
    for byte in body:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1)
    raise AssertionError("the body ends within its first number")


def alertlab(*words):
    """Run the lab's own program; give its standard output."""
    done = subprocess.run([ENV["ALERTLAB_BINARY"], *words], capture_output=True)
    assert done.returncode == 0, f"alertlab {' '.join(words)}: exit {done.returncode}: {done.stderr.decode()}"
    return done.stdout


def librdkafka(admin=False, **more):
    """Settings for confluent-kafka; names are written with _ for a dot."""
    prefix = "ADMIN_" if admin else ""
    settings = {
        "bootstrap.servers": ENV["KAFKA_BOOTSTRAP_SERVERS"],
        "security.protocol": ENV["KAFKA_SECURITY_PROTOCOL"],
        "sasl.mechanism": ENV["KAFKA_SASL_MECHANISM"],
        "sasl.username": ENV[prefix + "KAFKA_USERNAME"],
        "sasl.password": ENV[prefix + "KAFKA_PASSWORD"],
    }
    if "SSL_CA_FILE" in ENV:
        settings["ssl.ca.location"] = ENV["SSL_CA_FILE"]
    for name, value in more.items():
        settings[name.replace("_", ".")] = value
    return settings


class topic_of_ours:
    """A topic for one check; settings are written with _ for a dot."""

    def __init__(self, partitions, **settings):
        from confluent_kafka.admin import AdminClient, NewTopic

        self.name = unique("clients")
        self.admin = AdminClient(librdkafka(admin=True))
        config = {name.replace("_", "."): value for name, value in settings.items()}
        self.new = NewTopic(self.name, num_partitions=partitions, replication_factor=1, config=config)

    def __enter__(self):
        self.admin.create_topics([self.new])[self.name].result(DEADLINE)
        until(lambda: self.name in self.admin.list_topics(timeout=5).topics, "the topic is listed")
        return self.name

    def __exit__(self, *_):
        self.admin.delete_topics([self.name])[self.name].result(DEADLINE)


def messages(topic=TOPIC):
    """The messages of a topic from its beginning, read as an ordinary user reads them."""
    from confluent_kafka import Consumer

    consumer = Consumer(librdkafka(group_id=unique(USER), auto_offset_reset="earliest"))
    try:
        consumer.subscribe([topic])
        end = time.monotonic() + DEADLINE
        while True:
            assert time.monotonic() < end, f"no message of {topic} for {DEADLINE:.0f} s"
            message = consumer.poll(0.2)
            if message is not None:
                assert message.error() is None, message.error()
                yield message
                end = time.monotonic() + DEADLINE
    finally:
        consumer.close()


def visit():
    """One message for each alert of a visit; visits are repeated, so copies are left out."""
    seen = {}
    for message in messages():
        seen.setdefault(message.value(), message)
        if len(seen) == VISIT:
            return list(seen.values())


def goes_through(path, number):
    """Load a file of one alert, play it, and wait until the alert database gives it back.

    What it should give is made without alertlab: the bytes of the file's datum
    behind a header with the schema id.
    """
    import gzip

    import fastavro
    import requests

    with open(path, "rb") as file:
        blocks = list(fastavro.block_reader(file))
    equal([b.num_records for b in blocks], [1], f"alerts of {path}")
    want = struct.pack(">bI", 0, number) + blocks[0].bytes_.read()
    with open(path, "rb") as file:
        alert = next(fastavro.reader(file))
    name = alert["alertId"] if "alertId" in alert else alert["diaSourceId"]
    alertlab("simulator", "create", "-q", path)
    alertlab("simulator", "play")

    # All samples have one id: before this one, its predecessor is there.
    def archived():
        answer = requests.get(f"{ENV['ALERTDB_URL']}/v1/alerts/{name}", timeout=5)
        return answer.status_code == 200 and gzip.decompress(answer.content) == want

    until(archived, f"alert {name} of {path} comes back byte for byte")
    return f"alert {name}, {len(want)} bytes"


def reference_sample(version):
    """The sample alert of a schema version that comes with lsst-alert-packet."""
    import lsst.alert.packet

    return os.path.join(os.path.dirname(lsst.alert.packet.__file__), "schema", *version.split("."), "sample_data", "fakeAlert.avro")


def registered(number, url=ENV["SCHEMA_REGISTRY_URL"]):
    """The text of the schema with an id, from the registry."""
    import requests

    answer = requests.get(f"{url}/schemas/ids/{number}", timeout=5)
    equal(answer.status_code, 200, f"status of schema {number}")
    return answer.json()["schema"]
