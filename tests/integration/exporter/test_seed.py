"""The flow trace that the project started from: eight rows become exactly seven pairs and
one service, whatever road they take, however they are split and ordered."""

import random
import re

import pytest

from stores import PAIR, Collector, Store

HEADER = ("Source.IP,Source.Port,Destination.IP,Destination.Port,Protocol,Timestamp,"
          "Flow.Duration,Total.Fwd.Packets,Total.Backward.Packets,"
          "Total.Length.of.Fwd.Packets,Total.Length.of.Bwd.Packets")
WHEN = "26/04/201711:11:17"
START = 1493205077 * 10**9
ROWS = [
    f"172.19.1.46,52422,10.200.7.7,3128,6,{WHEN},45523,22,55,132,110414",
    f"10.200.7.7,3128,172.19.1.46,52422,6,{WHEN},1,2,0,12,0",
    f"50.31.185.39,80,10.200.7.217,38848,6,{WHEN},1,3,0,674,0",
    f"50.31.185.39,80,10.200.7.217,38848,6,{WHEN},217,1,3,0,0",
    f"192.168.72.43,55961,10.200.7.7,3128,6,{WHEN},78068,5,0,1076,0",
    f"10.200.7.6,3128,172.19.1.56,50004,6,{WHEN},105069,136,0,313554,0",
    f"192.168.72.43,55963,10.200.7.7,3128,6,{WHEN},104443,5,0,1076,0",
    f"192.168.10.47,51848,10.200.7.6,3128,6,{WHEN},11002,3,12,232,3664",
]
MEASURES = ("start_ns", "millis", "flows", "fwd_packets", "fwd_payload_octets",
            "bwd_packets", "bwd_payload_octets")
PAIRS = [  # in address order
    ("10.200.7.6", 3128, "172.19.1.56", 50004, 6, START, 105069, 1, 136, 313554, 0, 0),
    ("10.200.7.7", 3128, "172.19.1.46", 52422, 6, START, 1, 1, 2, 12, 0, 0),
    ("50.31.185.39", 80, "10.200.7.217", 38848, 6, START, 218, 2, 4, 674, 3, 0),
    ("172.19.1.46", 52422, "10.200.7.7", 3128, 6, START, 45523, 1, 22, 132, 55, 110414),
    ("192.168.10.47", 51848, "10.200.7.6", 3128, 6, START, 11002, 1, 3, 232, 12, 3664),
    ("192.168.72.43", 55961, "10.200.7.7", 3128, 6, START, 78068, 1, 5, 1076, 0, 0),
    ("192.168.72.43", 55963, "10.200.7.7", 3128, 6, START, 104443, 1, 5, 1076, 0, 0),
]
SERVICES = [("2017-04-26", "50.31.185.0/24", 80, 6, 4, 674, 2)]
SERVICE = ("date", "service_ip", "service_port", "protocol", "packets", "bytes", "flows")


def write_trace(path, rows, header=HEADER):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def to_ipfix(programs, run, csv_file):
    ipfix = csv_file.with_suffix(".ipfix")
    done = run(programs.exporter, "--trace-csv", csv_file, "--to", f"file:{ipfix}")
    return ipfix, done


@pytest.fixture
def store_of(programs, run, tmp_path):
    """store_of(rows, ...): a new store of flow traces, one file each."""
    made = 0

    def make(*traces):
        nonlocal made
        made += 1
        folder = tmp_path / f"s{made}"
        folder.mkdir()
        files = [to_ipfix(programs, run, write_trace(folder / f"t{i}.csv", rows))[0]
                 for i, rows in enumerate(traces)]
        store = Store(programs, run, folder / "store")
        store.read_ipfix(*files)
        return store

    return make


def pairs(store):
    """Put together by pair: every file is an exporter of its own."""
    return store.columns("pairs", PAIR + MEASURES, "--by", ",".join(PAIR))


def services(store):
    return store.columns("services", SERVICE, "--by", ",".join(SERVICE[:4]))


def test_eight_rows_become_seven_pairs_and_one_service(store_of):
    store = store_of(ROWS)
    assert store.columns("pairs", PAIR + MEASURES) == PAIRS
    assert store.columns("services", SERVICE) == SERVICES
    assert store.columns("net_services", "date,service_ip,service_port,packets,bytes") == [
        ("2017-04-26", "50.31.185", 80, 4, 674)]


def test_packets_and_octets_are_conserved(store_of):
    sums = [row[7:] for row in pairs(store_of(ROWS))]
    assert sum(row[1] + row[3] for row in sums) == 247
    assert sum(row[2] + row[4] for row in sums) == 430834


def test_order_and_split_do_not_matter(store_of):
    chance = random.Random(20170426)
    for _ in range(4):
        rows = ROWS[:]
        chance.shuffle(rows)
        assert pairs(store_of(rows)) == PAIRS
        cut = sorted(chance.sample(range(1, len(rows)), 2))
        store = store_of(rows[:cut[0]], rows[cut[0]:cut[1]], rows[cut[1]:])
        assert pairs(store) == PAIRS
        assert services(store) == SERVICES


def test_the_same_file_twice_adds_nothing(store_of, programs, run, tmp_path):
    store = store_of(ROWS)
    ipfix, _ = to_ipfix(programs, run, write_trace(tmp_path / "again.csv", ROWS))
    again = Store(programs, run, tmp_path / "again")
    again.read_ipfix(ipfix)
    again.read_ipfix(ipfix)
    assert pairs(again) == pairs(store)


def test_columns_in_any_order_give_the_same(store_of, programs, run, tmp_path):
    names = HEADER.split(",")
    order = list(range(len(names)))
    random.Random(5).shuffle(order)

    def mix(line):
        fields = line.split(",")
        return ",".join(fields[i] for i in order)

    trace = write_trace(tmp_path / "mixed.csv", [mix(row) for row in ROWS], mix(HEADER))
    ipfix, _ = to_ipfix(programs, run, trace)
    store = Store(programs, run, tmp_path / "mixed")
    store.read_ipfix(ipfix)
    assert pairs(store) == PAIRS


def test_through_tls_they_are_the_same(programs, run, start, certificates, tmp_path,
                                       wait_for):
    trace = write_trace(tmp_path / "t.csv", ROWS)
    collector = Collector(programs, run, start, tmp_path, "tls://127.0.0.1:0",
                          certificates.options("server"))
    collector.export("--trace-csv", trace, uri=f"tls://127.0.0.1:{collector.port}",
                     options=certificates.options("client"))
    wait_for(lambda: collector.store.records() == len(ROWS), "eight records")
    assert collector.store.columns("pairs", PAIR + MEASURES) == PAIRS
    assert collector.store.columns("services", SERVICE) == SERVICES
    assert collector.store.columns("exporters", "exporter,transport,identity,records,lost") == [
        ("exporter.example", "tls", "exporter.example", len(ROWS), 0)]
    collector.stop()
    assert collector.store.columns("pairs", PAIR + MEASURES) == PAIRS


def row(src, dst, protocol=6, when=WHEN, counts="7,11,70,110"):
    """src and dst as (address, port)."""
    return f"{src[0]},{src[1]},{dst[0]},{dst[1]},{protocol},{when},1,{counts}"


EDGES = {  # row(s) -> (service_ip, service_port, protocol, packets, bytes), sorted
    "a destination below 1024 counts what comes back": (
        [row(("10.0.0.1", 40000), ("10.9.8.7", 443))],
        [("10.9.8.0/24", 443, 6, 11, 110)]),
    "two ports below 1024 are two services": (
        [row(("10.0.0.1", 53), ("10.9.8.7", 123), 17)],
        [("10.0.0.0/24", 53, 17, 7, 70), ("10.9.8.0/24", 123, 17, 11, 110)]),
    "1023 is a service": (
        [row(("10.0.0.1", 1023), ("10.9.8.7", 2000))],
        [("10.0.0.0/24", 1023, 6, 7, 70)]),
    "1024 is none": ([row(("10.0.0.1", 1024), ("10.9.8.7", 2000))], []),
    "a protocol without ports has no services": (
        [row(("10.0.0.1", 0), ("10.9.8.7", 0), 0), row(("10.0.0.1", 0), ("10.9.8.7", 0), 47),
         row(("10.0.0.1", 0), ("10.9.8.7", 0), 1)], []),
    "TCP and UDP are two rows": (
        [row(("10.0.0.1", 53), ("10.9.8.7", 2000), 6),
         row(("10.0.0.2", 53), ("10.9.8.7", 2000), 17)],
        [("10.0.0.0/24", 53, 6, 7, 70), ("10.0.0.0/24", 53, 17, 7, 70)]),
    "IPv6 goes by its /64": (
        [row(("2001:db8::1", 443), ("2001:db8:0:1::9", 2000)),
         row(("2001:db8::2", 443), ("2001:db8:0:1::9", 2000))],
        [("2001:db8::/64", 443, 6, 14, 140)]),
    "a mapped address is an IPv4 one": (
        [row(("::ffff:10.0.0.1", 443), ("10.9.8.7", 2000))],
        [("10.0.0.0/24", 443, 6, 7, 70)]),
    "missing counters count nothing": (
        [row(("10.0.0.1", 443), ("10.9.8.7", 2000), counts=",11,,110")],
        [("10.0.0.0/24", 443, 6, 0, 0)]),
    "SCTP has ports": (
        [row(("10.0.0.1", 443), ("10.9.8.7", 2000), 132)],
        [("10.0.0.0/24", 443, 132, 7, 70)]),
}


@pytest.mark.parametrize("claim", EDGES)
def test_edge(claim, store_of):
    rows, expected = EDGES[claim]
    assert [r[1:6] for r in services(store_of(rows))] == expected


def test_the_compatibility_view_adds_protocols(store_of):
    rows, _ = EDGES["TCP and UDP are two rows"]
    assert store_of(rows).columns("net_services", "service_ip,service_port,packets,bytes") == [
        ("10.0.0", 53, 14, 140)]


def test_each_record_counts_on_its_own_day(store_of):
    ends = ("10.0.0.1", 443), ("10.9.8.7", 2000)
    first, second = (row(*ends, when=f"{day}/04/201723:30:00") for day in (26, 27))
    store = store_of([first, second, second])
    assert store.columns("services", "date,packets") == [
        ("2017-04-26", 7), ("2017-04-27", 14)]
    assert store.columns("pairs", "start_ns,flows") == [
        (1493249400 * 10**9, 1), (1493335800 * 10**9, 2)]
    assert store.columns("pairs", "flows", "--from", "2017-04-27") == [(2,)]
    assert store.columns("pairs", "flows", "--to", "2017-04-26") == [(1,)]


def test_a_late_record_updates_its_own_day(store_of):
    ends = ("10.0.0.1", 443), ("10.9.8.7", 2000)
    store = store_of([row(*ends, when="26/04/201710:00:00")],
                     [row(*ends, when="27/04/201710:00:00")],
                     [row(*ends, when="26/04/201709:00:00")])
    assert store.columns("services", "date,packets", "--by", "date") == [
        ("2017-04-26", 14), ("2017-04-27", 7)]


@pytest.mark.parametrize("hour", [0, 12, 13, 23])
def test_hours_count_to_24_in_utc(hour, store_of):
    ends = ("10.0.0.1", 443), ("10.9.8.7", 2000)
    store = store_of([row(*ends, when=f"26/04/2017{hour:02}:00:00")])
    assert store.columns("pairs", "start_ns") == [((1493164800 + hour * 3600) * 10**9,)]


def test_any_protocol_is_taken(store_of):
    ends = ("10.0.0.1", 0), ("10.9.8.7", 0)
    store = store_of([row(*ends, protocol=p) for p in (0, 1, 47, 132, 255)])
    assert [p for p, in store.columns("pairs", "protocol")] == [0, 1, 47, 132, 255]


def test_a_bad_row_is_counted_with_its_line(programs, run, tmp_path):
    rows = ROWS[:2] + [row(("10.0.0.1", 1), ("10.0.0.2", 2), when="Invalid date"),
                       row(("10.0.0.300", 1), ("10.0.0.2", 2)),
                       row(("10.0.0.1", 65536), ("10.0.0.2", 2))] + ROWS[2:]
    ipfix, done = to_ipfix(programs, run, write_trace(tmp_path / "bad.csv", rows))
    for reason, line in (("time", 4), ("address", 5), ("port", 6)):
        assert re.search(rf"{reason}\s+1\s.*\bline {line}\b", done.stdout), done.stdout
    store = Store(programs, run, tmp_path / "store")
    store.read_ipfix(ipfix)
    assert pairs(store) == PAIRS
