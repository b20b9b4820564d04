"""Acknowledged delivery (common/ipfix/delivery.h) by an exporter that is written here: whatever
happens to the collector, tables end as exactly what was sent.

FLOWPAIR_KILLS sets how many times the collector is killed (default 30; tests/long/run: 400); FLOWPAIR_SEED the
moments."""

import collections
import os
import random
import select
import socket
import sqlite3
import struct
import threading
import time

import test_crash as crash

KILLS = int(os.environ.get("FLOWPAIR_KILLS", "30"))
SEED = int(os.environ.get("FLOWPAIR_SEED", "1"))
HELLO = struct.Struct(">II16sQQQQ8x")
WORD = struct.Struct(">IIQ")
WELCOME, ACKNOWLEDGED, BUSY, FULL = range(1, 5)


class Connection:
    """One connection of a spool that holds the messages from `first` on."""

    def __init__(self, port, context, spool, first, following, lost=0):
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket = context.wrap_socket(plain)
        assert self.socket.selected_alpn_protocol() == "flowpair/1"
        self.heard = b""
        self.sequence = 0
        self.socket.sendall(HELLO.pack(0x46503168, 1, spool, first, following, 0, lost))
        self.status, number = self.word()
        self.number = max(first, number)  # of the next message

    def word(self):
        """The next word; None: the collector ended in order."""
        while len(self.heard) < WORD.size:
            more = self.socket.recv(WORD.size - len(self.heard))
            if not more:
                return None
            self.heard += more
        magic, status, number = WORD.unpack(self.heard)
        self.heard = b""
        assert magic == 0x46503177
        return status, number

    def has_heard(self):
        return self.socket.pending() or select.select([self.socket], [], [], 0)[0]

    def begin(self):
        self.socket.sendall(crash.message(0, 7, [(2, crash.template())], crash.FIRST_DAY))

    def send(self, batch):
        self.socket.sendall(
            crash.message(self.sequence, 7, [(256, batch)], crash.FIRST_DAY))
        self.sequence += len(batch) // crash.RECORD.size
        self.number += 1

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Exporter(threading.Thread):
    """Makes messages until it is stopped and sends them until all are acknowledged.  Cuts
    its own connection now and then."""

    PAUSE = 0.002

    def __init__(self, port, seed, context):
        super().__init__(daemon=True)
        self.port, self.context = port, context
        self.random = random.Random(seed)
        self.spool = self.random.randbytes(16)
        self.batches = []  # by number
        self.first = 0
        self.is_stopped = False
        self.connections = self.refusals = self.again = self.cuts = 0
        self.problem = None

    def hear(self, word):
        status, number = word
        assert status == ACKNOWLEDGED and self.first <= number <= len(self.batches)
        self.first = number

    def send(self, connection):
        connection.begin()
        while not self.is_stopped or connection.number < len(self.batches):
            if connection.number == len(self.batches):
                self.batches.append(b"".join(
                    crash.random_record(self.random)
                    for _ in range(self.random.randrange(1, 40))))
            else:
                self.again += 1
            connection.send(self.batches[connection.number])
            while connection.has_heard():
                word = connection.word()
                if word is None:
                    return
                self.hear(word)
            if self.random.random() < 0.002:
                self.cuts += 1
                connection.reset()
                return
            time.sleep(self.PAUSE)
        # In order: the rest is acknowledged before the collector ends its side.
        while self.first < len(self.batches):
            word = connection.word()
            if word is None:
                return
            self.hear(word)

    def once(self):
        try:
            connection = Connection(
                self.port, self.context, self.spool, self.first, len(self.batches))
        except TypeError:  # it ended before it said a word
            return
        try:
            self.connections += 1
            if connection.status == WELCOME:
                assert self.first <= connection.number <= len(self.batches)
                self.send(connection)
            else:
                assert connection.status == BUSY
                self.refusals += 1
        finally:
            connection.close()

    def run(self):
        try:
            while not self.is_stopped or self.first < len(self.batches):
                try:
                    self.once()
                except OSError:
                    pass
                time.sleep(0.01)
        except AssertionError as problem:
            self.problem = problem
            raise


def acknowledging(certificates, certificate=None, key=None):
    context = crash.client_context(certificates)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["flowpair/1"])
    return context


def sums_of(exporters):
    sums = collections.Counter()
    for exporter in exporters:
        for batch in exporter.batches:
            for record in crash.RECORD.iter_unpack(batch):
                _, _, source, destination, source_port, destination_port, protocol = record[:7]
                key = (socket.inet_ntoa(source.to_bytes(4, "big")), source_port,
                       socket.inet_ntoa(destination.to_bytes(4, "big")), destination_port,
                       protocol)
                sums[key, "flows"] += 1
                sums[key, "packets"] += record[7]
                sums[key, "back"] += record[9]
    return sums


def test_a_collector_killed_at_random_moments_ends_with_exactly_what_was_sent(
        programs, certificates, start, free_port, tmp_path):
    source = random.Random(SEED)
    port, store = free_port(), tmp_path / "store"

    def collector():
        return start(programs.collector, "--listen", f"tls://127.0.0.1:{port}",
                     "--store", store, "--max-keys", "3000", "--flush-interval", "100ms",
                     "--sync-interval", "20ms", "--lateness", "30000d", "--summary", "json",
                     "--segment-size", "4MiB", "--journal-size", "16MiB",
                     *certificates.options("server"))

    exporters = [Exporter(port, SEED + i, acknowledging(certificates)) for i in (1, 2)]
    for exporter in exporters:
        exporter.start()
    for _ in range(KILLS):
        process = collector()
        if source.random() < 0.7:
            process.wait_line("connected by")
        crash.run_for(process, source.uniform(0, 0.3))
        assert process.is_running(), process.stderr
        process.kill()
    process = collector()
    process.wait_line("connected by")
    for exporter in exporters:
        exporter.is_stopped = True
    for exporter in exporters:
        exporter.join(timeout=120)
        assert exporter.problem is None and not exporter.is_alive()
    process.stop()

    records = sum(len(batch) for e in exporters for batch in e.batches) // crash.RECORD.size
    print(f"{KILLS} kills, {sum(e.cuts for e in exporters)} cuts, {records} records, "
          f"{sum(e.connections for e in exporters)} connections, "
          f"{sum(e.refusals for e in exporters)} busy, "
          f"{sum(e.again for e in exporters)} messages sent again")
    assert sum(e.again for e in exporters) > 0
    assert crash.stored_pairs(store) == sums_of(exporters)
    assert crash.count(store, "conversations") == records
    with crash.database(store / "flowpair.sqlite") as db:
        assert db.execute("SELECT sum(records), sum(lost), sum(dropped_no_template) "
                          "FROM exporters").fetchone() == (records, 0, 0)


def test_a_clone_is_refused_and_one_that_was_killed_comes_back(
        programs, certificates, start, free_port, tmp_path, wait_for):
    port, context = free_port(), acknowledging(certificates)
    process = start(programs.collector, "--listen", f"tls://127.0.0.1:{port}", "--store",
                    tmp_path / "store", "--summary", "json", *certificates.options("server"))
    process.wait_line("listening on")
    spool = bytes(range(16))
    first = Connection(port, context, spool, 0, 5)
    assert first.status == WELCOME and first.number == 0
    clone = Connection(port, context, spool, 0, 5)
    assert clone.status == BUSY and clone.word() is None
    clone.close()
    first.begin()
    first.reset()  # as the kernel does for a process that was killed

    def is_welcome():
        again = Connection(port, context, spool, 0, 5)
        again.close()
        return again.status == WELCOME

    wait_for(is_welcome, "a spool whose exporter was killed is welcome again")
    process.stop()
    assert '"clone": ' in process.stdout and '"clone": 0' not in process.stdout


def test_one_certificate_cannot_keep_others_out_by_inventing_spools(
        programs, certificates, start, free_port, tmp_path, wait_for):
    port, hoarder = free_port(), acknowledging(certificates)
    newcomer = acknowledging(certificates, *certificates.sign("newcomer", "DNS:new.example"))
    process = start(programs.collector, "--listen", f"tls://127.0.0.1:{port}", "--store",
                    tmp_path / "store", "--max-spools", 4, "--summary", "json",
                    *certificates.options("server"))
    process.wait_line("listening on")

    def status(context, spool):
        connection = Connection(port, context, bytes([spool]) * 16, 0, 5)
        connection.close()
        return connection.status

    assert [status(hoarder, i) for i in range(5)] == [WELCOME] * 4 + [FULL]
    # Until the collector has seen one of the others go.
    wait_for(lambda: status(newcomer, 9) == WELCOME, "a newcomer gets a place")
    wait_for(lambda: status(newcomer, 8) == WELCOME, "and a second one")
    assert status(newcomer, 7) == FULL
    process.stop()


def test_what_a_spool_lost_is_shown_once(programs, certificates, start, free_port, tmp_path):
    port, context = free_port(), acknowledging(certificates)
    store = tmp_path / "store"
    batch = crash.random_record(random.Random(SEED))
    for lost in (12, 12, 15):
        process = start(programs.collector, "--listen", f"tls://127.0.0.1:{port}",
                        "--store", store, *certificates.options("server"))
        process.wait_line("listening on")
        connection = Connection(port, context, b"0123456789abcdef", 3, 4, lost)
        wanted = connection.number
        connection.begin()
        connection.send(batch)
        while connection.word() != (ACKNOWLEDGED, wanted + 1):
            pass
        process.kill()
        connection.close()
    process = start(programs.collector, "--listen", f"tls://127.0.0.1:{port}", "--store",
                    store, *certificates.options("server"))
    process.wait_line("listening on")
    process.stop()
    with sqlite3.connect(store / "flowpair.sqlite") as db:
        assert db.execute("SELECT sum(records), sum(lost), max(domain) FROM exporters "
                          "WHERE lost > 0").fetchone()[1:] == (15, 7)
