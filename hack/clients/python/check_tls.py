"""Python's own ssl, and clients that do not do what a listener with TLS asks for."""

import platform
import socket
import ssl
import struct
import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from lab import BROKERS, CARD, ENV, check, equal, librdkafka, run

ADDRESSES = [ENV["KAFKA_BOOTSTRAP_SERVERS"], *BROKERS.values()]


def split(address):
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)


def shaken(context, address):
    """The certificate and the protocol of a whole handshake."""
    with socket.create_connection(split(address), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=split(address)[0]) as conn:
            return conn.getpeercert(), conn.version()


@check("every address shows a certificate of the lab's authority, which names it")
def certificates():
    context = ssl.create_default_context(cafile=ENV["SSL_CA_FILE"])
    for address in ADDRESSES:
        certificate, protocol = shaken(context, address)
        names = {value for _, value in certificate["subjectAltName"]}
        assert {split(a)[0] for a in ADDRESSES} <= names, names
        left = ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()
        assert left > 30 * 86400, f"{left / 86400:.0f} days are left of the certificate"
    with open(ENV["SSL_CA_FILE"]) as file:
        equal(file.read(), CARD["kafka"]["ca"], "the authority on the card")
    return f"{len(ADDRESSES)} addresses, {protocol}, {len(names)} names"


@check("TLS 1.2 will do, and nothing older")
def versions():
    context = ssl.create_default_context(cafile=ENV["SSL_CA_FILE"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    equal(shaken(context, ADDRESSES[0])[1], "TLSv1.2", "protocol")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    try:
        shaken(context, ADDRESSES[0])
    except ssl.SSLError as error:
        return error.reason
    raise AssertionError("TLS 1.1 was taken")


@check("who does not trust the lab's authority, or speaks no TLS, does not get in")
def strangers():
    try:
        shaken(ssl.create_default_context(), ADDRESSES[0])
    except ssl.SSLCertVerificationError:
        pass
    else:
        raise AssertionError("the lab's certificate is one of a public authority")
    # What a client without TLS would send first: ApiVersions, version 0.
    with socket.create_connection(split(ADDRESSES[0]), timeout=10) as plain:
        plain.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
        answer = plain.recv(100)
    # An alert of TLS (RFC 8446, 6), or the end: nothing of Kafka's.
    assert answer[:1] in (b"", b"\x15"), answer
    admin = AdminClient(librdkafka(admin=True, security_protocol="SASL_PLAINTEXT", socket_timeout_ms=3000))
    try:
        admin.list_topics(timeout=3)
    except KafkaException:
        return
    raise AssertionError("librdkafka got in without TLS")


if __name__ == "__main__":
    run(f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}")
