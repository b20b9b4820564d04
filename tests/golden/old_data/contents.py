"""What the old store, journal and spool hold, and the records by which to tell."""

import struct

DAY = 1493164800  # 2017-04-26
COLUMNS = ("Source.IP,Source.Port,Destination.IP,Destination.Port,Protocol,Timestamp,"
           "Flow.Duration,Total.Fwd.Packets,Total.Backward.Packets,"
           "Total.Length.of.Fwd.Packets,Total.Length.of.Bwd.Packets\n")
# Rows of the traces that flowpair-exporter sent: where they were left.
STORED, JOURNALLED, SPOOLED = 300, 200, 250
TABLES = ("pairs", "services", "exporters")
# A sender without a certificate: as many records of one flow as fill two segments of the
# journal, so that the template of the last ones is only in what the third begins with.
FILLER, FILLER_RECORDS, LAST = 140, 1200, 30
SEGMENT, JOURNAL = 4 << 20, 16 << 20
# start and end in ms, addresses, ports, protocol, packets and octets of both sides
FIELDS = [(152, 8), (153, 8), (8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (2, 4), (1, 8),
          (0x8002, 4), (0x8001, 8)]
RECORD = struct.Struct(">QQIIHHBIQIQ")


def collector_words(folder):
    """The options of the collector that wrote them, and of one that goes on."""
    words = ["--listen", "tls://127.0.0.1:0", "--listen", "tcp://127.0.0.1:0",
             "--store", folder / "store", "--flush-interval", "1h", "--lateness", "30000d",
             "--segment-size", SEGMENT, "--journal-size", JOURNAL,
             "--port-file", folder / "ports"]
    for table in TABLES:
        words += ["--tables", table]
    return words


def write_trace(path, part, rows):
    """Part 0: stored, 1: journalled, 2: spooled."""
    path.write_text(COLUMNS + "".join(
        f"10.{part}.{i >> 8 & 255}.{i & 255},1024,10.200.0.1,443,6,26/04/201711:11:17,"
        f"100,3,4,{500 + i},600\n" for i in range(rows)))


def message(sequence, number, data):
    body = struct.pack(">HH", number, 4 + len(data)) + data
    return struct.pack(">HHIII", 10, 16 + len(body), DAY, sequence, 1) + body


def template():
    data = struct.pack(">HH", 256, len(FIELDS))
    for element, length in FIELDS:
        data += struct.pack(">HH", element, length)
        if element & 0x8000:
            data += struct.pack(">I", 29305)
    return message(0, 2, data)


def record(source):
    return RECORD.pack(DAY * 1000, DAY * 1000 + 5, source, 0x0ac80001, 1024, 443, 6, 3, 500,
                       4, 600)


def filler():
    data = record(0x0a090000) * FILLER_RECORDS
    for i in range(FILLER):
        yield message(i * FILLER_RECORDS, 256, data)


def last():
    return message(FILLER * FILLER_RECORDS, 256,
                   b"".join(record(0x0a0a0000 + i) for i in range(LAST)))


def pairs():
    """Packets and octets of both sides of every pair, by source."""
    rows = {f"10.{part}.{i >> 8 & 255}.{i & 255}": (3, 500 + i, 4, 600)
            for part, count in enumerate((STORED, JOURNALLED, SPOOLED)) for i in range(count)}
    many = FILLER * FILLER_RECORDS
    rows["10.9.0.0"] = (3 * many, 500 * many, 4 * many, 600 * many)
    rows |= {f"10.10.0.{i}": (3, 500, 4, 600) for i in range(LAST)}
    return rows
