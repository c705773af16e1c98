"""The observatory's sample alerts, one file for a schema version, through the whole lab."""

import gzip
import os
import struct

import fastavro
import requests

from lab import ENV, alertlab, check, equal, run, schema_id, until

FOLDER = ENV["ALERTLAB_SAMPLES"]


def sample(version):
    """A sample as its publisher would send it, made without alertlab: the bytes of its file behind the header."""
    path = os.path.join(FOLDER, f"sample-alert-v{version}.avro")
    with open(path, "rb") as file:
        blocks = list(fastavro.block_reader(file))
    equal([b.num_records for b in blocks], [1], f"alerts of {path}")
    return path, struct.pack(">bI", 0, schema_id(version)) + blocks[0].bytes_.read()


def goes_through(version):
    path, want = sample(version)
    alertlab("simulator", "create", "-q", path)
    alertlab("simulator", "play")
    with open(path, "rb") as file:
        alert = next(fastavro.reader(file))
    number = alert["alertId"] if "alertId" in alert else alert["diaSourceId"]

    # All samples have one id: before this one, its predecessor is there.
    def archived():
        answer = requests.get(f"{ENV['ALERTDB_URL']}/v1/alerts/{number}", timeout=5)
        return answer.status_code == 200 and gzip.decompress(answer.content) == want

    until(archived, f"alert {number} of {path} comes back byte for byte")
    return f"alert {number}, {len(want)} bytes"


@check("the sample of schema 4.0 is loaded, played and archived, byte for byte")
def v4():
    return goes_through("4.0")


@check("the sample of schema 7.4 is loaded, played and archived, byte for byte")
def v7():
    return goes_through("7.4")


@check("the sample of schema 10.0 is loaded, played and archived, byte for byte")
def v10():
    return goes_through("10.0")


@check("the lab's own visits come back")
def profile():
    alertlab("simulator", "create", "-q", "--profile")


if __name__ == "__main__":
    run(f"fastavro {fastavro.__version__}")
