"""The observatory's sample alerts, one file for a schema version, through the whole lab.

It takes those that lsst-alert-packet brings, and where ALERTLAB_SAMPLES names a
folder with sample-alert-v4.0.avro, -v7.4 and -v10.0 those too.
"""

import importlib.metadata
import os

from lab import ENV, VERSIONS, alertlab, check, goes_through, reference_sample, run, schema_id


@check("the reference's sample of every schema version is loaded, played, archived and comes back byte for byte")
def every_version():
    for version in VERSIONS:
        goes_through(reference_sample(version), schema_id(version))
    return f"{VERSIONS[0]} to {VERSIONS[-1]}"


def of_folder(version):
    path = os.path.join(ENV["ALERTLAB_SAMPLES"], f"sample-alert-v{version}.avro")
    return goes_through(path, schema_id(version))


if "ALERTLAB_SAMPLES" in ENV:

    @check("the sample of schema 4.0 in ALERTLAB_SAMPLES comes back byte for byte")
    def v4():
        return of_folder("4.0")

    @check("the sample of schema 7.4 in ALERTLAB_SAMPLES comes back byte for byte")
    def v7():
        return of_folder("7.4")

    @check("the sample of schema 10.0 in ALERTLAB_SAMPLES comes back byte for byte")
    def v10():
        return of_folder("10.0")


@check("the lab's own visits come back")
def profile():
    alertlab("simulator", "create", "-q", "--profile")


if __name__ == "__main__":
    run(f"lsst-alert-packet {importlib.metadata.version('lsst-alert-packet')}")
