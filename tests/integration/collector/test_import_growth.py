"""Files that have changed since they were imported: what has grown adds only what is new,
and what has changed otherwise is said plainly."""

import gzip
import json
import signal
import struct

import pytest

from test_collector import (database, ip, messages, pcap,  # noqa: F401
                            imports, records_of, udp)


def capture(path):
    return pcap(path, [ip(udp(part), source) for part in messages(20)
                       for source in ("192.0.2.1", "192.0.2.2")]).read_bytes()


def capture_ng(path):
    """The same in pcapng."""
    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
    packets = [ip(udp(part), source) for part in messages(20)
               for source in ("192.0.2.1", "192.0.2.2")]
    data = block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1))
    data += block(1, struct.pack("<HHI", 101, 0, 65535))
    for i, packet in enumerate(packets):
        data += block(6, struct.pack("<IIIII", 0, 0x58f, i, len(packet), len(packet)) + packet)
    return data


def ipfix(path):
    return b"".join(messages(40))


def netflow5(path):
    """Datagrams back to back, ten records each."""
    out = b""
    for i in range(40):
        out += struct.pack(">HHIIIIBBH", 5, 10, 1000, 1493164800, 0, i * 10, 0, 0, 0)
        for n in range(10):
            out += struct.pack(">IIIHHIIIIHHBBBBHHBBH", 0x0a000001 + i, 0x0a000100 + n, 0, 0, 0,
                               10, 1000, 500, 600, 1024 + n, 80, 0, 0x18, 6, 0, 0, 0, 0, 0, 0)
    return out


KINDS = (capture, capture_ng, ipfix, netflow5)
RECORDS = 400


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_has_grown_adds_only_what_is_new(imports, tmp_path, kind):
    whole = kind(tmp_path / "whole")
    file, store = tmp_path / "f", tmp_path / "store"
    total = 0
    # Nowhere near the ends of packets and messages.
    for cut in (len(whole) // 3, len(whole) // 3 + 5, len(whole) // 2 + 1, len(whole)):
        file.write_bytes(whole[:cut])
        summary, said = imports(file)
        assert summary["files_continued"] == (total > 0) and summary["lost"] == 0, said
        assert ("bytes were imported before" in said) == (total > 0)
        assert "does not start with" not in said
        total += summary["records"]
        assert records_of(store) == total
        again, said = imports(file)
        assert (again["files_already"], again["records"]) == (1, 0), said
    assert total == RECORDS


def test_rows_are_those_of_one_import(imports, tmp_path):
    whole = ipfix(None)
    file = tmp_path / "f.ipfix"
    for cut in (len(whole) // 5, len(whole) // 4, len(whole)):
        file.write_bytes(whole[:cut])
        imports(file)
    grown = dump(tmp_path / "store")
    (tmp_path / "store").rename(tmp_path / "before")
    imports(file)
    assert grown == dump(tmp_path / "store") != []


def dump(store):
    """Rows of all tables, those of days by their views, which merge what came in parts."""
    tables = [(store / "flowpair.sqlite", name) for name in ("services", "exporters")]
    tables += [(day, day.name.split("-")[0]) for day in sorted(store.glob("*-20*.sqlite"))]
    out = []
    for file, name in tables:
        with database(file) as db:
            out += sorted(db.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
    return out


def test_compression_and_name_make_no_difference(imports, tmp_path):
    whole = capture(tmp_path / "whole")
    (tmp_path / "a.pcap").write_bytes(whole[:len(whole) // 2])
    (tmp_path / "b.pcap.gz").write_bytes(gzip.compress(whole))
    imports(tmp_path / "a.pcap")
    summary, said = imports(tmp_path / "b.pcap.gz")
    assert f"its first {len(whole) // 2} bytes were imported before" in said
    assert summary["files_continued"] == 1
    assert records_of(tmp_path / "store") == RECORDS


def test_what_is_no_continuation_is_said_and_imported_in_full(imports, tmp_path):
    whole = capture(tmp_path / "whole")
    file, store = tmp_path / "f.pcap", tmp_path / "store"
    half = len(whole) // 2
    file.write_bytes(whole[:half])
    first, said = imports(file)
    assert "does not start with" not in said
    # One byte of the old content differs: a time of arrival.
    changed = bytearray(whole)
    changed[24] ^= 1
    file.write_bytes(changed)
    summary, said = imports(file)
    assert (f"f.pcap: does not start with the {half} bytes imported from it before; "
            "imported all of it\n") in said
    assert summary["records"] == RECORDS and summary["files_continued"] == 0
    assert records_of(store) == first["records"] + RECORDS


def test_a_truncated_file_is_said_to_be_one(imports, tmp_path):
    whole = capture(tmp_path / "whole")
    file = tmp_path / "f.pcap"
    file.write_bytes(whole)
    imports(file)
    file.write_bytes(whole[:len(whole) // 2])
    summary, said = imports(file)
    assert f"does not start with the {len(whole)} bytes imported from it before" in said
    assert summary["records"] > 0
    # Grown again to what it was: known.
    file.write_bytes(whole)
    summary, said = imports(file)
    assert (summary["files_already"], summary["records"]) == (1, 0)
    # Longer than what it was: only that is new, however often it was cut before.
    file.write_bytes(whole + whole[24:])
    summary, said = imports(file)
    assert summary["files_continued"] == 1 and "does not start with" not in said
    assert summary["messages"] == 42


def test_an_import_that_was_stopped_goes_on_in_the_grown_file(programs, start, imports,
                                                              tmp_path, wait_for):
    parts = messages(60000)
    file, store = tmp_path / "f.ipfix", tmp_path / "store"
    file.write_bytes(b"".join(parts[:40000]))
    process = start(programs.collector, "-r", file, "--store", store, "--max-keys", "1000",
                    "--summary", "json")
    wait_for(lambda: records_stored(store), "rows in the store")
    process.stop(signal.SIGINT, status=None)
    stopped = process.process.returncode != 0
    first = json.loads(process.stdout)["records"]
    file.write_bytes(b"".join(parts))
    second, said = imports(file)
    assert second["files_continued"] == 1, said
    assert first + second["records"] == records_of(store) == 600000
    assert not stopped or first < 400000
    file.write_bytes(b"".join(parts[:40000]))
    assert imports(file)[0]["files_already"] == 1


def records_stored(store):
    try:
        return records_of(store)
    except Exception:  # not made yet
        return 0
