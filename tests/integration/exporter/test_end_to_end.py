"""Packets in, tables out: captures made here go through exporter, TLS, collector and
query, and every number equals what this file computes from the same packets."""

import collections
import csv
import ipaddress
import math
import random

import pytest

from stores import PAIR, Collector, Store, reading

scapy = pytest.importorskip("scapy.all")

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
DAY = 1493164800  # 2017-04-26
Packet = collections.namedtuple(
    "Packet", "time_us src sport dst dport protocol payload flags key")


def conversation(chance, number, start_us):
    """The packets of one conversation: a handshake, data both ways, an orderly end; or
    datagrams; or pings."""
    version = chance.choice((4, 4, 6))
    a, b = ((f"10.{number % 200}.0.{chance.randrange(1, 250)}", f"192.168.7.{1 + number % 9}")
            if version == 4 else
            (f"2001:db8:{number:x}::{chance.randrange(1, 9999):x}", "2001:db8:ffff::53"))
    protocol = chance.choice((6, 6, 17, 1 if version == 4 else 58))
    sport, dport = 20000 + number, chance.choice((22, 80, 443, 3128, 8080))
    if protocol in (1, 58):
        sport, dport = 0, (8 if protocol == 1 else 128) << 8
    key = (a, sport, b, dport, protocol)
    at = start_us
    packets = []

    def add(from_a, payload, flags=0):
        nonlocal at
        at += chance.randrange(1, 400_000)
        ends = (a, sport, b, dport) if from_a else (b, dport, a, sport)
        packets.append(Packet(at, *ends, protocol, payload, flags, key))

    if protocol == 6:
        add(True, 0, SYN)
        add(False, 0, SYN | ACK)
        add(True, 0, ACK)
    for _ in range(chance.randrange(1, 12)):
        from_a = not packets or chance.random() < 0.5
        add(from_a, chance.randrange(0, 1200), PSH | ACK if protocol == 6 else 0)
    if protocol == 6:
        add(True, 0, FIN | ACK)
        add(False, 0, FIN | ACK)
        add(True, 0, ACK)
    return packets


def make_packets(seed, count):
    chance = random.Random(seed)
    packets = []
    for number in range(count):
        start = (DAY + chance.choice((0, 86400)) + 3600) * 1_000_000
        packets += conversation(chance, number, start + chance.randrange(5_000_000))
    return sorted(packets)


def frame(p):
    """The packet as scapy builds it."""
    is_v6 = ":" in p.src
    ip = scapy.IPv6(src=p.src, dst=p.dst) if is_v6 else scapy.IP(src=p.src, dst=p.dst)
    if p.protocol == 6:
        upper = scapy.TCP(sport=p.sport, dport=p.dport, flags=p.flags, seq=p.time_us % 2**32)
    elif p.protocol == 17:
        upper = scapy.UDP(sport=p.sport, dport=p.dport)
    elif p.protocol == 1:
        upper = scapy.ICMP(type=8 if p.sport == 0 else 0, id=7, seq=1)
    elif p.sport == 0:
        upper = scapy.ICMPv6EchoRequest(id=7, seq=1)
    else:
        upper = scapy.ICMPv6EchoReply(id=7, seq=1)
    # Addresses given: scapy would ask the network for them.
    link = scapy.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    built = link / ip / upper / scapy.Raw(b"x" * p.payload)
    built.time = p.time_us / 1e6
    return built


def write_capture(path, packets):
    """A pcap whose times are exact microseconds."""
    with scapy.RawPcapWriter(str(path), linktype=1) as out:
        out.write_header(None)
        for p in packets:
            out._write_packet(bytes(frame(p)), sec=p.time_us // 1_000_000,
                              usec=p.time_us % 1_000_000)
    return path


def ip_length(p):
    header = 40 if ":" in p.src else 20
    return header + {6: 20, 17: 8, 1: 8, 58: 8}[p.protocol] + p.payload


def expected(packets):
    """key -> what table `conversations` has to say."""
    sides = collections.defaultdict(lambda: ([], []))
    for p in packets:
        sides[p.key][(p.src, p.sport) != p.key[:2]].append(p)
    rows = {}
    for key, both in sides.items():
        everything = sorted(both[0] + both[1])
        row = {"start_ns": everything[0].time_us * 1000,
               "end_ns": everything[-1].time_us * 1000}
        for name, side in zip(("fwd", "bwd"), both):
            sizes = [p.payload for p in side]
            gaps = [b.time_us - a.time_us for a, b in zip(side, side[1:])]
            row |= {f"{name}_packets": len(side),
                    f"{name}_octets": sum(map(ip_length, side)),
                    f"{name}_payload_octets": sum(sizes),
                    f"{name}_payload_sumsq": sum(n * n for n in sizes),
                    f"{name}_iat_sum": sum(gaps)}
            flags = 0
            for p in side:
                flags |= p.flags
            if key[4] == 6:
                row[f"{name}_tcp_flags"] = flags
            if side:
                mean = sum(sizes) / len(sizes)
                row |= {f"{name}_payload_min": min(sizes),
                        f"{name}_payload_max": max(sizes),
                        f"{name}_payload_mean": mean,
                        f"{name}_payload_stddev": math.sqrt(
                            sum((n - mean)**2 for n in sizes) / len(sizes))}
            if gaps:
                mean = sum(gaps) / len(gaps)
                row |= {f"{name}_iat_min": min(gaps), f"{name}_iat_max": max(gaps),
                        f"{name}_iat_mean": mean,
                        f"{name}_iat_stddev": math.sqrt(
                            sum((n - mean)**2 for n in gaps) / len(gaps))}
        rows[key] = row
    return rows


def assert_equal_rows(found, wanted):
    assert set(found) == set(wanted)
    for key, row in wanted.items():
        for name, value in row.items():
            said = found[key][name]
            assert said == pytest.approx(value, rel=1e-9, abs=1e-6), (key, name)


def by_key(rows):
    keyed = {tuple(row[name] for name in PAIR): row for row in rows}
    assert len(keyed) == len(rows)
    return keyed


@pytest.fixture(scope="module")
def packets():
    return make_packets(1, 150)


@pytest.fixture(scope="module")
def capture(packets, tmp_path_factory):
    return write_capture(tmp_path_factory.mktemp("capture") / "made.pcap", packets)


@pytest.fixture
def collector(programs, run, start, tmp_path, certificates):
    return Collector(programs, run, start, tmp_path, "tls://127.0.0.1:0",
                     certificates.options("server"))


@pytest.fixture
def send(collector, certificates, programs, run):
    """send(words...): an exporter's run, through TLS, to the collector."""
    def export(*words):
        return collector.export(*words, uri=f"tls://127.0.0.1:{collector.port}",
                                options=certificates.options("client"))
    return export


def test_conversations_through_tls_equal_what_python_counts(
        packets, capture, collector, send, wait_for):
    send("-r", capture)
    wanted = expected(packets)
    wait_for(lambda: collector.store.records() == len(wanted), "all records")
    assert_equal_rows(by_key(collector.store.rows("conversations")), wanted)


def test_pairs_and_services_add_up(packets, capture, collector, send, wait_for):
    send("-r", capture)
    wanted = expected(packets)
    store = collector.store
    wait_for(lambda: store.records() == len(wanted), "all records")
    names = ("fwd_packets", "fwd_octets", "fwd_payload_octets", "bwd_packets",
             "bwd_octets", "bwd_payload_octets")
    found = {row[:5]: row[5:] for row in store.columns("pairs", PAIR + names)}
    assert found == {key: tuple(row[n] for n in names) for key, row in wanted.items()}
    sums = collections.Counter()
    for (a, sport, b, dport, protocol), row in wanted.items():
        day = "2017-04-26" if row["start_ns"] < (DAY + 86400) * 10**9 else "2017-04-27"
        for address, port, side in ((a, sport, "fwd"), (b, dport, "bwd")):
            if port < 1024 and protocol in (6, 17):
                bits = 64 if ":" in address else 24
                network = str(ipaddress.ip_network(f"{address}/{bits}", strict=False))
                for name, column in (("packets", "packets"), ("octets", "octets"),
                                     ("bytes", "payload_octets")):
                    sums[day, network, port, protocol, name] += row[f"{side}_{column}"]
    keys = ("date", "service_ip", "service_port", "protocol")
    said = collections.Counter()
    for row in store.rows("services"):
        for name in ("packets", "octets", "bytes"):
            said[(*(row[k] for k in keys), name)] += row[name]
    assert said == sums


def test_questions_across_days_agree_with_python(packets, capture, collector, send,
                                                 wait_for):
    send("-r", capture)
    wanted = expected(packets)
    store = collector.store
    wait_for(lambda: store.records() == len(wanted), "all records")
    by_port = collections.Counter()
    for key, row in wanted.items():
        by_port[key[3]] += row["bwd_octets"]
    top = store.columns("pairs", "dst_port,bwd_octets", "--by", "dst_port", "--top", "3",
                        "--sort", "bwd_octets")
    assert [octets for _, octets in top] == [n for _, n in by_port.most_common(3)]
    network = ipaddress.ip_network("10.0.0.0/9")
    inside = {key for key in wanted if ":" not in key[0] and
              ipaddress.ip_address(key[0]) in network}
    assert set(store.columns("pairs", PAIR, "src_ip_prefix=10.0.0.0/9")) == inside
    second = {key for key, row in wanted.items()
              if row["start_ns"] >= (DAY + 86400) * 10**9}
    assert set(store.columns("pairs", PAIR, "--from", "2017-04-27")) == second
    mean = store.columns("conversations", "protocol,records,fwd_payload_mean", "--by",
                         "protocol")
    for protocol, records, value in mean:
        rows = [row for key, row in wanted.items() if key[4] == protocol]
        assert records == len(rows)
        assert value == pytest.approx(sum(r["fwd_payload_octets"] for r in rows) /
                                      sum(r["fwd_packets"] for r in rows))


def test_a_file_says_the_same_as_tls(packets, capture, programs, run, tmp_path):
    ipfix = tmp_path / "made.ipfix"
    run(programs.exporter, "-r", capture, "--to", f"file:{ipfix}")
    store = Store(programs, run, tmp_path / "store")
    store.read_ipfix(ipfix)
    assert_equal_rows(by_key(store.rows("conversations")), expected(packets))


def test_segments_of_a_long_conversation_add_up(programs, run, tmp_path):
    """An active timeout cuts a conversation in segments: their sums are the whole."""
    key = ("10.1.1.1", 40000, "10.2.2.2", 80, 17)
    packets = [Packet((DAY + 10 * i) * 1_000_000, *(key[:4] if i % 3 else key[2:4] + key[:2]),
                      17, 100 + i, 0, key) for i in range(1, 31)]
    run(programs.exporter, "-r", write_capture(tmp_path / "long.pcap", packets),
        "--active-timeout", "60s", "--to", f"file:{tmp_path}/long.ipfix")
    run(programs.collector, "-r", tmp_path / "long.ipfix", "--store", tmp_path / "store")
    store = Store(programs, run, tmp_path / "store")
    segments = store.rows("conversations")
    assert [row["end_reason"] for row in segments] == [2, 2, 2, 2, 4]
    pair, = store.rows("pairs")
    service, = store.rows("services")
    assert pair["flows"] == service["flows"] == 1
    whole = expected(packets)[key]
    for name in ("packets", "octets", "payload_octets"):
        for side in ("fwd", "bwd"):
            assert sum(row[f"{side}_{name}"] for row in segments) == whole[f"{side}_{name}"]
            assert pair[f"{side}_{name}"] == whole[f"{side}_{name}"]
    assert service["bytes"] == whole["bwd_payload_octets"]


def test_tshark_reads_the_exporters_file(packets, capture, programs, run, tmp_path):
    ipfix = tmp_path / "made.ipfix"
    run(programs.exporter, "-r", capture, "--to", f"file:{ipfix}")
    text = run("tshark", "-r", ipfix, "-T", "fields", "-e", "cflow.octets", "-e",
               "cflow.packets", "-e", "_ws.malformed").stdout
    octets = count = 0
    for line in text.splitlines():
        fields = line.split("\t")
        octets += sum(map(int, filter(None, fields[0].split(","))))
        count += sum(map(int, filter(None, fields[1].split(","))))
        assert len(fields) < 3 or not fields[2]
    assert (count, octets) == (len(packets), sum(map(ip_length, packets)))


def test_sqlite3_reads_while_the_collector_writes(collector, send, tmp_path, wait_for):
    first = write_capture(tmp_path / "first.pcap", make_packets(2, 5))
    send("-r", first)
    store = collector.store
    wait_for(lambda: store.records() == 5, "the first records")
    with reading(store.folder, "flowpair.sqlite", "SELECT sum(packets) FROM services",
                 40) as answers:
        total = 5
        for seed in range(3, 8):
            more = make_packets(seed, 40)
            send("-r", write_capture(tmp_path / f"{seed}.pcap", more))
            total += 40
    wait_for(lambda: store.records() == total, "all records")
    numbers = [int(a) for a in answers if a]
    assert numbers == sorted(numbers)


def test_any_sqlite_client_gets_the_same_rows_as_query(capture, programs, run, tmp_path):
    ipfix = tmp_path / "made.ipfix"
    run(programs.exporter, "-r", capture, "--to", f"file:{ipfix}")
    store = Store(programs, run, tmp_path / "store")
    store.read_ipfix(ipfix)
    names = "src_ip, src_port, dst_ip, dst_port, fwd_packets, bwd_octets"
    text = run("sqlite3", "-readonly", "-csv", store.folder / "pairs-2017-04-27.sqlite",
               f"SELECT {names} FROM pairs").stdout
    said = {tuple(row) for row in csv.reader(text.splitlines())}
    asked = {tuple(map(str, row))
             for row in store.columns("pairs", names.replace(" ", ""), "--from",
                                      "2017-04-27")}
    assert said == asked and said
    iso = run("sqlite3", "-readonly", store.folder / "pairs-2017-04-27.sqlite",
              "SELECT start FROM pairs_iso LIMIT 1").stdout
    assert iso.startswith("2017-04-27T01:00:")


def sentence(done):
    """The one line that a program says about an operator's mistake."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


MISTAKES = {
    "an interface that is not there": (
        "exporter", ["-i", "lo0", "--to", "file:{tmp}/x"], ["lo0", "lo"]),
    "a capture that is none": (
        "exporter", ["-r", "/etc/passwd", "--to", "file:{tmp}/x"], ["/etc/passwd"]),
    "a scheme that is misspelt": (
        "exporter", ["-r", "{capture}", "--to", "tsl://127.0.0.1"], ["tsl", "tls"]),
    "an option that is misspelt": (
        "exporter", ["--trace-cvs", "x", "--to", "file:{tmp}/x"], ["--trace-csv"]),
    "a key that others can read": (
        "exporter", ["-r", "{capture}", "--to", "tls://127.0.0.1:1", "--certificate",
                     "{certificate}", "--key", "{loose}", "--ca", "{ca}"], ["{loose}"]),
    "a file that is not there to import": (
        "collector", ["-r", "{tmp}/none.ipfix", "--store", "{tmp}/store"], ["none.ipfix"]),
    "a listener without a certificate": (
        "collector", ["--listen", "tls://127.0.0.1:0", "--store", "{tmp}/store"],
        ["certificate"]),
    "a table that is not there": (
        "query", ["--store", "{store}", "pair"], ['"pair"', '"pairs"']),
    "a column that is misspelt": (
        "query", ["--store", "{store}", "pairs", "scr_ip=10.0.0.1"], ["scr_ip", "src_ip"]),
    "a folder without a store": (
        "query", ["--store", "{tmp}", "pairs"], ["flowpair.sqlite", "--store"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_operators_mistake_gets_one_clear_sentence(
        mistake, programs, run, tmp_path, capture, certificates):
    program, words, mentions = MISTAKES[mistake]
    loose = tmp_path / "loose.key"
    loose.write_bytes(certificates.client_key.read_bytes())
    loose.chmod(0o644)
    names = {"tmp": tmp_path, "capture": capture, "loose": loose, "ca": certificates.ca,
             "certificate": certificates.client, "store": tmp_path / "made"}
    if "{store}" in words:
        run(programs.exporter, "-r", capture, "--to", f"file:{tmp_path}/m.ipfix")
        Store(programs, run, tmp_path / "made").read_ipfix(tmp_path / "m.ipfix")
    done = run(getattr(programs, program), *(w.format(**names) for w in words), status=2)
    said = sentence(done)
    for mention in mentions:
        assert mention.format(**names) in said
    assert not (tmp_path / "x").exists()
