"""boto3: what the reference's ingester and server store alerts with."""

import gzip
import io
import re

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from lab import ENV, VISIT, check, equal, first_long, registered, run, unique, until, visit, wire

ALERTS, SCHEMAS = ENV["ADMIN_ALERT_BUCKET"], ENV["ADMIN_SCHEMA_BUCKET"]
# As the reference's image sets it.
REFERENCE = Config(
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    s3={"addressing_style": "path"},
    retries={"max_attempts": 1},
)


def client(**more):
    return boto3.client(
        "s3",
        **{
            "endpoint_url": ENV["ADMIN_AWS_ENDPOINT_URL"],
            "region_name": ENV["ADMIN_AWS_REGION"],
            "aws_access_key_id": ENV["ADMIN_AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": ENV["ADMIN_AWS_SECRET_ACCESS_KEY"],
            "config": REFERENCE,
            **more,
        },
    )


s3 = client()


def code_of(call, **words):
    try:
        call(**words)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def keys(bucket, prefix, size=1000):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": size})
    return [o["Key"] for page in pages for o in page.get("Contents", [])]


def read(bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


@check("the lab's keys see its buckets, a community user has no keys at all")
def buckets():
    names = {b["Name"] for b in s3.list_buckets()["Buckets"]}
    assert {ALERTS, SCHEMAS} <= names, names
    equal([name for name in ENV if name.startswith("AWS_") and name.endswith("KEY_ID")], [], "keys of a community user")
    return ", ".join(sorted(names))


@check("every alert of a visit lies at v2/alerts/FIRST SIX/ID.avro.gz and holds the message byte for byte")
def alerts():
    messages = {}
    for message in visit():
        name = str(first_long(message.value()[5:]))
        messages[f"v2/alerts/{name[:6]}/{name}.avro.gz"] = message.value()
    until(lambda: set(messages) <= set(keys(ALERTS, "v2/alerts/")), "the visit is archived")
    for key, value in messages.items():
        equal(gzip.decompress(read(ALERTS, key)) == value, True, f"{key} is the message")
        metadata = s3.head_object(Bucket=ALERTS, Key=key)
        assert "ContentEncoding" not in metadata, metadata
    return f"{len(messages)} alerts"


@check("lists are the same page by page, and hold nothing that is not of the layout")
def lists():
    until(lambda: len(keys(ALERTS, "v2/alerts/")) >= VISIT, "a visit is archived")
    everything = keys(ALERTS, "")
    equal(keys(ALERTS, "", size=7), everything, "the list in pages of seven")
    equal(sorted(everything), everything, "order of the list")
    strange = [k for k in everything if not re.fullmatch(r"v2/alerts/(\d{1,6})/\1\d*\.avro\.gz", k) and not (ALERTS == SCHEMAS and k.startswith("v2/schemas/"))]
    equal(strange, [], "other keys")
    return f"{len(everything)} keys"


@check("the schema of the alerts lies at v2/schemas/ID.json and is the registry's text")
def schemas():
    found = until(lambda: keys(SCHEMAS, "v2/schemas/"), "a schema is stored")
    used = {wire(m.value())[0] for m in visit()}
    assert {f"v2/schemas/{n}.json" for n in used} <= set(found), (used, found)
    for key in found:
        number = int(re.fullmatch(r"v2/schemas/(\d+)\.json", key).group(1))
        equal(read(SCHEMAS, key).decode(), registered(number), key)
    return ", ".join(found)


@check("the lab's keys may put, overwrite, copy, upload in parts and delete in both buckets")
def put():
    for bucket in {ALERTS, SCHEMAS}:
        key = unique("clients/boto3")
        for body in (b"first", b"second " + bytes(200_000)):
            s3.put_object(Bucket=bucket, Key=key, Body=body)
            equal(read(bucket, key) == body, True, "what was put comes back")
        s3.copy_object(Bucket=bucket, Key=key + "-copy", CopySource={"Bucket": bucket, "Key": key})
        equal(read(bucket, key + "-copy") == body, True, "the copy comes back")
        # Above 8 MiB boto3 uploads in parts.
        large = bytes(9 << 20) + b"end"
        s3.upload_fileobj(io.BytesIO(large), bucket, key)
        equal(read(bucket, key) == large, True, "what was put in parts comes back")
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": key + "-copy"}]})
        equal(len(answer["Deleted"]), 2, "deleted objects")
        equal(keys(bucket, "clients/"), [], "keys afterwards")
        equal(code_of(s3.get_object, Bucket=bucket, Key=key), "NoSuchKey", "getting it afterwards")
    equal(code_of(s3.get_object, Bucket="no-such-bucket", Key="x"), "NoSuchBucket", "another bucket")


@check("nobody else may read or put: no key, an unknown key, a wrong secret")
def refused():
    strangers = {
        "no key": (client(config=REFERENCE.merge(Config(signature_version=UNSIGNED))), {"AccessDenied"}),
        "an unknown key": (client(aws_access_key_id="nobody"), {"InvalidAccessKeyId"}),
        "a wrong secret": (client(aws_secret_access_key="wrong"), {"SignatureDoesNotMatch"}),
    }
    key = until(lambda: keys(ALERTS, "v2/alerts/"), "an alert is stored")[0]
    for who, (stranger, codes) in strangers.items():
        for bucket in {ALERTS, SCHEMAS}:
            got = code_of(stranger.put_object, Bucket=bucket, Key="clients/refused", Body=b"x")
            assert got in codes, f"put with {who}: {got}"
            got = code_of(stranger.list_objects_v2, Bucket=bucket)
            assert got in codes, f"list with {who}: {got}"
            equal(keys(bucket, "clients/"), [], f"what {who} has put")
        got = code_of(stranger.get_object, Bucket=ALERTS, Key=key)
        assert got in codes, f"get with {who}: {got}"
    return ", ".join(strangers)


if __name__ == "__main__":
    run(f"boto3 {boto3.__version__}")
