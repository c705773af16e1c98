"""The reference's own program that fills a registry, from PyPI's lsst-alert-packet."""

import importlib.metadata
import io
import json
import os
import subprocess
import sys

import fastavro
import requests
from lsst.alert.packet.schemaRegistry import SchemaRegistry

from lab import ENV, SUBJECT, alertlab, check, equal, goes_through, reference_sample, registered, run, schema_id, visit, wire

URL = ENV["ADMIN_SCHEMA_REGISTRY_ADMIN_URL"]
REFERENCE = SchemaRegistry().all_schemas_from_filesystem()


def get(path):
    answer = requests.get(f"{URL}/{path}", timeout=5)
    equal(answer.status_code, 200, f"status of {path}")
    return answer.json()


def synchronise():
    program = os.path.join(os.path.dirname(sys.executable), "syncAllSchemasToRegistry")
    done = subprocess.run([program, "--schema-registry-url", URL, "--subject", SUBJECT], capture_output=True, text=True, timeout=60)
    equal(done.returncode, 0, f"exit code ({done.stderr[-500:]})")
    # It goes on after what it was refused, and says so.
    for word in ("ERROR", "FAIL", "Failed", "Error"):
        assert word not in done.stdout, done.stdout
    assert "SUCCESS: Found confluent:version" in done.stdout, done.stdout[-500:]


def as_it_should_be():
    for version in REFERENCE.known_versions:
        number = schema_id(version)
        want = fastavro.schema.to_parsing_canonical_form(REFERENCE.get_by_version(version).definition)
        held = get(f"subjects/{SUBJECT}/versions/{number}")
        equal((held["id"], held["version"]), (number, number), f"{SUBJECT} {number}")
        equal(held["schema"] == want, True, f"{SUBJECT} {number} is the reference's")
        subject = f"lsst-alerts-v{version}-value"
        latest = get(f"subjects/{subject}/versions/latest")
        # The id of equal content, though it came with metadata and without an id.
        equal((latest["id"], latest["version"]), (number, 1), subject)
        equal(latest["metadata"], {"properties": {"confluent:version": str(number)}}, f"metadata of {subject}")
        equal(registered(number), want, f"schema {number} by the read-only address")
    equal(get(f"subjects/{SUBJECT}/versions"), sorted(map(schema_id, REFERENCE.known_versions)), "versions")
    equal(get(f"mode/{SUBJECT}"), {"mode": "READWRITE"}, "mode")


@check("the program runs against the lab's registry, and both kinds of subject answer with the same id")
def synchronises():
    synchronise()
    as_it_should_be()
    return f"{len(REFERENCE.known_versions)} versions, {min(REFERENCE.known_ids)} to {max(REFERENCE.known_ids)}"


@check("it can be run again")
def again():
    synchronise()
    as_it_should_be()


@check("alerts that were published before are read with the schemas that it registered")
def readable():
    schemas = {}
    for message in visit():
        number, body = wire(message.value())
        if number not in schemas:
            schemas[number] = fastavro.parse_schema(json.loads(registered(number)))
        fastavro.schemaless_reader(io.BytesIO(body), schemas[number])
    return f"schema {', '.join(map(str, schemas))}"


@check("an alert of the newest version, which it registered, goes through the lab byte for byte")
def newest():
    version = max(REFERENCE.known_versions, key=schema_id)
    told = goes_through(reference_sample(version), schema_id(version))
    alertlab("simulator", "create", "-q", "--profile")
    return f"schema {version}: {told}"


@check("the lab finds nothing to mend afterwards")
def lab_agrees():
    alertlab("smoke", "--only", "schema-versions,registry-read-only")


if __name__ == "__main__":
    run(f"lsst-alert-packet {importlib.metadata.version('lsst-alert-packet')}")
