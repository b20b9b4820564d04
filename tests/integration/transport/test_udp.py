"""Datagrams: what sends them ends up in tables, and what is lost is known to the last
record."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

from stores import Store
from test_crash import FIRST_DAY, message, random_record, template
from test_tls import identities  # noqa: F401  (fixture)

scapy = pytest.importorskip("scapy.all")

SOURCES = pathlib.Path(__file__).parents[1]
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
    exporters = collector.store.rows("exporters", "--columns", "exporter,protocol,records")
    assert {(row["exporter"], row["protocol"], row["records"]) for row in exporters} == {
        ("127.0.0.1", "IPFIX", 200), ("::1", "IPFIX", 30),
        ("127.0.0.1", "NetFlow v5", 1), ("127.0.0.1", "NetFlow v9", 1)}
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
    assert summary["udp"][0]["refused"]["not-ipfix"] == 600
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


ENDS_AND_COUNTERS = ("src_ip,src_port,dst_ip,dst_port,protocol,flows,fwd_packets,"
                     "bwd_packets,fwd_octets,bwd_octets")


def totals(rows):
    """Of the last three columns, by what is before them."""
    sums = {}
    for *key, packets, octets, flows in rows:
        so_far = sums.get(tuple(key), (0, 0, 0))
        sums[tuple(key)] = tuple(map(sum, zip(so_far, (packets, octets, flows))))
    return sums


@pytest.fixture
def stitching(repository, tmp_path):
    """The project's schemas, with tables that stitch."""
    folder = tmp_path / "schemas"
    shutil.copytree(repository / "schemas", folder)
    for name in ("pairs", "services"):
        table = folder / "tables" / f"{name}.yaml"
        table.write_text(table.read_text() + "stitch: 30s\n")
    return folder


@pytest.mark.parametrize("words", (
    ("-v", "5"), ("-v", "9"), ("-v", "10"), ("-v", "10", "-b")))
def test_stitched_one_way_flows_of_softflowd_are_our_exporters_conversations(
        listen, programs, run, tmp_path, stitching, words):
    if shutil.which("softflowd") is None:
        pytest.skip("softflowd is not installed")
    capture = tmp_path / "packets.pcap"
    packets, octets = write_packets(capture, 300)
    run(programs.exporter, "-r", capture, "--to", f"file:{tmp_path / 'records.ipfix'}")
    ours = Store(programs, run, tmp_path / "ours")
    run(programs.collector, "-r", tmp_path / "records.ipfix", "--store", ours.folder)
    collector = listen("udp://127.0.0.1:0", more=("--schemas", stitching))
    run("softflowd", "-r", capture, *words, "-P", "udp", "-n",
        f"127.0.0.1:{collector.port}", "-d", "-c", "none", "-p", tmp_path / "pid")
    collector.stop()
    expected = ours.columns("pairs", ENDS_AND_COUNTERS)
    assert len(expected) == 300
    assert sum(sum(row[6:8]) for row in expected) == packets
    assert sum(sum(row[8:10]) for row in expected) == octets
    assert sorted(collector.store.columns("pairs", ENDS_AND_COUNTERS)) == sorted(expected)
    # Its clock is its own when it reads a file: the days differ.
    rollup = "service_ip,service_port,protocol,packets,octets,flows"
    assert (totals(collector.store.columns("services", rollup))
            == totals(ours.columns("services", rollup)))


@pytest.mark.parametrize("order", (("edge", "core"), ("core", "edge")))
def test_a_flow_that_two_exporters_reported_counts_once(
        programs, run, repository, tmp_path, order):
    """edge saw the first half of the flows, core all of them."""
    schemas = tmp_path / "schemas"
    shutil.copytree(repository / "schemas", schemas)
    table = schemas / "tables" / "pairs.yaml"
    table.write_text(table.read_text() + "deduplicate: { prefer: [edge, core] }\n")
    store = Store(programs, run, tmp_path / "store")
    seen = {}
    for name in order:
        capture, records = tmp_path / f"{name}.pcap", tmp_path / f"{name}.ipfix"
        seen[name] = write_packets(capture, 200 if name == "core" else 100)
        run(programs.exporter, "-r", capture, "--to", f"file:{records}")
        run(programs.collector, "-r", records, "--store", store.folder, "--schemas",
            schemas, "--exporter", name)
    assert len(store.rows("pairs", "--limit", "1000")) == 300
    rows = store.columns("pairs_once", "exporter," + ENDS_AND_COUNTERS, "--limit", "1000")
    assert sorted(row[0] for row in rows) == ["core"] * 100 + ["edge"] * 100
    assert len({row[1:6] for row in rows}) == 200
    packets, octets = seen["core"]
    assert sum(sum(row[7:9]) for row in rows) == packets
    assert sum(sum(row[9:11]) for row in rows) == octets


@pytest.mark.parametrize("scheme", ("udp", "tcp"))
def test_what_libfixbuf_exports_adds_up(listen, run, tmp_path, scheme):
    if None in (shutil.which("gcc"), shutil.which("pkg-config")):
        pytest.skip("no compiler")
    flags = run("pkg-config", "--cflags", "--libs", "libfixbuf").stdout.split()
    run("gcc", "-o", tmp_path / "fixbuf_send", SOURCES / "fixbuf_send.c", *flags)
    collector = listen(f"{scheme}://127.0.0.1:0")
    run(tmp_path / "fixbuf_send", scheme, collector.port, 1000)
    summary = collector.stop()
    assert summary["records"] == 1000
    assert summary["lost"] == 0
    assert all(n == 0 for n in summary["dropped"].values()), summary["dropped"]
    rows = collector.store.rows("pairs", "--columns", "src_ip,fwd_packets,fwd_octets")
    assert {(row["src_ip"], row["fwd_packets"], row["fwd_octets"]) for row in rows} == {
        (f"10.0.{i >> 8}.{i & 255}", i, 100 * i) for i in range(1, 1001)}


def test_what_is_missing_behind_the_last_message_is_not_called_lost(listen):
    """As the manuals say: no gap tells of it."""
    c = listen()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", c.port))
        for each in (0, 1, 3):  # of 0 to 4
            s.send(stream(4)[each])
    summary = c.stop()
    assert (summary["records"], summary["lost"]) == (2 * RECORDS, RECORDS)


# --- our exporter ---

EXPORTER = ("--summary", "json")


def export(programs, run, capture, uri, *more):
    done = run(programs.exporter, "-r", capture, "--to", uri, *EXPORTER, *more)
    return json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("host", ("127.0.0.1", "[::1]"))
def test_our_exporter_to_our_collector_is_as_by_a_file(
        programs, run, listen, tmp_path, host):
    capture = tmp_path / "packets.pcap"
    write_packets(capture, 400)
    export(programs, run, capture, f"file:{tmp_path / 'records.ipfix'}")
    by_file = Store(programs, run, tmp_path / "by_file")
    run(programs.collector, "-r", tmp_path / "records.ipfix", "--store", by_file.folder,
        "--exporter", "tap")
    collector = listen(f"udp://{host}:0", more=("--exporter", "tap"))
    said, _ = export(programs, run, capture, f"udp://{host}:{collector.port}")
    summary = collector.stop()
    assert summary["lost"] == 0
    assert summary["records"] - 1 <= said["records"] <= summary["records"]
    for table in ("pairs", "services", "conversations"):
        assert collector.store.rows(table) == by_file.rows(table) != []


class Receiver:
    """A socket that keeps datagrams, as if a collector were there."""

    def __init__(self, host="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind((host, 0))
        self.socket.settimeout(0.5)
        self.port = self.socket.getsockname()[1]

    def take(self):
        """Everything that has come."""
        taken = []
        try:
            while True:
                taken.append(self.socket.recv(65536))
        except TimeoutError:
            return taken


@pytest.fixture
def receiver():
    r = Receiver()
    yield r
    r.socket.close()


def test_messages_fit_a_packet(programs, run, tmp_path, receiver):
    capture = tmp_path / "packets.pcap"
    write_packets(capture, 400)
    export(programs, run, capture, f"udp://127.0.0.1:{receiver.port}")
    lengths = [len(each) for each in receiver.take()]
    assert max(lengths) <= 1472
    assert sorted(lengths)[len(lengths) // 2] > 1200
    export(programs, run, capture, f"udp://127.0.0.1:{receiver.port}", "--message-size",
           "700")
    assert max(len(each) for each in receiver.take()) <= 700


def test_a_collector_that_is_not_there_is_told_once_and_ends_nothing(
        programs, run, tmp_path):
    capture = tmp_path / "packets.pcap"
    write_packets(capture, 400)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    said, log = export(programs, run, capture, f"udp://127.0.0.1:{port}")
    assert said["sender"]["refusals"] > 0
    assert said["sender"]["records"] == said["records"]
    assert log.count(f": 127.0.0.1:{port} refuses datagrams") == 1, log


@pytest.fixture
def two_addresses(tmp_path):
    """Words in front of a command for which localhost is ::1 and then 127.0.0.1."""
    (tmp_path / "hosts").write_text("::1 localhost\n127.0.0.1 localhost\n")
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
              f'mount --bind {tmp_path}/hosts /etc/hosts && exec "$0" "$@"']
    known = "import socket; print([x[4][0] for x in socket.getaddrinfo('localhost', 1, 0, 2)])"
    try:
        done = subprocess.run([*inside, sys.executable, "-c", known], capture_output=True,
                              check=False, text=True)
    except FileNotFoundError:
        pytest.skip("unshare is missing")
    if "['::1', '127.0.0.1']" not in done.stdout:
        pytest.skip("this machine gives localhost no two addresses")
    return inside


@pytest.mark.parametrize("scheme", ("udp", "dtls+udp"))
def test_a_collector_at_the_second_address_of_its_host_gets_everything(
        scheme, programs, run, listen, tmp_path, two_addresses, identities):
    capture = tmp_path / "packets.pcap"
    write_packets(capture, 400)
    ours, theirs = (identities.options(side) if scheme != "udp" else ()
                    for side in ("client", "server"))
    collector = listen(f"{scheme}://127.0.0.1:0", more=theirs)
    done = run(*two_addresses, programs.exporter, "-r", capture, *EXPORTER, *ours, "--to",
               f"{scheme}://localhost:{collector.port}")
    said, summary = json.loads(done.stdout), collector.stop()
    assert summary["lost"] == 0
    assert summary["records"] - 1 <= said["records"] <= summary["records"]
    assert said["sender"]["dropped_records"] == 0
    assert done.stderr.count("refuses datagrams (ICMP:") == (scheme == "udp"), done.stderr


def message_sets(datagram):
    """Ids of its sets."""
    at, found = 16, []
    while at < len(datagram):
        number, length = struct.unpack_from(">HH", datagram, at)
        found.append(number)
        at += length
    return found


def test_templates_come_again_after_so_many_messages(programs, run, tmp_path, receiver):
    """And the records of the repetition are numbered along: nothing seems lost."""
    capture, exports = tmp_path / "packets.pcap", tmp_path / "exports.pcap"
    write_packets(capture, 400)
    said, _ = export(programs, run, capture, f"udp://127.0.0.1:{receiver.port}",
                     "--template-refresh-packets", "4")
    datagrams = receiver.take()
    times = sum(2 in message_sets(each) for each in datagrams)
    assert said["sender"]["template_refreshes"] > 3
    assert times % (said["sender"]["template_refreshes"] + 1) == 0
    scapy.wrpcap(str(exports), [
        scapy.Ether() / scapy.IP(src="192.0.2.1", dst="192.0.2.2") /
        scapy.UDP(sport=5000, dport=4739) / scapy.Raw(each) for each in datagrams])
    done = run(programs.collector, "-r", exports, "--store", tmp_path / "store", "--summary",
               "json")
    summary = json.loads(done.stdout)
    assert summary["lost"] == 0
    assert summary["records"] == 400
    if shutil.which("tshark") is not None:
        shown = run("tshark", "-r", exports, "-T", "fields", "-e", "cflow.flowset_id").stdout
        assert sum("2" in line.split(",") for line in shown.splitlines()) == times


def test_templates_come_again_after_a_time_without_records(programs, tmp_path, receiver):
    capture = tmp_path / "packets.pcap"
    write_packets(capture, 3)
    with subprocess.Popen([programs.exporter, "-r", "-", "--to",
                           f"udp://127.0.0.1:{receiver.port}", "--summary", "none",
                           "--template-refresh", "200ms"], stdin=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        process.stdin.write(capture.read_bytes()[:24])
        process.stdin.flush()
        receiver.socket.settimeout(60)
        for _ in range(3):
            while 2 not in message_sets(receiver.socket.recv(65536)):
                pass
        process.stdin.close()


def test_nfcapd_reads_our_exporter(programs, run, start, tmp_path, wait_for):
    if shutil.which("nfcapd") is None or shutil.which("nfdump") is None:
        pytest.skip("nfdump is not installed")
    capture = tmp_path / "packets.pcap"
    packets, octets = write_packets(capture, 300)
    (tmp_path / "nf").mkdir()
    port = free_udp_port()
    nfcapd = start("nfcapd", "-b", "127.0.0.1", "-p", port, "-w", tmp_path / "nf", "-t", 3600)
    wait_for(lambda: is_bound(port), "nfcapd's socket")
    export(programs, run, capture, f"udp://127.0.0.1:{port}")
    wait_for(lambda: not has_queued(port), "nfcapd's reading")
    nfcapd.stop(status=None)
    file = next((tmp_path / "nf").glob("nfcapd.*"))
    said = dict(line.split(": ") for line in
                run("nfdump", "-r", file, "-I").stdout.splitlines() if ": " in line)
    assert int(said["Flows"]) == 300
    assert int(said["Packets"]) == packets
    assert int(said["Bytes"]) == octets
    assert int(said["Sequence failures"]) == 0


def test_nfacctd_reads_our_exporter(programs, run, start, tmp_path, wait_for):
    """It does not know of reverse directions (RFC 5103): of these it takes the forward."""
    if shutil.which("nfacctd") is None:
        pytest.skip("nfacctd is not installed")
    capture = tmp_path / "packets.pcap"
    write_packets(capture, 300)
    port = free_udp_port()
    (tmp_path / "nfacctd.conf").write_text(
        f"daemonize: false\nnfacctd_ip: 127.0.0.1\nnfacctd_port: {port}\n"
        "plugins: print[x]\naggregate[x]: src_host,dst_host,src_port,dst_port,proto,flows\n"
        f"print_output[x]: csv\nprint_output_file[x]: {tmp_path / 'out.csv'}\n"
        "print_refresh_time[x]: 3600\n")
    nfacctd = start("nfacctd", "-f", tmp_path / "nfacctd.conf")
    wait_for(lambda: is_bound(port), "nfacctd's socket")
    export(programs, run, capture, f"udp://127.0.0.1:{port}")
    export(programs, run, capture, f"file:{tmp_path / 'records.ipfix'}")
    wait_for(lambda: not has_queued(port), "nfacctd's reading")
    time.sleep(0.5)  # from its core to its plugin
    nfacctd.stop(signal.SIGINT, status=None)
    lines = wait_for(lambda: (tmp_path / "out.csv").exists() and
                     (tmp_path / "out.csv").read_text().splitlines(), "its output")
    ours = Store(programs, run, tmp_path / "ours")
    ours.read_ipfix(tmp_path / "records.ipfix")
    rows = ours.rows("pairs", "--columns", "src_ip,dst_ip,src_port,dst_port,fwd_packets,"
                     "flows,fwd_octets")
    theirs = [line.split(",") for line in lines[1:]]
    assert sorted((a, b, int(p), int(q), int(n), int(f), int(o))
                  for a, b, p, q, _, n, f, o in theirs) == sorted(
                      tuple(row.values()) for row in rows)


def udp_line(port):
    with open("/proc/net/udp") as f:
        for line in f:
            if line.split()[1].endswith(f":{port:04X}"):
                return line.split()
    return None


def is_bound(port):
    return udp_line(port) is not None


def has_queued(port):
    return udp_line(port)[4].endswith(":00000000") is False


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_a_path_that_takes_less_has_shorter_messages(programs, run, tmp_path):
    """In a network of its own, whose loopback takes 1000 bytes at a time; and less while
    the exporter runs: then it sends fragments and says so."""
    alone = ("unshare", "--user", "--map-root-user", "--net")
    if run(*alone, "ip", "link", "set", "lo", "up", status=None).returncode != 0:
        pytest.skip("no network namespaces here")
    capture = tmp_path / "packets.pcap"
    write_packets(capture, 100)
    script = tmp_path / "script"
    script.write_text(
        "import socket, subprocess, sys\n"
        "subprocess.run('ip link set lo mtu 1000 up', shell=True, check=True)\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)\n"
        "s.bind(('127.0.0.1', 0))\n"
        "s.settimeout(0.5)\n"
        "subprocess.run([sys.argv[1], '-r', sys.argv[2], '--to',\n"
        "                'udp://127.0.0.1:%d' % s.getsockname()[1], '--summary', 'none'],\n"
        "               check=True)\n"
        "try:\n"
        "    while True:\n"
        "        print(len(s.recv(65536)))\n"
        "except TimeoutError:\n"
        "    pass\n")
    out = run(*alone, "/usr/bin/python3", script, programs.exporter, capture).stdout
    lengths = [int(line) for line in out.split()]
    assert 800 < max(lengths) <= 1000 - 28


def test_a_path_that_takes_less_than_before_gets_fragments(programs, run, tmp_path):
    alone = ("unshare", "--user", "--map-root-user", "--net")
    if run(*alone, "ip", "link", "set", "lo", "up", status=None).returncode != 0:
        pytest.skip("no network namespaces here")
    capture = tmp_path / "packets.pcap"
    write_packets(capture, 100)
    script = tmp_path / "script"
    script.write_text(
        "import json, socket, subprocess, sys\n"
        "subprocess.run('ip link set lo mtu 1500 up', shell=True, check=True)\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)\n"
        "s.bind(('127.0.0.1', 0))\n"
        "s.settimeout(60)\n"
        "p = subprocess.Popen([sys.argv[1], '-r', '-', '--to',\n"
        "                      'udp://127.0.0.1:%d' % s.getsockname()[1], '--summary',\n"
        "                      'json'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "capture = open(sys.argv[2], 'rb').read()\n"
        "p.stdin.write(capture[:24])\n"
        "p.stdin.flush()\n"
        "s.recv(65536)\n"
        "subprocess.run('ip link set lo mtu 800', shell=True, check=True)\n"
        "said = json.loads(p.communicate(capture[24:])[0])['sender']\n"
        "s.settimeout(0.5)\n"
        "lengths = []\n"
        "try:\n"
        "    while True:\n"
        "        lengths.append(len(s.recv(65536)))\n"
        "except TimeoutError:\n"
        "    pass\n"
        "print(said['fragmented'], sum(n > 772 for n in lengths), max(lengths))\n")
    done = run(*alone, "/usr/bin/python3", script, programs.exporter, capture)
    fragmented, longer, longest = map(int, done.stdout.split())
    assert 0 < fragmented <= longer
    assert longest > 1000
    assert done.stderr.count("in fragments") == 1
