"""Two one-way flows become one record, whatever comes between them: flushes, kill -9, the
end of the traffic."""

import collections
import contextlib
import itertools
import json
import os
import random
import shutil
import socket
import sqlite3
import struct
import threading
import time

import pytest

import journal_reader
from test_crash import (
    FIRST_DAY, RECORD, SEED, database, keep_journal, message, one_way_template,
    random_record, run_for)

KILLS = max(int(os.environ.get("FLOWPAIR_KILLS", "30")) // 4, 5)
ONE_WAY = struct.Struct(">QQIIHHBIQ")
START = FIRST_DAY * 1000
THERE = ONE_WAY.pack(START, START + 50, 0x0a000001, 0xc0a80001, 40000, 443, 6, 10, 1000)
BACK = ONE_WAY.pack(START + 5, START + 90, 0xc0a80001, 0x0a000001, 443, 40000, 6, 7, 9000)
LONELY = ONE_WAY.pack(START, START + 50, 0x0a000002, 0xc0a80001, 40001, 443, 6, 3, 300)
PAIR = ("10.0.0.1", 40000, "192.168.0.1", 443, 1, 10, 7, 1000, 9000)
ALONE = ("10.0.0.2", 40001, "192.168.0.1", 443, 1, 3, 0, 300, 0)


def stored_rows(store):
    rows = []
    for path in store.glob("pairs-*.sqlite"):
        with database(path) as db, contextlib.suppress(sqlite3.OperationalError):
            # A file that is being made has no table yet.
            rows += db.execute(
                "SELECT src_ip, src_port, dst_ip, dst_port, flows, fwd_packets, "
                "bwd_packets, fwd_octets, bwd_octets FROM pairs").fetchall()
    return sorted(rows)


class Collector:
    """One that stitches, and a connection to it."""

    def __init__(self, program, start, folder, port, schemas, *more):
        self.store, self.port = folder, port
        self.process = start(
            program, "--listen", f"tcp://127.0.0.1:{port}", "--store", folder, "--schemas",
            schemas, "--lateness", "36500d", "--flush-interval", "100ms", "--sync-interval",
            "20ms", "--summary", "json", *more)
        self.process.wait_line("listening on ")
        self.sequence = 0

    def connect(self):
        self.connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.connection.sendall(message(0, 7, [(2, one_way_template())], FIRST_DAY))

    def send(self, *records):
        self.connection.sendall(
            message(self.sequence, 7, [(257, b"".join(records))], FIRST_DAY))
        self.sequence += len(records)

    def pairs(self):
        return stored_rows(self.store)

    def waiting(self):
        with database(self.store / "flowpair.sqlite") as db:
            return db.execute("SELECT sum(waiting) FROM flowpair_waiting").fetchone()[0] or 0


@pytest.fixture
def collect(programs, repository, start, free_port, tmp_path):
    """collect(words) starts a collector of which pairs and services stitch so; None: not."""
    port = free_port()

    def make(words, *more):
        schemas = tmp_path / "schemas"
        shutil.rmtree(schemas, ignore_errors=True)
        shutil.copytree(repository / "schemas", schemas)
        for name in ("pairs", "services"):
            table = schemas / "tables" / f"{name}.yaml"
            if words is not None:
                table.write_text(f"{table.read_text()}stitch: {words}\n")
        return Collector(programs.collector, start, tmp_path / "store", port, schemas, *more)

    return make


def test_directions_that_come_in_different_flushes_are_one_row(collect, wait_for):
    collector = collect("1h")
    collector.connect()
    collector.send(THERE)
    wait_for(lambda: collector.waiting() == 1, "a flush that keeps the first one")
    assert collector.pairs() == []
    collector.send(BACK)
    wait_for(lambda: collector.pairs() == [PAIR], "a flush with both")
    wait_for(lambda: collector.waiting() == 0, "its last transaction")
    collector.process.stop()
    assert json.loads(collector.process.stdout)["stitched"] == 1
    assert collector.pairs() == [PAIR]


def test_what_stays_alone_is_stored_although_nothing_else_comes(collect, wait_for):
    collector = collect("1s")
    collector.connect()
    collector.send(LONELY)
    wait_for(lambda: collector.pairs() == [ALONE], "the end of the window")
    collector.process.stop()
    summary = json.loads(collector.process.stdout)
    assert summary["unstitched_alone"] == 1
    assert summary["unstitched_waiting"] == 0


def test_a_stop_stores_what_waits(collect, wait_for):
    collector = collect("1h")
    collector.connect()
    collector.send(LONELY)
    wait_for(lambda: collector.waiting() == 1, "a flush")
    collector.process.stop()
    assert collector.waiting() == 0
    assert collector.pairs() == [ALONE]


def test_a_killed_collector_goes_on_waiting(collect, wait_for):
    collector = collect("1h")
    collector.connect()
    collector.send(THERE, LONELY)
    wait_for(lambda: collector.waiting() == 2, "a flush")
    collector.process.kill()
    collector = collect("30min")  # another window takes them over
    assert collector.pairs() == []
    collector.connect()
    collector.send(BACK)
    wait_for(lambda: collector.pairs() == [PAIR], "the pair")
    collector.process.stop()
    assert collector.pairs() == [PAIR, ALONE]


def test_what_waited_is_not_given_up_with_the_word(
        collect, wait_for, programs, run, repository):
    collector = collect("1h")
    collector.connect()
    collector.send(THERE)
    wait_for(lambda: collector.waiting() == 1, "a flush")
    collector.process.kill()
    said = run(programs.collector, "--listen", "tcp://127.0.0.1:0", "--store",
               collector.store, "--schemas", repository / "schemas", status=2).stderr
    assert "1 one-way flows of an interrupted run still wait to be stitched" in said
    collect("1h").process.stop()
    collector = collect(None)
    collector.connect()
    collector.send(BACK)
    collector.process.stop()
    assert [row[5:7] for row in collector.pairs()] == [(10, 0), (7, 0)]


def test_a_damaged_file_is_stored_up_to_the_damage_once(
        programs, run, repository, tmp_path):
    file, store, schemas = (tmp_path / name for name in ("flows.ipfix", "store", "schemas"))
    shutil.copytree(repository / "schemas", schemas)
    pairs = schemas / "tables" / "pairs.yaml"
    pairs.write_text(f"{pairs.read_text()}stitch: 1h\n")
    file.write_bytes(message(0, 7, [(2, one_way_template())], FIRST_DAY)
                     + message(0, 7, [(257, THERE + LONELY)], FIRST_DAY)
                     + message(2, 7, [(257, BACK)], FIRST_DAY) + b"no message at all" * 9)
    for _ in range(2):
        said = run(programs.collector, "-r", file, "--store", store, "--schemas", schemas,
                   status=None)
        assert "damaged at byte" in said.stderr
        assert stored_rows(store) == [PAIR, ALONE]


class Sender(threading.Thread):
    """An exporter of one-way flows that connects again at once when the collector is gone.
    Directions of one flow are some messages apart."""

    PAUSE = 0.002

    def __init__(self, port, seed):
        super().__init__(daemon=True)
        self.port, self.source = port, random.Random(seed)
        self.is_stopped, self.later, self.number = False, collections.deque(), seed << 16

    def records(self):
        """Some new ones, and the other direction of some that were sent."""
        out = []
        for _ in range(self.source.randrange(1, 20)):
            start, end, *ends, protocol, packets, octets = RECORD.unpack(
                random_record(self.source))[:9]
            self.number += 1
            ends[0] = 0x0a000000 | self.number & 0xffffff
            out.append((start, end, *ends, protocol, packets, octets))
            if self.source.random() < 0.8:
                self.later.append((start + 3, end + 3, ends[1], ends[0], ends[3], ends[2],
                                   protocol, 1 + packets // 2, octets // 2))
        while len(self.later) > 300:
            out.append(self.later.popleft())
        return b"".join(ONE_WAY.pack(*record) for record in out)

    def send(self, connection):
        sequence = 0
        connection.sendall(message(0, 7, [(2, one_way_template())], FIRST_DAY))
        for _ in itertools.count():
            batch = self.records()
            connection.sendall(message(sequence, 7, [(257, batch)], FIRST_DAY))
            sequence += len(batch) // ONE_WAY.size
            if self.is_stopped:
                return
            time.sleep(self.PAUSE)

    def run(self):
        while not self.is_stopped:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=20) as c:
                    self.send(c)
            except OSError:
                time.sleep(0.005)


class Journalled:
    """What the journal has, by day and by both ends, whichever began."""

    KEY = ((0, 8), (0, 7), (0, 12), (0, 11), (0, 4))
    PACKETS, OCTETS = (0, 2), (0, 1)

    def __init__(self, folder):
        self.sums = collections.Counter()
        self.decoder = journal_reader.Decoder(self.take)
        for frame in journal_reader.journal(folder):
            self.decoder.frame(frame)

    def take(self, session, template, record):
        values = dict(zip(template.names, record))
        source, source_port, destination, destination_port, protocol = (
            values[element] for element in self.KEY)
        ends = frozenset(((socket.inet_ntoa(source.to_bytes(4, "big")), source_port),
                          (socket.inet_ntoa(destination.to_bytes(4, "big")),
                           destination_port)))
        self.sums[ends, protocol, "packets"] += values[self.PACKETS]
        self.sums[ends, protocol, "octets"] += values[self.OCTETS]


def stored(store):
    sums, rows, two_sided = collections.Counter(), 0, 0
    for path in sorted(store.glob("pairs-*.sqlite")):
        with database(path) as db:
            for source, sport, destination, dport, protocol, *counters in db.execute(
                    "SELECT src_ip, src_port, dst_ip, dst_port, protocol, fwd_packets, "
                    "bwd_packets, fwd_octets, bwd_octets FROM pairs"):
                ends = frozenset(((source, sport), (destination, dport)))
                sums[ends, protocol, "packets"] += counters[0] + counters[1]
                sums[ends, protocol, "octets"] += counters[2] + counters[3]
                rows += 1
                two_sided += counters[0] > 0 and counters[1] > 0
    return sums, rows, two_sided


@pytest.mark.parametrize("words", ("30s", "{ window: 5s, max_waiting: 1000 }"))
def test_live_collector_that_stitches_killed_at_random_moments_counts_its_journal_exactly(
        collect, tmp_path, words):
    source = random.Random(SEED + 5)
    kept = tmp_path / "kept"
    kept.mkdir()
    more = ("--max-keys", "3000", "--segment-size", "1GiB", "--journal-size", "4GiB")
    collector = collect(words, *more)
    senders = [Sender(collector.port, seed) for seed in (1, 2)]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        if source.random() < 0.7:
            collector.process.wait_line("connected by")
        run_for(collector.process, source.uniform(0, 0.4))
        assert collector.process.is_running(), collector.process.stderr
        collector.process.kill()
        keep_journal(collector.store / "journal", kept)
        collector = collect(words, *more)
    collector.process.wait_line("connected by")
    time.sleep(0.3)
    for sender in senders:
        sender.is_stopped = True
    for sender in senders:
        sender.join(timeout=60)
    collector.process.stop()
    keep_journal(collector.store / "journal", kept)

    expected = Journalled(kept)
    sums, rows, two_sided = stored(collector.store)
    records = sum(expected.decoder.records.values())
    print(f"{KILLS} kills, {records} records, {rows} rows, {two_sided} of both directions")
    assert records > 0
    assert sums == expected.sums
    assert two_sided > 0
    assert collector.waiting() == 0
    with sqlite3.connect(f"file:{collector.store}/flowpair.sqlite?mode=ro", uri=True) as db:
        assert db.execute("SELECT sum(records), sum(lost) FROM exporters").fetchone() == (
            records, 0)
