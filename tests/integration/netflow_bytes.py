"""NetFlow v9 and v5 messages made by hand (RFC 3954), and captures of them."""

import struct

EXPORT_TIME = 1700000000
UPTIME = 7200000  # ms


def v9(*flowsets, sequence=0, domain=1, uptime=UPTIME, time=EXPORT_TIME):
    return struct.pack(">HHIIII", 9, len(flowsets), uptime, time, sequence,
                       domain) + b"".join(flowsets)


def flowset(number, body):
    body += bytes(-len(body) % 4)
    return struct.pack(">HH", number, 4 + len(body)) + body


def template(number, fields):
    """A template flowset; fields: (type, length) each."""
    return flowset(0, struct.pack(">HH", number, len(fields)) + b"".join(
        struct.pack(">HH", *field) for field in fields))


def options_template(number, scopes, fields):
    return flowset(1, struct.pack(">HHH", number, 4 * len(scopes), 4 * len(fields))
                   + b"".join(struct.pack(">HH", *field) for field in (*scopes, *fields)))


def v5(*records, sequence=0, engine=0, sampling=0, uptime=UPTIME, time=EXPORT_TIME,
       count=None):
    return struct.pack(">HHIIIIHH", 5, len(records) if count is None else count, uptime,
                       time, 0, sequence, engine, sampling) + b"".join(records)


def v5_record(source, destination, packets, octets, first=UPTIME - 3000, last=UPTIME - 1000,
              ports=(1024, 80), protocol=6, flags=0x1b, interfaces=(1, 2)):
    return struct.pack(">4s4s4sHHIIIIHHBBBBHHBBH", source, destination, bytes(4),
                       *interfaces, packets, octets, first, last, *ports, 0, flags,
                       protocol, 0, 0, 0, 24, 24, 0)


def write_capture(path, payloads, source=(192, 0, 2, 1)):
    """Datagrams from one sender, one a second."""
    with path.open("wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
        for number, payload in enumerate(payloads):
            packet = struct.pack(">BBHHHBBH4s4sHHHH", 0x45, 0, 28 + len(payload), number, 0,
                                 64, 17, 0, bytes(source), bytes((192, 0, 2, 200)),
                                 2055, 2055, 8 + len(payload), 0) + payload
            f.write(struct.pack("<IIII", EXPORT_TIME + number, 0, len(packet), len(packet))
                    + packet)
    return path
