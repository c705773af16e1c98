"""kcat from the distribution: an older librdkafka, and what operators type."""

import gzip
import json
import re
import subprocess

import requests

from lab import BROKERS, CARD, ENV, OTHER, TOPIC, UNGRANTED, USER, check, equal, first_long, run, schema_id, topic_of_ours, unique, until, wire


def login(admin=False, **more):
    prefix = "ADMIN_" if admin else ""
    settings = {
        "security.protocol": ENV["KAFKA_SECURITY_PROTOCOL"],
        "sasl.mechanisms": ENV["KAFKA_SASL_MECHANISM"],
        "sasl.username": ENV[prefix + "KAFKA_USERNAME"],
        "sasl.password": ENV[prefix + "KAFKA_PASSWORD"],
        **({"ssl.ca.location": ENV["SSL_CA_FILE"]} if "SSL_CA_FILE" in ENV else {}),
        **more,
    }
    words = ["-b", ENV["KAFKA_BOOTSTRAP_SERVERS"]]
    for name, value in settings.items():
        words += ["-X", f"{name}={value}"]
    return words


def kcat(*words, **more):
    return subprocess.run(["kcat", *words], capture_output=True, timeout=30, **more)


def good(*words, **more):
    done = kcat(*words, **more)
    equal(done.returncode, 0, f"exit code of kcat {words[0]} ({done.stderr.decode()[-300:]})")
    return done.stdout


@check("kcat -L lists every broker at its own address, to a community user with its topic alone")
def metadata():
    listed = json.loads(good("-L", "-J", *login()))
    equal({b["id"]: b["name"] for b in listed["brokers"]}, BROKERS, "brokers")
    equal([t["topic"] for t in listed["topics"]], [TOPIC], f"topics that {USER} sees")
    assert listed["controllerid"] in BROKERS, listed["controllerid"]
    everything = {t["topic"] for t in json.loads(good("-L", "-J", *login(admin=True)))["topics"]}
    assert {TOPIC, UNGRANTED} <= everything, everything
    return f"{len(listed['brokers'])} brokers, {len(listed['topics'][0]['partitions'])} partitions"


@check("a wrong password is refused as such")
def wrong_password():
    done = kcat("-L", "-m", "2", *login(**{"sasl.password": "wrong"}))
    assert done.returncode != 0, "it got in"
    assert b"Authentication failed" in done.stderr, done.stderr
    return f"exit {done.returncode}"


@check("one alert is consumed, the same that the alert database has")
def consume():
    value = good("-C", "-t", TOPIC, "-o", "beginning", "-c", "1", "-e", "-q", "-D", "", *login())
    equal(wire(value)[0], schema_id(CARD["simulator"]["schema"]), "schema id")
    name = first_long(value[5:])
    url = f"{ENV['ALERTDB_URL']}/v1/alerts/{name}"
    until(lambda: requests.get(url, timeout=5).status_code == 200, f"alert {name} is archived")
    stored = requests.get(url, timeout=5)
    equal(gzip.decompress(stored.content) == value, True, "the stored alert is the consumed one")
    return f"alert {name}, {len(value)} bytes"


@check("what is refused to a community user is refused to kcat")
def refused():
    done = kcat("-C", "-t", UNGRANTED, "-o", "beginning", "-c", "1", "-e", *login())
    assert done.returncode != 0 and b"authorization failed" in done.stderr.lower(), done.stderr
    done = kcat("-G", unique(OTHER), "-c", "1", *login(), TOPIC)
    assert done.returncode != 0 and b"group authorization failed" in done.stderr.lower(), done.stderr
    done = kcat("-P", "-t", TOPIC, *login(), input=b"x")
    assert b"authorization failed" in done.stderr.lower(), done.stderr


@check("what kcat produces kcat consumes, with keys and headers, compressed, alone and in a group")
def produce():
    lines = [f"{i}:value {i}" for i in range(200)]
    # kcat makes no topics, and the lab makes none on the fly.
    with topic_of_ours(1) as name:
        for codec in ("gzip", "snappy", "lz4", "zstd"):
            words = ["-P", "-t", name, "-K", ":", "-H", "from=kcat", "-z", codec, "-d", "msg", *login(admin=True)]
            done = kcat(*words, input="\n".join(lines).encode())
            equal(done.returncode, 0, f"exit code of kcat -P ({done.stderr.decode()[-300:]})")
            # It goes without where it believes that the brokers know no compression.
            assert f", {codec})".encode() in done.stderr and b"uncompressed)" not in done.stderr, done.stderr.decode()[-1000:]
        got = good("-C", "-t", name, "-o", "beginning", "-e", "-q", "-f", "%k:%s %h\n", *login(admin=True)).decode().splitlines()
        equal(got, [line + " from=kcat" for line in 4 * lines], "messages")
        member = good("-G", unique("clients"), "-e", "-q", "-f", "%k:%s\n", *login(admin=True, **{"auto.offset.reset": "earliest"}), name)
        equal(member.decode().splitlines(), 4 * lines, "messages in a group")
        ends = good("-Q", "-t", f"{name}:0:-1", *login(admin=True)).decode()
        equal(re.search(r"\[0\] offset (\d+)", ends).group(1), str(len(got)), "offset of the end")
    return f"{len(got)} messages, four codecs"


if __name__ == "__main__":
    version = subprocess.run(["kcat", "-V"], capture_output=True, text=True).stdout
    kcat_version, library = re.search(r"Version ([\d.]+).*librdkafka ([\d.]+)", version, re.S).groups()
    run(f"kcat {kcat_version}, librdkafka {library}")
