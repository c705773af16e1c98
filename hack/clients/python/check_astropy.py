"""astropy: the cutouts of alerts, which are FITS stamps."""

import io
import json
import os

import astropy
import fastavro
import numpy
from astropy.io import fits

from lab import ENV, alertlab, check, equal, registered, run, visit, wire

CUTOUTS = ("cutoutDifference", "cutoutScience", "cutoutTemplate")


def pixels(stamp, name):
    """The image of a stamp, opened as strictly as astropy can."""
    with fits.open(io.BytesIO(stamp)) as hdus:
        hdus.verify("exception")
        images = [h for h in hdus if h.data is not None and h.data.ndim == 2]
        assert images, f"{name} holds no image"
        data = numpy.array(images[0].data)
    assert data.shape[0] == data.shape[1] >= 10, f"{name} is {data.shape}"
    assert numpy.isfinite(data).all(), f"{name} has pixels that are no numbers"
    assert data.std() > 0, f"{name} is empty"
    return data


def central(data):
    """The mean of the middle, in units of the noise at the edge."""
    half = data.shape[0] // 2
    edge = numpy.concatenate([data[:3].ravel(), data[-3:].ravel(), data[:, :3].ravel(), data[:, -3:].ravel()])
    middle = data[half - 2 : half + 3, half - 2 : half + 3]
    # A mean of 25 pixels has a fifth of their noise.
    return (middle.mean() - numpy.median(edge)) / (edge.std() / 5)


@check("the three cutouts of a generated alert open, with a source in the middle of the difference")
def generated():
    path = os.path.join(ENV["ALERTLAB_CLIENTS_WORK"], "astropy.avro")
    alertlab("simulator", "generate", "--quiet", "--alerts", "30", path)
    strengths = []
    with open(path, "rb") as file:
        for alert in fastavro.reader(file):
            stamps = {name: pixels(alert[name], name) for name in CUTOUTS}
            equal(len({s.shape for s in stamps.values()}), 1, "shapes of the three")
            strengths.append(abs(central(stamps["cutoutDifference"])))
    os.remove(path)
    equal(len(strengths), 30, "alerts")
    seen = sum(s > 3 for s in strengths)
    assert seen >= 25, f"a source is seen in {seen} of 30 only: {sorted(strengths)[:10]}"
    return f"30 alerts, {stamps['cutoutScience'].shape[0]} pixels wide, a source in {seen}"


@check("the cutouts of the alerts on the topic open")
def published():
    schemas = {}
    count = 0
    for message in visit():
        number, body = wire(message.value())
        if number not in schemas:
            schemas[number] = fastavro.parse_schema(json.loads(registered(number)))
        alert = fastavro.schemaless_reader(io.BytesIO(body), schemas[number])
        for name in CUTOUTS:
            pixels(alert[name], name)
            count += 1
    return f"{count} stamps"


if __name__ == "__main__":
    run(f"astropy {astropy.__version__}, numpy {numpy.__version__}")
