"""dtls+udp through the real programs, where nobody hears that the other end has gone:
collectors and exporters that are killed and come back, and crowds that only knock."""

import json
import os
import random
import socket
import time

import pytest

import chaos_world as chaos
from stores import Store
from conftest import wait_for
from test_chaos import Site, arrived, feed, finish
from test_tls import Collector, identities  # noqa: F401  (fixture)


class Exporter:
    """An exporter that reads rows as they are put into its pipe."""

    def __init__(self, start, programs, folder, identities, to, number=1):
        self.number, self.written = number, 0
        pipe = folder / f"rows-{number}-{time.monotonic_ns()}"
        os.mkfifo(pipe)
        self.process = start(
            programs.exporter, "--trace-csv", pipe, "--to", to, "--ca", identities.ca,
            "--certificate", identities.folder / "client.pem", "--key",
            identities.folder / "client.key", "--give-up", "20s", "--summary", "json")
        self.pipe = open(pipe, "w", encoding="ascii")
        self.pipe.write(chaos.HEADER)
        self.put(1)

    def put(self, count):
        for _ in range(count):
            self.pipe.write(chaos.row(self.number, 1, self.written))
            self.written += 1
        self.pipe.flush()

    def finish(self):
        self.pipe.close()
        self.process.wait(timeout=60)
        return json.loads(self.process.stdout)["sender"]


@pytest.fixture
def begin(start, programs, tmp_path, identities):
    def collector(*options, port=0, host="127.0.0.1"):
        return Collector(start, programs, tmp_path, *identities.options("server"),
                         "--summary", "json", *options,
                         listen=f"dtls+udp://{host}:{port}")
    return collector


@pytest.fixture
def export(start, programs, tmp_path, identities):
    def exporter(port, number=1, host="127.0.0.1"):
        return Exporter(start, programs, tmp_path, identities,
                        f"dtls+udp://{host}:{port}", number)
    return exporter


def stop(collector):
    collector.process.stop()
    return json.loads(collector.process.stdout)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_exporters_that_crash_do_not_fill_the_room_of_their_address(begin, export, host):
    c = begin("--max-peers-per-address", "2", "--handshake-timeout", "300ms", host=host)
    for run in range(5):
        e = export(c.port, run + 1, host)
        e.put(10)
        e.process.wait_line("connected to")
        time.sleep(0.4)
        if run < 4:
            e.process.kill()
    assert e.finish()["connects"] == 1
    summary = stop(c)
    assert summary["refused"]["address-full"] == 0
    assert summary["refused"]["idle"] == 3


def test_a_session_that_is_silent_ends_and_begins_again(begin, export):
    c = begin("--udp-idle", "1s")
    e = export(c.port)
    e.put(10)
    c.process.wait_line(r"lost .*: silent for 1 s")
    e.process.wait_line("closed the connection")
    counted = e.finish()
    summary = stop(c)
    assert counted["connects"] >= 2
    assert summary["refused"]["idle"] >= 1
    assert summary["records"] == counted["records"] == e.written


def test_a_collector_that_crashes_and_returns_loses_only_what_was_under_way(
        programs, start, run, free_port, tmp_path, identities):
    """The exporter learns of it by ICMP, or by a datagram that the new collector cannot
    read, and opens another session.  Each session has sequence numbers of its own, so
    nobody can number what a broken one takes with it: nothing else is lost, and nothing
    arrives twice."""
    chance = random.Random(3)
    site = Site(programs, start, free_port(), tmp_path / "store", "dtls+udp://",
                identities.options("server"))
    trace = feed(tmp_path)
    exporter = start(
        programs.exporter, "--trace-csv", trace.path, "--to", site.uri, "--message-size",
        "600", "--summary", "json", *identities.options("client"))
    exporter.wait_line("connected to")
    parts = []  # what was written from one session to the next
    for crash in range(6):
        begun = trace.written
        time.sleep(chance.uniform(0.4, 0.6))
        site.crash(chance.uniform(0, 0.3))
        wait_for(lambda: told(exporter) == crash + 2, "the exporter to notice")
        parts.append(range(begun, trace.written))
    begun = trace.written
    time.sleep(0.5)
    said = finish(trace, exporter)
    time.sleep(0.5)
    site.process.stop()
    store = Store(programs, run, site.folder)
    stored = arrived(store)[1, 1]
    [(records, lost)] = store.columns("exporters", "records,lost")
    assert said["connects"] == 7
    assert set(stored.values()) == {1}
    assert said["records"] == trace.written
    assert (records, lost) == (len(stored), 0)
    assert all(stored.keys() & set(part) for part in parts)
    assert stored.keys() >= set(range(begun, trace.written))


def told(exporter):
    return sum("connected to" in line for line in exporter.lines)


def extension(kind, *values):
    body = b"".join(value.to_bytes(2, "big") for value in values)
    body = len(body).to_bytes(2, "big") + body
    return kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body


def client_hello(random_bytes, cookie=b""):
    """RFC 6347 section 4.2.1: ECDHE-ECDSA and ECDHE-RSA with AES-GCM, P-256."""
    ciphers = b"\xc0\x2c\xc0\x2b\xc0\x30\xc0\x2f"
    more = extension(10, 23) + extension(13, 0x0403, 0x0804, 0x0401)
    body = (b"\xfe\xfd" + random_bytes + b"\x00" + bytes([len(cookie)]) + cookie
            + len(ciphers).to_bytes(2, "big") + ciphers + b"\x01\x00"
            + len(more).to_bytes(2, "big") + more)
    number = 1 if cookie else 0
    message = (b"\x01" + len(body).to_bytes(3, "big") + number.to_bytes(2, "big")
               + bytes(3) + len(body).to_bytes(3, "big") + body)
    return (b"\x16\xfe\xff" + bytes(2) + number.to_bytes(6, "big")
            + len(message).to_bytes(2, "big") + message)


def knock(port, cookie_shown):
    """A socket that says hello, once more with the cookie that it is given, and nothing
    more."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(20)
    s.connect(("127.0.0.1", port))
    mine = os.urandom(32)
    s.send(client_hello(mine))
    answer = s.recv(4096)
    assert answer[13] == 3 and len(answer) < len(client_hello(mine))
    if cookie_shown:
        s.send(client_hello(mine, answer[28:28 + answer[27]]))
        assert s.recv(4096)[13] == 2  # ServerHello
    return s


def memory(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status
                    if line.startswith("VmRSS"))


def test_a_crowd_that_only_knocks_keeps_nobody_out_and_little_memory(
        begin, export):
    c = begin("--handshake-timeout", "2s")
    e = export(c.port)
    e.process.wait_line("connected to")
    before = memory(c.process)
    for _ in range(1000):
        knock(c.port, cookie_shown=False).close()
        e.put(1)
    # Tables and journal begin to be used, in pages of 2 MiB; a session takes 22 kB.
    assert memory(c.process) - before < 12 << 20
    held = []  # else another might get its port
    for _ in range(900):
        held.append(knock(c.port, cookie_shown=True))
        e.put(1)
    assert memory(c.process) - before < 64 << 20
    for each in held:
        each.close()
    late = export(c.port, 2)  # who comes now gets in
    late.put(10)
    assert late.finish()["connects"] == 1
    c.process.wait_line("no handshake within 2 s")
    time.sleep(3)
    assert e.finish()["connects"] == 1
    summary = stop(c)
    assert summary["connections"] == 902
    refused = summary["refused"]
    assert refused["half-open"] + refused["no-handshake"] == 900
    assert refused["no-handshake"] > 0
    assert summary["records"] == e.written + late.written
    assert summary["lost"] == 0
