"""kill -9 at random moments: what was journalled is counted exactly once, and an import
that was killed over and over ends with the totals of an undisturbed one.

FLOWPAIR_KILLS sets how many times each test kills (default 30; tests/long/run: 400);
FLOWPAIR_SEED the moments."""

import collections
import itertools
import json
import os
import random
import shutil
import socket
import sqlite3
import ssl
import struct
import sys
import threading
import time

import pytest

import journal_reader

KILLS = int(os.environ.get("FLOWPAIR_KILLS", "30"))
SEED = int(os.environ.get("FLOWPAIR_SEED", "1"))
TABLES = ("pairs", "services", "conversations", "exporters")
DAY = 86400
FIRST_DAY = 1493164800  # 2017-04-26


def message(sequence, domain, sets, export_time):
    body = b"".join(struct.pack(">HH", number, 4 + len(data)) + data for number, data in sets)
    return struct.pack(">HHIII", 10, 16 + len(body), export_time, sequence, domain) + body


# start and end in ms, addresses, ports, protocol, packets and octets of both sides
FIELDS = [(152, 8), (153, 8), (8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (2, 4), (1, 8),
          (0x8002, 4), (0x8001, 8)]
RECORD = struct.Struct(">QQIIHHBIQIQ")


def template():
    data = struct.pack(">HH", 256, len(FIELDS))
    for element, length in FIELDS:
        data += struct.pack(">HH", element, length)
        if element & 0x8000:
            data += struct.pack(">I", 29305)
    return data


def random_record(random_source):
    start = (FIRST_DAY + random_source.randrange(3 * DAY)) * 1000
    return RECORD.pack(
        start, start + random_source.randrange(60000),
        0x0a000000 | random_source.randrange(400), 0xc0a80000 | random_source.randrange(40),
        1024 + random_source.randrange(4), random_source.choice((22, 53, 80, 443, 8080)),
        random_source.choice((6, 17)), 1 + random_source.randrange(100),
        random_source.randrange(100000), random_source.randrange(100),
        random_source.randrange(100000))


def one_way_template():
    return struct.pack(">HH", 257, 9) + b"".join(
        struct.pack(">HH", *field) for field in FIELDS[:9])


def write_one_way(path, records, seed):
    """A file of flows of which most have their other direction close behind them."""
    source = random.Random(seed)
    ready = []
    while len(ready) < records:
        start, end, *ends, protocol, packets, octets = RECORD.unpack(
            random_record(source))[:9]
        place = len(ready)
        ready.append((place, (start, end, *ends, protocol, packets, octets)))
        if source.random() < 0.8:
            ready.append((place + source.randrange(200), (
                start + source.randrange(100), end + 50, ends[1], ends[0], ends[3], ends[2],
                protocol, 1 + source.randrange(100), source.randrange(100000))))
    ready.sort()
    with open(path, "wb") as out:
        out.write(message(0, 1, [(2, one_way_template())], FIRST_DAY))
        for at in range(0, len(ready), 30):
            data = b"".join(struct.pack(">QQIIHHBIQ", *values)
                            for _, values in ready[at:at + 30])
            out.write(message(at, 1, [(257, data)], FIRST_DAY + at // 1000))
    return path


def write_ipfix(path, records, seed):
    """A file of two domains whose templates come again now and then; some is lost."""
    source = random.Random(seed)
    sequences = {1: 0, 2: 0}
    with open(path, "wb") as out:
        written = 0
        while written < records:
            domain = source.choice((1, 2))
            at = FIRST_DAY + written // 1000
            if written == 0 or source.random() < 0.01:
                for each in sequences:
                    out.write(message(sequences[each], each, [(2, template())], at))
            n = source.randrange(1, 40)
            data = b"".join(random_record(source) for _ in range(n))
            out.write(message(sequences[domain], domain, [(256, data)], at))
            written += n
            sequences[domain] += n + (source.random() < 0.02) * source.randrange(1, 9)
    return path


def database(path):
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def rows_of(store, table):
    """A table across its days, each row with its day, sorted."""
    rows = []
    for path in sorted(store.glob("*.sqlite")):
        with database(path) as db:
            named = db.execute("SELECT count(*) FROM sqlite_schema WHERE name = ?",
                               (table,)).fetchone()[0]
            if named:
                day = path.stem[-10:]
                rows += [(day,) + row for row in db.execute(f"SELECT * FROM {table}")]
    return sorted(rows, key=repr)


def everything(store):
    return {table: rows_of(store, table) for table in TABLES}


def sum_both_sides(store, what):
    """Over the days of table pairs."""
    total = 0
    for path in store.glob("pairs-*.sqlite"):
        with database(path) as db:
            total += db.execute(f"SELECT sum(fwd_{what} + bwd_{what}) FROM pairs"
                                ).fetchone()[0] or 0
    return total


def run_for(process, seconds):
    """Lets a process run for a time, or until it ends; whether it ended."""
    deadline = time.monotonic() + seconds
    while process.is_running() and time.monotonic() < deadline:
        time.sleep(0.005)
    return not process.is_running()


def test_import_killed_at_random_moments_ends_as_an_undisturbed_one(
        programs, run, start, tmp_path):
    source = random.Random(SEED)
    file = write_ipfix(tmp_path / "flows.ipfix", 20000, SEED)
    calm = tmp_path / "calm"
    began = time.monotonic()
    run(programs.collector, "-r", file, "--store", calm, "--max-keys", "700",
        "--summary", "none", timeout=600)
    whole = time.monotonic() - began
    wanted = everything(calm)
    assert len(wanted["conversations"]) >= 20000
    kills = imports = 0
    while kills < KILLS:
        killed = tmp_path / f"killed{imports}"
        imports += 1
        while True:
            process = start(programs.collector, "-r", file, "--store", killed,
                            "--max-keys", "700", "--summary", "none")
            if run_for(process, source.uniform(0, whole / 10)):
                process.wait()
                break
            process.kill()
            kills += 1
            assert kills < 100 * KILLS, "no run gets any further"
        assert everything(killed) == wanted
    print(f"{kills} kills in {imports} imports of {whole:.2f} s")


def test_import_that_stitches_and_is_killed_ends_as_an_undisturbed_one(
        programs, run, start, repository, tmp_path):
    source = random.Random(SEED)
    file = write_one_way(tmp_path / "flows.ipfix", 10000, SEED)
    schemas = tmp_path / "schemas"
    shutil.copytree(repository / "schemas", schemas)
    calm, plain = tmp_path / "calm", tmp_path / "plain"
    words = ("-r", file, "--max-keys", "700", "--schemas", schemas)
    run(programs.collector, *words, "--store", plain, "--summary", "none")
    for name in ("pairs", "services", "conversations"):
        table = schemas / "tables" / f"{name}.yaml"
        table.write_text(table.read_text() + "stitch: { window: 1s, max_waiting: 20 }\n")
    summary = json.loads(run(programs.collector, *words, "--store", calm, "--summary",
                             "json").stdout)
    assert all(summary[name] > 0 for name in (
        "stitched", "unstitched_alone", "unstitched_full"))
    wanted = everything(calm)
    for column in ("packets", "octets"):
        totals = [sum_both_sides(store, column) for store in (plain, calm)]
        assert totals[0] == totals[1] > 0
    with database(calm / "flowpair.sqlite") as db:
        assert db.execute("SELECT count(*) FROM flowpair_waiting").fetchone() == (0,)
    kills = imports = 0
    while kills < KILLS // 3:
        killed = tmp_path / f"killed{imports}"
        imports += 1
        while True:
            process = start(programs.collector, *words, "--store", killed, "--summary",
                            "none")
            if run_for(process, source.uniform(0, 0.3)):
                process.wait()
                break
            process.kill()
            kills += 1
            assert kills < 100 * KILLS, "no run gets any further"
        assert everything(killed) == wanted


def test_import_with_any_number_of_keys_in_memory_is_the_same(programs, run, tmp_path):
    file = write_ipfix(tmp_path / "flows.ipfix", 20000, SEED + 1)
    stores = [tmp_path / name for name in ("few", "many")]
    for store, keys in zip(stores, ("300", "1M")):
        run(programs.collector, "-r", file, "--store", store, "--max-keys", keys)
    assert everything(stores[0]) == everything(stores[1])


HALF_MADE = """
import os, signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size = 1")
db.execute("BEGIN")
db.execute("CREATE TABLE half (made)")
for i in range(2000):
    db.execute("INSERT INTO half VALUES (randomblob(1000))")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_day_file_that_was_killed_while_it_was_made_is_healed(programs, run, tmp_path):
    file = write_ipfix(tmp_path / "flows.ipfix", 500, SEED)
    calm, store = tmp_path / "calm", tmp_path / "store"
    store.mkdir()
    day = store / "pairs-2017-04-26.sqlite"
    run(sys.executable, "-c", HALF_MADE, day, status=None)
    assert (store / f"{day.name}-journal").stat().st_size > 0
    for folder in (calm, store):
        run(programs.collector, "-r", file, "--store", folder)
    assert everything(store) == everything(calm)


class Sender(threading.Thread):
    """An exporter that never rests: connects, sends its template and records, and begins
    again at once when the collector is gone."""

    MESSAGES = 200
    PAUSE = 0.002  # seconds between messages, so that a run stays small

    def __init__(self, port, seed, context):
        super().__init__(daemon=True)
        self.address, self.context = ("127.0.0.1", port), context
        source = random.Random(seed)
        self.batches = [b"".join(random_record(source) for _ in range(source.randrange(1, 40)))
                        for _ in range(self.MESSAGES)]
        self.is_stopped, self.connections = False, 0

    def connect(self):
        connection = socket.create_connection(self.address, timeout=20)
        if self.context is not None:
            connection = self.context.wrap_socket(connection)
        self.connections += 1
        return connection

    def send(self, connection):
        sequence = 0
        connection.sendall(message(0, 7, [(2, template())], FIRST_DAY))
        for batch in itertools.cycle(self.batches):
            connection.sendall(message(sequence, 7, [(256, batch)], FIRST_DAY))
            sequence += len(batch) // RECORD.size
            if self.is_stopped:
                return
            time.sleep(self.PAUSE)

    def run(self):
        while not self.is_stopped:
            try:
                with self.connect() as connection:
                    self.send(connection)
                    if self.context is not None:
                        connection.unwrap()
            except OSError:
                time.sleep(0.005)


def client_context(certificates):
    context = ssl.create_default_context(cafile=certificates.ca)
    context.load_cert_chain(certificates.client, certificates.client_key)
    context.check_hostname = False
    return context


class Expected:
    """Totals of the journal, decoded independently of the collector."""

    KEY = ((0, 8), (0, 7), (0, 12), (0, 11), (0, 4))
    PACKETS, REVERSE_PACKETS = (0, 2), (29305, 2)

    def __init__(self, folder):
        self.pairs = collections.Counter()  # key -> flows, packets forth and back
        self.decoder = journal_reader.Decoder(self.take)
        for frame in journal_reader.journal(folder):
            self.decoder.frame(frame)

    def take(self, session, template, record):
        values = dict(zip(template.names, record))
        source, source_port, destination, destination_port, protocol = (
            values[element] for element in self.KEY)
        key = (socket.inet_ntoa(source.to_bytes(4, "big")), source_port,
               socket.inet_ntoa(destination.to_bytes(4, "big")), destination_port, protocol)
        self.pairs[key, "flows"] += 1
        self.pairs[key, "packets"] += values[self.PACKETS]
        self.pairs[key, "back"] += values[self.REVERSE_PACKETS]


def stored_pairs(store):
    sums = collections.Counter()
    for path in sorted(store.glob("pairs-*.sqlite")):
        with database(path) as db:
            for *key, flows, forth, back in db.execute(
                    "SELECT src_ip, src_port, dst_ip, dst_port, protocol, flows, "
                    "fwd_packets, bwd_packets FROM pairs"):
                key = tuple(key)
                sums[key, "flows"] += flows
                sums[key, "packets"] += forth
                sums[key, "back"] += back
    return sums


def keep_journal(journal, kept):
    """Links what is there: trimming takes names away, not what is linked."""
    for segment in journal_reader.segments(journal):
        try:
            os.link(segment, kept / segment.name)
        except (FileExistsError, FileNotFoundError):
            pass


def count(store, table):
    total = 0
    for path in store.glob(f"{table}-*.sqlite"):
        with database(path) as db:
            total += db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return total


@pytest.mark.parametrize("scheme", ("tls", "tcp"))
def test_live_collector_killed_at_random_moments_counts_its_journal_exactly(
        scheme, programs, certificates, start, free_port, tmp_path):
    source = random.Random(SEED + 2)
    kills = KILLS if scheme == "tls" else max(KILLS // 4, 5)
    port = free_port()
    store, kept = tmp_path / "store", tmp_path / "kept"
    kept.mkdir()

    def collector():
        return start(programs.collector, "--listen", f"{scheme}://127.0.0.1:{port}",
                     "--store", store, "--max-keys", "3000", "--flush-interval", "100ms",
                     "--sync-interval", "20ms", "--lateness", "30000d", "--summary", "json",
                     "--segment-size", "1GiB", "--journal-size", "4GiB",
                     *(certificates.options("server") if scheme == "tls" else ()))

    context = client_context(certificates) if scheme == "tls" else None
    senders = [Sender(port, seed, context) for seed in (1, 2)]
    for sender in senders:
        sender.start()
    for _ in range(kills):
        process = collector()
        # Some are killed while they start and replay, most while they take records.
        if source.random() < 0.7:
            process.wait_line("connected by")
        run_for(process, source.uniform(0, 0.4))
        assert process.is_running(), process.stderr
        process.kill()
        keep_journal(store / "journal", kept)
    process = collector()
    process.wait_line("connected by")
    time.sleep(0.3)
    for sender in senders:
        sender.is_stopped = True
    for sender in senders:
        sender.join(timeout=60)
    process.stop()
    keep_journal(store / "journal", kept)

    expected = Expected(kept)
    records = sum(expected.decoder.records.values())
    print(f"{kills} kills, {records} records, "
          f"{sum(sender.connections for sender in senders)} connections")
    assert records > 0
    assert stored_pairs(store) == expected.pairs
    assert count(store, "conversations") == records
    with database(store / "flowpair.sqlite") as db:
        assert db.execute("SELECT sum(messages), sum(records), sum(lost), "
                          "sum(dropped_no_template) FROM exporters").fetchone() == (
                              sum(expected.decoder.messages.values()), records, 0, 0)
        flows = db.execute("SELECT sum(flows) FROM services").fetchone()[0]
    # A conversation between two service ports counts for both.
    assert flows == sum(n * ((key[1] < 1024) + (key[3] < 1024))
                        for (key, what), n in expected.pairs.items() if what == "flows")
