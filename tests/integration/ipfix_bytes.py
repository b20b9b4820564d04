"""IPFIX messages made by hand (RFC 7011), well-formed or not."""

import struct


def message(*sets, domain=1, sequence=0, time=1700000000, length=None):
    body = b"".join(sets)
    size = 16 + len(body) if length is None else length
    return struct.pack(">HHIII", 10, size & 0xffff, time, sequence & 0xffffffff,
                       domain) + body


def ipfix_set(number, body):
    return struct.pack(">HH", number, (4 + len(body)) & 0xffff) + body


def template(number, fields):
    """fields: (element, length) each."""
    return struct.pack(">HH", number, len(fields)) + b"".join(
        struct.pack(">HH", *field) for field in fields)


def messages(stream):
    """A stream's messages, as bytearrays."""
    found, at = [], 0
    while at + 16 <= len(stream):
        length = struct.unpack_from(">H", stream, at + 2)[0]
        found.append(bytearray(stream[at:at + length]))
        at += length
    return found
