"""fastavro: what the reference's programs and most community brokers decode alerts with."""

import importlib.metadata
import io
import json
import os

import fastavro
import requests
from lsst.alert.packet.schemaRegistry import SchemaRegistry

from lab import CARD, ENV, SUBJECT, VERSIONS, alertlab, check, equal, registered, run, schema_id, visit, wire


def decode(number, body):
    source = io.BytesIO(body)
    alert = fastavro.schemaless_reader(source, fastavro.parse_schema(json.loads(registered(number))))
    equal(source.read(), b"", "bytes behind the alert")
    return alert


@check("every schema version has the id major * 100 + minor, in both of its subjects")
def ids():
    url = ENV["SCHEMA_REGISTRY_URL"]
    for version in VERSIONS:
        number = schema_id(version)
        for place in (f"{SUBJECT}/versions/{number}", f"lsst-alerts-v{version}-value/versions/latest"):
            answer = requests.get(f"{url}/subjects/{place}", timeout=5)
            equal(answer.status_code, 200, f"status of {place}")
            equal(answer.json()["id"], number, f"id of {place}")
    equal(requests.get(f"{url}/subjects/{SUBJECT}/versions", timeout=5).json(), sorted(map(schema_id, VERSIONS)), "versions")
    return f"{len(VERSIONS)} versions"


@check("the registered texts are the reference's own schemas in canonical form, byte for byte")
def reference_schemas():
    reference = SchemaRegistry().all_schemas_from_filesystem()
    for version in VERSIONS:
        want = fastavro.schema.to_parsing_canonical_form(reference.get_by_version(version).definition)
        text = registered(schema_id(version))
        equal(text == want, True, f"schema {version} is the reference's")
    newer = sorted(set(reference.known_versions) - set(VERSIONS))
    return f"{len(VERSIONS)} schemas; the reference also has {', '.join(newer) or 'no other'}"


@check("a generated alert of every version decodes with the schema from the registry, and says the same as its file")
def every_version():
    for version in VERSIONS:
        path = os.path.join(ENV["ALERTLAB_CLIENTS_WORK"], f"fastavro-{version}.avro")
        alertlab("simulator", "generate", "--quiet", "--schema", version, "--alerts", "3", "--codec", "deflate", path)
        with open(path, "rb") as file:
            container = fastavro.reader(file)
            equal(container.writer_schema["name"], f"lsst.v{version.replace('.', '_')}.alert", "name of the schema")
            alerts = list(container)
        equal(len(alerts), 3, "alerts of the file")
        with open(path, "rb") as file:
            block = next(fastavro.block_reader(file))
            source = io.BytesIO(block.bytes_.read())
        schema = fastavro.parse_schema(json.loads(registered(schema_id(version))))
        for alert in alerts[: block.num_records]:
            got = fastavro.schemaless_reader(source, schema)
            # Canonical forms have no logical types: times are numbers there.
            equal(list(got), list(alert), "fields")
            for name in ("alertId", "diaSourceId"):
                equal(got.get(name), alert.get(name), name)
            equal(got["diaSource"], alert["diaSource"], "diaSource")
            equal(got["cutoutDifference"], alert["cutoutDifference"], "cutoutDifference")
        os.remove(path)
    return f"{VERSIONS[0]} to {VERSIONS[-1]}"


@check("the alerts of the lab decode with the schema that they name")
def lab_alerts():
    points = 0
    for message in visit():
        number, body = wire(message.value())
        equal(number, schema_id(CARD["simulator"]["schema"]), "schema id")
        alert = decode(number, body)
        equal(alert["diaSourceId"], alert["diaSource"]["diaSourceId"], "diaSourceId")
        points += len(alert["prvDiaSources"] or [])
    assert points > 0, "no alert has a light curve"
    return f"{CARD['simulator']['alerts']} alerts with {points} earlier sources"


if __name__ == "__main__":
    run(f"fastavro {fastavro.__version__}, lsst-alert-packet {importlib.metadata.version('lsst-alert-packet')}")
