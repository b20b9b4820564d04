"""Datagrams: what sends them ends up in tables, and what is lost is known to the last
record."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import struct
import time

import pytest

from stores import Store
from test_crash import FIRST_DAY, message, random_record, template

scapy = pytest.importorskip("scapy.all")

RECORDS = 10  # of a message


def data(sequence, seed, count=RECORDS, domain=1):
    chance = random.Random(seed)
    return message(sequence, domain,
                   [(256, b"".join(random_record(chance) for _ in range(count)))], FIRST_DAY)


def stream(count, seed=1):
    """A template and `count` data messages."""
    return [message(0, 1, [(2, template())], FIRST_DAY)] + [
        data(i * RECORDS, seed + i) for i in range(count)]


@pytest.fixture
def listen(programs, run, start, tmp_path):
    """listen(uri..., option=value...) starts a collector; stop() gives its summary."""
    class Listener:
        def __init__(self, *uris, more=()):
            words = [word for uri in uris or ("udp://127.0.0.1:0",)
                     for word in ("--listen", uri)]
            self.ports_file = tmp_path / "ports"
            self.ports_file.unlink(missing_ok=True)
            self.store = Store(programs, run, tmp_path / "store")
            self.process = start(
                programs.collector, *words, "--store", self.store.folder, "--port-file",
                self.ports_file, "--lateness", "36500d", "--skew", "36500d",
                "--flush-interval", "200ms", "--summary", "json", *more)
            self.process.wait_line(r"listening on ")
            while not self.ports_file.exists():
                time.sleep(0.01)
            self.uris = self.ports_file.read_text().split()
            self.ports = [int(uri.rsplit(":", 1)[1]) for uri in self.uris]
            self.port = self.ports[0]

        def stop(self):
            self.process.stop()
            return json.loads(self.process.stdout)

    return Listener


@contextlib.contextmanager
def sender(port, host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.connect((host, port))
        yield s


def send(port, messages, host="127.0.0.1"):
    with sender(port, host) as s:
        for each in messages:
            s.send(each)


def test_datagrams_of_every_version_end_in_tables(listen, run):
    """On one port, over IPv4 and IPv6."""
    collector = listen("udp://*:0")
    v5 = struct.pack(">HHIIIIBBH", 5, 1, 1000, FIRST_DAY, 0, 0, 1, 2, 0) + struct.pack(
        ">4s4s4sHHIIIIHHBBBBHHBBH", bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]), bytes(4),
        1, 2, 7, 700, 100, 900, 1234, 53, 0, 0, 17, 0, 0, 0, 24, 24, 0)
    fields = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 4), (2, 4))
    v9_template = struct.pack(">HHHH", 0, 8 + 4 * len(fields), 300, len(fields)) + b"".join(
        struct.pack(">HH", *field) for field in fields)
    v9_data = struct.pack(">HH4s4sHHBII3x", 300, 28, bytes([192, 0, 2, 3]),
                          bytes([192, 0, 2, 4]), 4321, 53, 17, 900, 9)
    v9 = struct.pack(">HHIIII", 9, 2, 1000, FIRST_DAY, 0, 6) + v9_template + v9_data
    send(collector.port, stream(20))
    send(collector.port, stream(3), host="::1")
    send(collector.port, [v5, v9])
    summary = collector.stop()
    assert summary["records"] == 232
    assert summary["lost"] == 0
    assert summary["udp"][0]["messages"] == summary["udp"][0]["datagrams"] == 27
    assert summary["udp"][0]["sources"] == 3
    exporters = collector.store.rows("exporters", "--columns", "exporter,version,records")
    assert {(row["exporter"], row["version"], row["records"]) for row in exporters} == {
        ("127.0.0.1", 10, 200), ("::1", 10, 30), ("127.0.0.1", 5, 1), ("127.0.0.1", 9, 1)}
    flows = collector.store.rows("pairs", "--columns", "src_ip,fwd_packets,fwd_octets")
    assert {(row["fwd_packets"], row["fwd_octets"]) for row in flows
            if row["src_ip"] in ("192.0.2.1", "192.0.2.3")} == {(7, 700), (9, 900)}


def test_what_is_no_export_is_counted_and_not_logged(listen):
    collector = listen()
    with sender(collector.port) as s:
        for _ in range(300):
            s.send(b"GET / HTTP/1.1\r\n")
            s.send(b"\0\0\0\5" + bytes(24))
    lines = len(collector.process.lines)
    summary = collector.stop()
    assert summary["udp"][0]["refused"] == {"not-ipfix": 600}
    assert summary["udp"][0]["sources"] == 0
    assert summary["messages"] == 0
    assert lines <= 4, collector.process.stderr


def test_templates_outlive_a_restart(listen):
    """Of an exporter that does not notice it."""
    collector = listen()
    with sender(collector.port) as s:
        parts = stream(6)
        for part in parts[:4]:
            s.send(part)
        assert collector.stop()["records"] == 30
        again = listen(f"udp://127.0.0.1:{collector.port}")
        for part in parts[4:]:
            s.send(part)
        summary = again.stop()
    assert summary["records"] == 30
    assert summary["dropped"]["no-template"] == 0
    assert summary["lost"] == 0
    rows = again.store.rows("exporters", "--columns", "records,lost")
    assert sum(row["records"] for row in rows) == 60


def test_templates_outlive_a_crash(listen, wait_for):
    collector = listen()
    with sender(collector.port) as s:
        parts = stream(6)
        for part in parts[:4]:
            s.send(part)
        wait_for(lambda: collector.store.records() == 30, "30 records")
        collector.process.kill()
        again = listen(f"udp://127.0.0.1:{collector.port}")
        for part in parts[4:]:
            s.send(part)
        wait_for(lambda: again.store.records() == 60, "60 records")
        assert again.stop()["dropped"]["no-template"] == 0


@pytest.mark.parametrize("by, sessions", (("port", 2), ("address", 1)))
def test_a_session_is_a_port_or_an_address(listen, by, sessions):
    """The template comes from one port, data from another."""
    collector = listen(more=("--udp-sessions", by, "--template-lifetime", "1d"))
    parts = stream(5)
    send(collector.port, parts[:1])
    send(collector.port, parts[1:])
    summary = collector.stop()
    assert summary["udp"][0]["sources"] == sessions
    assert summary["records"] == (50 if by == "address" else 0)


def stopped(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "T"


def test_a_burst_that_the_kernel_cannot_hold_is_lost_to_the_record(listen, wait_for):
    """Received and dropped datagrams are those that were sent, and the records missed by
    sequence numbers are those that were dropped."""
    collector = listen(more=("--udp-buffer", "16KiB"))
    pid = collector.process.pid
    count = 400
    parts = stream(2 * count + 200)
    with sender(collector.port) as s:
        for part in parts[:5]:
            s.send(part)
        wait_for(lambda: collector.store.records() == 40, "the first records")
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: stopped(pid), "the stop")
        for part in parts[5:5 + count]:
            s.send(part)
        os.kill(pid, signal.SIGCONT)
        # What comes later shows what is missing.
        for part in parts[5 + count:]:
            s.send(part)
            time.sleep(0.001)
    summary = collector.stop()
    udp = summary["udp"][0]
    assert udp["datagrams"] + udp["kernel_drops"] == len(parts)
    assert udp["kernel_drops"] > count / 2
    assert summary["lost"] == udp["kernel_drops"] * RECORDS
    assert summary["records"] + summary["lost"] == (len(parts) - 1) * RECORDS
    rows = collector.store.rows("exporters", "--columns", "records,lost")
    assert sum(row["records"] for row in rows) == summary["records"]
    assert sum(row["lost"] for row in rows) == summary["lost"]


def test_the_receive_buffer_that_was_got_is_told(listen):
    collector = listen(more=("--udp-buffer", "64KiB"))
    collector.process.wait_line(r"udp://127.0.0.1:0: receive buffer of 65536 bytes")
    assert collector.stop()["udp"][0]["buffer_bytes"] == 65536


def write_packets(path, conversations):
    chance = random.Random(7)
    packets = []
    for number in range(conversations):
        ends = (f"10.0.{number % 250}.1", f"10.1.0.{1 + number % 200}")
        for i in range(chance.randrange(1, 8)):
            a, b = ends if i % 2 == 0 else reversed(ends)
            ports = (20000 + number, 53) if i % 2 == 0 else (53, 20000 + number)
            packet = (scapy.Ether() / scapy.IP(src=a, dst=b) /
                      scapy.UDP(sport=ports[0], dport=ports[1]) /
                      scapy.Raw(bytes(chance.randrange(10, 400))))
            packet.time = FIRST_DAY + number / 100 + i / 1000
            packets.append(packet)
    scapy.wrpcap(str(path), packets)
    return len(packets), sum(len(packet) - 14 for packet in packets)


@pytest.mark.parametrize("words, scheme", (
    (("-v", "5"), "udp"), (("-v", "9"), "udp"), (("-v", "10"), "udp"),
    (("-v", "10", "-b"), "udp"), (("-v", "10"), "tcp")))
def test_what_softflowd_exports_adds_up(listen, run, tmp_path, words, scheme):
    if shutil.which("softflowd") is None:
        pytest.skip("softflowd is not installed")
    packets, octets = write_packets(tmp_path / "packets.pcap", 300)
    collector = listen(f"{scheme}://127.0.0.1:0")
    run("softflowd", "-r", tmp_path / "packets.pcap", *words, "-P", scheme, "-n",
        f"127.0.0.1:{collector.port}", "-d", "-c", "none", "-p", tmp_path / "pid")
    summary = collector.stop()
    # Its IPFIX messages bear the count of records after them, not before: no loss is to
    # be told from that.
    assert summary["lost"] == 0 or "10" in words
    assert all(n == 0 for n in summary["dropped"].values()), summary["dropped"]
    rows = collector.store.rows("pairs", "--columns",
                                "fwd_packets,bwd_packets,fwd_octets,bwd_octets")
    for what, sent in (("packets", packets), ("octets", octets)):
        assert sum((row[f"fwd_{what}"] or 0) + (row[f"bwd_{what}"] or 0)
                   for row in rows) == sent
