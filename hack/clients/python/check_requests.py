"""requests: the alert database and the registry's read-only address, over plain HTTP."""

import gzip
import io
import json

import fastavro
import requests

from lab import CARD, ENV, check, equal, registered, run, schema_id, until, visit, wire

ALERTDB, REGISTRY = ENV["ALERTDB_URL"] + "/v1", ENV["SCHEMA_REGISTRY_URL"]


@check("the alert database gives every alert of a visit back byte for byte, gzipped, with the reference's content type")
def alerts():
    schema = fastavro.parse_schema(json.loads(registered(schema_id(CARD["simulator"]["schema"]))))
    sent = {}
    for message in visit():
        alert = fastavro.schemaless_reader(io.BytesIO(wire(message.value())[1]), schema)
        sent[alert["diaSourceId"]] = message.value()
    for number, value in sent.items():
        url = f"{ALERTDB}/alerts/{number}"
        until(lambda: requests.get(url, timeout=5).status_code == 200, f"alert {number} is archived")
        answer = requests.get(url, timeout=5)
        equal(answer.headers["Content-Type"], "application/octet-stream", "content type")
        # No client library may undo the compression on its way.
        assert "Content-Encoding" not in answer.headers, answer.headers
        equal(gzip.decompress(answer.content) == value, True, f"alert {number} is the message")
    return f"{len(sent)} alerts"


@check("it answers health, and serves the schema as it is registered")
def schema():
    answer = requests.get(f"{ALERTDB}/health", timeout=5)
    equal((answer.status_code, answer.text), (200, "OK"), "health")
    number = schema_id(CARD["simulator"]["schema"])
    answer = requests.get(f"{ALERTDB}/schemas/{number}", timeout=5)
    equal(answer.headers["Content-Type"], "application/vnd.schemaregistry.v1+json", "content type")
    equal(answer.text, registered(number), f"schema {number}")


@check("what it does not have is told in the reference's words, and other methods are refused")
def unknown():
    for path, detail in (("alerts/1", "alert not found"), ("schemas/1", "schema not found")):
        answer = requests.get(f"{ALERTDB}/{path}", timeout=5)
        equal((answer.status_code, answer.json()), (404, {"detail": detail}), path)
    for method in ("post", "put", "delete"):
        answer = requests.request(method, f"{ALERTDB}/alerts/1", data=b"x", timeout=5)
        equal(answer.status_code, 405, f"status of {method}")


@check("the registry's read-only address answers GET and HEAD, and 403 to everything else")
def read_only():
    number = schema_id(CARD["simulator"]["schema"])
    answer = requests.get(f"{REGISTRY}/schemas/ids/{number}", timeout=5)
    equal(answer.headers["Content-Type"], "application/vnd.schemaregistry.v1+json", "content type")
    # A JSON text within JSON.
    equal(json.loads(answer.json()["schema"])["name"], f"lsst.v{CARD['simulator']['schema'].replace('.', '_')}.alert", "name")
    equal(requests.head(f"{REGISTRY}/schemas/ids/{number}", timeout=5).status_code, 200, "status of HEAD")
    for method in ("post", "put", "patch", "delete", "options"):
        for path in ("subjects/alert-packet/versions", "mode/alert-packet", "config"):
            answer = requests.request(method, f"{REGISTRY}/{path}", json={}, timeout=5)
            equal(answer.status_code, 403, f"status of {method} {path}")
    equal(requests.get(f"{REGISTRY}/schemas/ids/1", timeout=5).json()["error_code"], 40403, "error code of an unknown id")


if __name__ == "__main__":
    run(f"requests {requests.__version__}")
