#!/usr/bin/python3
"""Reads IPFIX messages and prints their data records as text: a reader of its own, so
that the golden tests judge the exporter by the wire alone.

usage: dump.py FILE
"""
import ipaddress
import os
import struct
import sys
import xml.etree.ElementTree as ElementTree

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NTP = 2208988800  # 1900 to 1970
REVERSE = 29305

# IANA elements that the exporter sends (RFC 5102, RFC 5103): name and how to read it.
IANA = {
    1: ("octetDeltaCount", "u"), 2: ("packetDeltaCount", "u"),
    4: ("protocolIdentifier", "u"), 5: ("ipClassOfService", "u"), 6: ("tcpControlBits", "x"),
    7: ("sourceTransportPort", "u"), 8: ("sourceIPv4Address", "a"),
    10: ("ingressInterface", "u"), 11: ("destinationTransportPort", "u"),
    12: ("destinationIPv4Address", "a"), 27: ("sourceIPv6Address", "a"),
    28: ("destinationIPv6Address", "a"), 52: ("minimumTTL", "u"), 53: ("maximumTTL", "u"),
    58: ("vlanId", "u"), 136: ("flowEndReason", "u"), 156: ("flowStartNanoseconds", "t"),
    157: ("flowEndNanoseconds", "t"), 239: ("biflowDirection", "u"),
}


def read_registry():
    """Elements of schemas/elements.xml by (enterprise number, id)."""
    names = {(0, i): v for i, v in IANA.items()}
    for r in ElementTree.parse(os.path.join(TOP, "schemas/elements.xml")).iter():
        fields = {c.tag.split("}")[-1]: (c.text or "") for c in r}
        if "elementId" in fields and "enterpriseId" in fields:
            how = {"float64": "f"}.get(fields["dataType"], "u")
            how = "x" if fields.get("dataTypeSemantics") == "flags" else how
            names[int(fields["enterpriseId"]), int(fields["elementId"])] = (
                fields["name"], how)
    return names


def name_of(names, pen, element):
    """(name, how, is reverse)"""
    if pen == REVERSE:
        return (*names.get((0, element), (f"iana{element}", "b")), True)
    if (pen, element) in names:
        return (*names[pen, element], False)
    if element & 0x4000 and (pen, element & ~0x4000) in names:
        return (*names[pen, element & ~0x4000], True)
    return f"{pen}/{element}", "b", False


def value_of(how, raw):
    if how == "u":
        return int.from_bytes(raw, "big")
    if how == "x":
        return hex(int.from_bytes(raw, "big"))
    if how == "a":
        return str(ipaddress.ip_address(raw))
    if how == "f":
        return f"{struct.unpack('>d' if len(raw) == 8 else '>f', raw)[0]:.12g}"
    if how == "t":
        seconds, fraction = struct.unpack(">II", raw)
        nanos = (fraction * 1_000_000_000 + (1 << 31)) >> 32
        return f"{seconds - NTP + nanos // 10**9}.{nanos % 10**9:09d}"
    return raw.hex()


def read_templates(body, is_options):
    while len(body) >= 4:
        number, count = struct.unpack(">HH", body[:4])
        body = body[4:]
        if is_options:
            body = body[2:]
        fields = []
        for _ in range(count):
            element, length = struct.unpack(">HH", body[:4])
            body, pen = body[4:], 0
            if element & 0x8000:
                pen, = struct.unpack(">I", body[:4])
                element, body = element & 0x7fff, body[4:]
            fields.append((pen, element, length))
        yield number, fields


def read_records(body, fields):
    while body:
        record = []
        for pen, element, length in fields:
            if length == 65535:
                length, body = body[0], body[1:]
                if length == 255:
                    length, body = int.from_bytes(body[:2], "big"), body[2:]
            if length > len(body):
                raise ValueError("a record runs over the end of its set")
            record.append((pen, element, body[:length]))
            body = body[length:]
        yield record


def read_messages(data):
    """Data records, not options records; checks framing and sequence numbers."""
    templates, options, sequence = {}, set(), 0
    while data:
        version, length, _, number, _ = struct.unpack(">HHIII", data[:16])
        if version != 10 or length > len(data):
            raise ValueError("bad message header")
        if number != sequence:
            raise ValueError(f"sequence number {number}, expected {sequence}")
        body, data = data[16:length], data[length:]
        while body:
            kind, size = struct.unpack(">HH", body[:4])
            rest, body = body[4:size], body[size:]
            if kind in (2, 3):
                for i, fields in read_templates(rest, kind == 3):
                    templates[i] = fields
                    if kind == 3:
                        options.add(i)
                continue
            for record in read_records(rest, templates[kind]):
                sequence += 1
                if kind not in options:
                    yield record


def text_of(names, record):
    """Three lines: ends and times, forward, reverse."""
    lines = ([], [], [])
    has_sides = any(name_of(names, pen, i)[2] for pen, i, _ in record)
    sides = {"octetDeltaCount", "packetDeltaCount", "ipClassOfService", "tcpControlBits",
             "minimumTTL", "maximumTTL"}
    for pen, element, raw in record:
        name, how, is_reverse = name_of(names, pen, element)
        part = 2 if is_reverse else 1 if pen != 0 or name in sides else 0
        lines[part].append(f"{name}={value_of(how, raw)}")
    labels = ("", "    forward ", "    reverse ")
    return "\n".join(label + " ".join(fields) for label, fields in zip(labels, lines)
                     if fields) + ("" if has_sides else "\n    one way")


def dump(path):
    names = read_registry()
    with open(path, "rb") as f:
        return sorted(text_of(names, r) for r in read_messages(f.read()))


if __name__ == "__main__":
    for line in dump(sys.argv[1]):
        print(line)
