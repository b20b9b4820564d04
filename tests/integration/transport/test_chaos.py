"""Chaos: whatever breaks, and however often, each record that an exporter handed to its
spool is in the tables exactly once.

Two exporters with spools read endless flow traces and deliver by TLS through networks that
cut and hold them; a seeded storm kills programs, fills disks, steps the clock, renews
certificates.  Every row has a key of its own, so the tables themselves tell which rows
arrived and how often.  What an exporter had handed over when it was killed is a prefix of
what it was given, and its spool's own ledger tells how long all prefixes are together.

FLOWPAIR_FAULTS sets how many faults there are (default 100; tests/long/run: 2000), FLOWPAIR_SEED which."""

import collections
import heapq
import json
import os
import random
import signal
import time

import pytest

import chaos_world as chaos
from stores import Store

FAULTS = int(os.environ.get("FLOWPAIR_FAULTS", "100"))
SEED = int(os.environ.get("FLOWPAIR_SEED", "1"))
ROWS_A_SECOND = 400
NAMES = {"collector": "DNS:localhost,IP:127.0.0.1", "exporter1": "DNS:one.example",
         "exporter2": "DNS:two.example"}


class Exporter:
    def __init__(self, world, number):
        self.world, self.number, self.run = world, number, 0
        self.name = f"exporter{number}"
        self.network = chaos.Network(world.port)
        self.network.start()
        self.disk = chaos.SmallDisk(world.folder / self.name, "24m")
        self.process = self.trace = None
        self.rows = {}  # run -> rows written into its pipe

    @property
    def spool(self):
        return self.disk.folder / "spool"

    def begin(self):
        self.run += 1
        pipe = self.world.folder / f"{self.name}-{self.run}.csv"
        self.trace = chaos.Trace(pipe, self.number, self.run, ROWS_A_SECOND)
        self.trace.start()
        self.process = self.world.start(
            self.world.programs.exporter, "--trace-csv", pipe, "--spool", self.spool,
            "--to", f"tls://localhost:{self.network.port}", "--message-size", "600",
            "--summary", "none",
            *self.world.renewals.options(self.name, self.world.ca),
            env=self.world.clock.environment)

    def crash(self):
        self.process.kill()
        self.leave()

    def leave(self):
        """The pipe's writer goes, also one that nobody ever read from."""
        self.trace.is_ending = True
        with os.fdopen(os.open(self.trace.path, os.O_RDONLY | os.O_NONBLOCK)):
            self.trace.join(20)
        self.rows[self.run] = self.trace.written
        self.trace.path.unlink()
        self.process = None

    def finish(self):
        self.trace.is_ending = True
        self.process.wait()
        self.leave()


class World:
    def __init__(self, programs, certificates, start, run, port, folder):
        self.programs, self.start, self.run_command = programs, start, run
        self.port, self.folder, self.ca = port, folder, certificates.ca
        self.clock = chaos.Clock(folder)
        self.renewals = chaos.Renewals(certificates, folder / "tls", NAMES, 3)
        self.disk = chaos.SmallDisk(folder / "collector", "256m")
        self.exporters = [Exporter(self, number) for number in (1, 2)]
        self.ahead = 0
        self.collector = None

    def begin(self):
        self.collector = self.start(
            self.programs.collector, "--listen", f"tls://127.0.0.1:{self.port}", "--store",
            self.disk.folder / "store", "--flush-interval", "100ms", "--sync-interval",
            "20ms", "--segment-size", "4MiB", "--summary", "none",
            *self.renewals.options("collector", self.ca), env=self.clock.environment)

    def ensure(self):
        """Starts again what a crash has ended.  Nothing ends by itself, but a program may
        refuse to start on a full disk."""
        if self.collector is None or not self.collector.is_running():
            self.begin()
        for each in self.exporters:
            if each.process is not None and not each.process.is_running():
                assert each.disk.filler.exists(), each.process.stderr
                each.leave()
            if each.process is None:
                each.begin()

    def close(self):
        for each in self.exporters:
            each.network.close()
            each.disk.close()
        self.disk.close()

    # Faults: each does its harm and returns what ends it, if that takes a time.

    def kill_exporter(self, source):
        source.choice(self.exporters).crash()

    def kill_collector(self, _):
        self.end_collector(signal.SIGKILL)

    def end_collector(self, number):
        status = self.collector.stop(number, status=None)
        assert status in (0, -number) or self.disk.filler.exists(), self.collector.stderr

    def cut_connection(self, source):
        source.choice(self.exporters).network.cut(source.randrange(4000))

    def part_network(self, source):
        network = source.choice(self.exporters).network
        network.hold()
        is_cut = source.random() < 0.5

        def heal():
            if is_cut:
                network.cut_all()
            network.release()
        return heal

    def fill_collector_disk(self, _):
        self.disk.fill()
        return self.disk.clear

    def fill_exporter_disk(self, source):
        disk = source.choice(self.exporters).disk
        disk.fill()
        return disk.clear

    def step_clock(self, source):
        self.ahead = source.choice((0, 1, 60, 3599, 86400, 3 * 86400))
        self.clock.step(self.ahead)

    def renew_certificate(self, source):
        name = source.choice(list(NAMES))
        self.renewals.renew(name)
        if name == "collector":
            self.collector.process.send_signal(signal.SIGHUP)

    def stop_collector(self, _):
        self.end_collector(signal.SIGTERM)

    def faults(self):
        kinds = [self.kill_exporter, self.kill_collector, self.cut_connection,
                 self.part_network, self.renew_certificate, self.stop_collector]
        if self.clock.library is not None:
            kinds.append(self.step_clock)
        if self.disk.is_mounted:
            kinds += [self.fill_collector_disk, self.fill_exporter_disk]
        return kinds


def storm(world, source, count):
    """So many faults one after the other, some lasting while others strike."""
    struck, ends = {}, []
    for number in range(count):
        world.ensure()
        time.sleep(source.uniform(0.02, 0.4))
        fault = source.choice(world.faults())
        struck[fault.__name__] = struck.get(fault.__name__, 0) + 1
        heal = fault(source)
        if heal is not None:
            heapq.heappush(ends, (time.monotonic() + source.uniform(0.1, 0.8), number, heal))
        while ends and ends[0][0] < time.monotonic():
            heapq.heappop(ends)[2]()
    for _, _, heal in ends:
        heal()
    return struck


@pytest.fixture
def world(programs, certificates, start, run, free_port, tmp_path):
    made = World(programs, certificates, start, run, free_port(), tmp_path)
    yield made
    print("the last collector said:", *made.collector.lines[-30:], sep="\n")
    made.close()


def arrived(store):
    """(exporter, run) -> {index: how many records}; what they count is checked at once."""
    rows = {}
    for source, destination, port, flows, packets, octets in store.columns(
            "pairs", "src_ip,dst_ip,dst_port,flows,fwd_packets,fwd_payload_octets"):
        exporter, run, index = chaos.place(source, destination, port)
        assert packets == flows * chaos.packets(index)
        assert octets == flows * chaos.octets(index)
        rows.setdefault((exporter, run), {})[index] = flows
    return rows


def test_every_record_that_reached_a_spool_is_in_the_tables_exactly_once(world, run):
    source = random.Random(SEED)
    struck = storm(world, source, FAULTS)
    world.clock.step(world.ahead)
    world.ensure()
    for each in world.exporters:
        each.finish()
    world.collector.stop()
    store = Store(world.programs, run, world.disk.folder / "store")
    rows = arrived(store)
    print(f"{struck}, {sum(map(len, rows.values()))} records, "
          f"{[each.network.connections for each in world.exporters]} connections")
    for each in world.exporters:
        said = chaos.ledger(world.programs, run, each.spool)
        total = 0
        for number, written in each.rows.items():
            got = rows.get((each.number, number), {})
            assert set(got.values()) <= {1}
            assert sorted(got) == list(range(len(got))) and len(got) <= written
            total += len(got)
        assert said["held_messages"] == 0 and said["lost_records"] == 0
        assert total == said["records"]


class Site:
    """A collector of its own on one port, which can be killed and comes back."""

    def __init__(self, programs, start, port, folder, uri, options):
        self.programs, self.start, self.folder, self.options = programs, start, folder, options
        self.uri, self.port, self.process = f"{uri}127.0.0.1:{port}", port, None
        self.begin()

    def begin(self):
        self.process = self.start(
            self.programs.collector, "--listen", self.uri, "--store", self.folder,
            "--flush-interval", "100ms", "--sync-interval", "20ms", "--lateness", "36500d",
            "--summary", "none", *self.options)
        self.process.wait_line("listening on")

    def crash(self, away):
        self.process.kill()
        time.sleep(away)
        self.begin()


def feed(folder, number=1, rate=ROWS_A_SECOND):
    trace = chaos.Trace(folder / "trace.csv", number, 1, rate)
    trace.start()
    return trace


def finish(trace, exporter):
    """Ends the trace and what reads it; the exporter's own account of its delivery."""
    trace.is_ending = True
    exporter.wait()
    return json.loads(exporter.stdout)["sender"]


def test_failover_loses_nothing_and_doubles_no_more_than_it_says(
        programs, certificates, start, run, free_port, tmp_path):
    source = random.Random(SEED)
    sites = [Site(programs, start, free_port(), tmp_path / name, "tls://",
                  certificates.options("server")) for name in ("first", "second")]
    trace = feed(tmp_path)
    exporter = start(
        programs.exporter, "--trace-csv", trace.path, "--spool", tmp_path / "spool",
        *(word for site in sites for word in ("--to", f"tls://localhost:{site.port}")),
        "--failover-after", "100ms", "--message-size", "600", "--summary", "json",
        *certificates.options("client"))
    for _ in range(max(FAULTS // 20, 15)):
        source.choice(sites).crash(source.uniform(0, 0.6))
        time.sleep(source.uniform(0, 0.3))
    said = finish(trace, exporter)
    flows = collections.Counter()
    for site in sites:
        site.process.stop()
        for place, rows in arrived(Store(programs, run, site.folder)).items():
            assert place == (1, 1)
            flows.update(rows)
    print(said)
    assert said["failovers"] > 0
    assert sorted(flows) == list(range(trace.written))
    assert flows.total() - len(flows) <= said["duplicate_records"]


def test_collectors_that_are_all_given_everything_all_have_it(
        programs, certificates, start, run, free_port, tmp_path):
    source = random.Random(SEED)
    sites = [Site(programs, start, free_port(), tmp_path / name, "tls://",
                  certificates.options("server")) for name in ("first", "second")]
    trace = feed(tmp_path)
    exporter = start(
        programs.exporter, "--trace-csv", trace.path, "--spool", tmp_path / "spool",
        *(word for site in sites for word in ("--to", f"tls://localhost:{site.port}")),
        "--delivery", "duplicate", "--message-size", "600", "--summary", "json",
        *certificates.options("client"))
    for _ in range(max(FAULTS // 30, 10)):
        source.choice(sites).crash(source.uniform(0, 0.4))
        time.sleep(source.uniform(0, 0.3))
    trace.is_ending = True
    exporter.wait()
    for site in sites:
        site.process.stop()
        rows = arrived(Store(programs, run, site.folder))
        assert rows == {(1, 1): dict.fromkeys(range(trace.written), 1)}


def test_plain_tcp_loses_what_was_on_its_way_and_says_how_much(
        programs, start, run, free_port, wait_for, tmp_path):
    """Nobody acknowledges: what a broken connection had swallowed is gone, and nothing is
    doubled.  What the exporter says it sent less what is stored is just what is missing."""
    source = random.Random(SEED)
    site = Site(programs, start, free_port(), tmp_path / "store", "tcp://", ())
    network = chaos.Network(site.port)
    network.start()
    trace = feed(tmp_path)
    exporter = start(programs.exporter, "--trace-csv", trace.path, "--to",
                     f"tcp://localhost:{network.port}", "--message-size", "600",
                     "--summary", "json")
    for _ in range(max(FAULTS // 30, 10)):
        before = trace.written
        wait_for(lambda: network.pairs, "a connection")
        wait_for(lambda: trace.written > before + ROWS_A_SECOND / 2, "rows")
        if source.random() < 0.3:
            site.crash(source.uniform(0, 0.3))
        else:
            network.hold()
            time.sleep(source.uniform(0.1, 0.3))
            network.cut_all()
            network.release()
    said = finish(trace, exporter)
    site.process.stop()
    store = Store(programs, run, site.folder)
    stored = arrived(store)[1, 1]
    exported = sum(n for (n,) in store.columns("exporting", "records"))
    network.close()
    print(f"{trace.written} rows, {len(stored)} stored, {exported} told")
    assert 0 < len(stored) < trace.written
    assert set(stored.values()) == {1}
    assert said["records"] == trace.written
    assert trace.written - len(stored) == exported - len(stored)


def test_udp_loses_while_the_collector_is_away_and_counts_it(
        programs, start, run, free_port, tmp_path):
    """Sequence numbers tell, across the collector's crashes too, what never came."""
    source = random.Random(SEED)
    site = Site(programs, start, free_port(), tmp_path / "store", "udp://", ())
    trace = feed(tmp_path)
    exporter = start(programs.exporter, "--trace-csv", trace.path, "--to",
                     f"udp://127.0.0.1:{site.port}", "--message-size", "600",
                     "--summary", "json")
    for _ in range(max(FAULTS // 20, 15)):
        time.sleep(source.uniform(0.1, 0.4))
        site.crash(source.uniform(0, 0.3))
    time.sleep(1)
    said = finish(trace, exporter)
    time.sleep(0.5)
    site.process.stop()
    store = Store(programs, run, site.folder)
    stored = arrived(store)[1, 1]
    [(records, lost, waiting)] = store.columns(
        "exporters", "records,lost,dropped_no_template")
    print(f"{trace.written} rows, {len(stored)} stored, {lost} lost")
    assert set(stored.values()) == {1}
    assert said["records"] == trace.written
    assert 0 < len(stored) < trace.written
    assert (records, records + lost, waiting) == (len(stored), trace.written, 0)
