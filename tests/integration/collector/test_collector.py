"""The collector as its operator sees it: what it refuses, what it imports, how it stops,
and what it says about its journal."""

import gzip
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import time

import pytest

from test_crash import (FIRST_DAY, database, message, random_record, template,
                        write_ipfix)

PATIENCE = 200  # seconds that anything may take on a slow, busy machine


def records_of(store):
    """0 also where nothing was stored yet."""
    with database(store / "flowpair.sqlite") as db:
        return db.execute("SELECT coalesce(sum(records), 0) FROM exporters").fetchone()[0]


def exporters(store, columns):
    with database(store / "flowpair.sqlite") as db:
        return db.execute(f"SELECT {columns} FROM exporters ORDER BY 1").fetchall()


def batch(seed, count):
    source = random.Random(seed)
    return b"".join(random_record(source) for _ in range(count))


def messages(count, records=10, seed=5):
    """Template and data messages of one domain, in order."""
    out, sequence = [message(0, 1, [(2, template())], FIRST_DAY)], 0
    for i in range(count):
        out.append(message(sequence, 1, [(256, batch(seed + i, records))], FIRST_DAY))
        sequence += records
    return out


@pytest.fixture
def imports(programs, run, tmp_path):
    """imports(file...) imports into tmp_path/store; its summary, and what it said."""
    def begin(*files, status=0, **more):
        words = [word for file in files for word in ("-r", file)]
        done = run(programs.collector, *words, "--store", tmp_path / "store", "--summary",
                   "json", status=status, **more)
        return json.loads(done.stdout), done.stderr
    return begin


@pytest.mark.parametrize("words, says", (
    ((), "nothing to do: give --listen URI or -r FILE"),
    (("-r", "x.ipfix"), "give --store"),
    (("--listen", "tcp://127.0.0.1:0", "-r", "x", "--store", "s"), "exclude each other"),
    (("--listen", "tls://127.0.0.1:0", "--store", "s"), "needs --certificate and --key"),
    (("--listen", "http://127.0.0.1:0", "--store", "s"), "http"),
    (("-r", "none.ipfix", "--store", "s"), "No such file"),
    (("-r", "/dev/null", "--store", "s"), "not a regular file"),
    (("-r", "x.ipfix", "--store", "sqlite:"), "sqlite:DIR"),
    (("--listen", "tcp://192.0.2.1:0", "--store", "s"), "cannot listen"),
    (("-r", "x.ipfix", "--store", "mysql:s"), "mysql"),
    (("--check", "--tables", "pair"), "did you mean 'pairs'"),
    (("--listen", "tcp://127.0.0.1:0", "--store", "s", "--journal-size", "1MiB"), "journal"),
))
def test_an_operators_mistake_is_one_sentence_and_status_2(words, says, programs, run,
                                                          tmp_path):
    (tmp_path / "x.ipfix").write_bytes(b"")
    done = run(programs.collector, *words, "--summary", "none", status=2, cwd=tmp_path)
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_standard_input_is_refused_since_an_import_reads_twice(programs, run, tmp_path):
    done = run(programs.collector, "-r", "-", "--store", tmp_path / "store", status=2)
    assert "standard input is not a regular file" in done.stderr


def test_check_says_nothing_when_all_is_well(programs, run):
    done = run(programs.collector, "--check")
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("storage", ["partition: none\nstorage: upsert",
                                     "partition: day\nstorage: runs"])
@pytest.mark.parametrize("view, says", [("SELECT nosuch FROM x", "view 'y'.*no such column"),
                                        ("SELEC", "syntax error")])
def test_a_view_that_no_store_would_take_is_told_before_there_is_one(
        storage, view, says, programs, repository, run, tmp_path):
    shutil.copytree(repository / "schemas", tmp_path / "schemas")
    (tmp_path / "schemas/tables/x.yaml").write_text(
        f"table: x\nfrom: conversation\n{storage}\nkey: {{ a: sourceAddress }}\n"
        f"values: {{ n: {{ sum: flows }} }}\nviews: {{ y: '{view}' }}\n")
    for words in (["--check"], ["--listen", "tcp://127.0.0.1:0", "--store", tmp_path / "store"]):
        done = run(programs.collector, "--schemas", tmp_path / "schemas", *words, status=2)
        assert re.search(rf"x\.yaml: .*{says}", done.stderr)
    assert not (tmp_path / "store").exists()


def test_check_knows_whether_there_is_a_user(programs, run):
    done = run(programs.collector, "--check", "--user", "nosuch-user", status=2)
    assert "no such user" in done.stderr


def test_explain_prints_the_tables(programs, run):
    text = run(programs.collector, "--explain").stdout
    for table in ("pairs", "services", "conversations", "exporters"):
        assert table in text


def test_only_named_tables_are_kept(programs, run, tmp_path):
    file = write_ipfix(tmp_path / "f.ipfix", 100, 1)
    run(programs.collector, "-r", file, "--store", tmp_path / "s", "--tables",
        "pairs,exporters")
    kinds = {path.name.split("-")[0] for path in (tmp_path / "s").glob("*-*.sqlite")}
    assert kinds == {"pairs"}


def test_a_second_import_of_the_same_content_adds_nothing(imports, tmp_path):
    file = write_ipfix(tmp_path / "f.ipfix", 500, 2)
    first, _ = imports(file)
    packed = tmp_path / "other-name.ipfix.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    second, said = imports(file, packed)
    assert first["records"] >= 500 and second["records"] == 0
    assert second["files_already"] == 2
    assert said.count("already imported") == 2
    assert records_of(tmp_path / "store") == first["records"]


def test_lost_records_are_counted_exactly(imports, tmp_path):
    parts = messages(20)
    (tmp_path / "f").write_bytes(b"".join(parts[:5] + parts[8:12] + parts[13:]))
    summary, _ = imports(tmp_path / "f")
    assert summary["lost"] == 40
    assert exporters(tmp_path / "store", "exporter, records, lost") == [("f", 160, 40)]


@pytest.mark.parametrize("name", ["day:2026", "192.0.2.1:2026", "[::1]:7"])
def test_a_file_is_called_by_its_whole_name(imports, tmp_path, name):
    (tmp_path / name).write_bytes(b"".join(messages(2)))
    imports(tmp_path / name)
    assert exporters(tmp_path / "store", "exporter, peer") == [(name, name)]


def test_a_damaged_file_keeps_what_came_before_and_names_the_byte(imports, tmp_path):
    good = b"".join(messages(5))
    (tmp_path / "f").write_bytes(good + b"garbage in the middle" + b"".join(messages(3)))
    for _ in range(2):  # again and again it is the same
        summary, said = imports(tmp_path / "f", status=1)
        assert f"damaged at byte {len(good)}" in said
        assert records_of(tmp_path / "store") == 50
    assert summary["records"] == 0


def test_other_files_are_imported_beside_a_bad_one(imports, tmp_path):
    (tmp_path / "bad").write_bytes(b"no IPFIX at all, and nothing like it")
    file = write_ipfix(tmp_path / "f.ipfix", 50, 3)
    summary, said = imports(tmp_path / "bad", file, status=1)
    assert "not a file of IPFIX or NetFlow messages" in said
    assert summary["files_failed"] == 1 and summary["records"] >= 50


def test_what_is_around_the_messages_is_skipped_and_counted(imports, tmp_path):
    whole = b"".join(messages(5))
    (tmp_path / "zeros").write_bytes(b"#!head" + whole + bytes(1000))
    (tmp_path / "short").write_bytes(whole + messages(7)[6][:-5])
    summary, said = imports(tmp_path / "zeros", tmp_path / "short")
    assert summary["records"] == 100
    assert summary["skipped"]["leading"] == 6
    assert summary["skipped"]["trailing"] == 1000 + len(messages(7)[6]) - 5
    assert said.count("skipped") == 3


def pcap(path, packets):
    """A capture of raw IP packets."""
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
        for i, packet in enumerate(packets):
            out.write(struct.pack("<IIII", FIRST_DAY, i, len(packet), len(packet)) + packet)
    return path


def ip(payload, source="192.0.2.1", fragment=0, number=1, protocol=17):
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), number, fragment, 64,
                       protocol, 0, socket.inet_aton(source),
                       socket.inet_aton("192.0.2.200")) + payload


def udp(payload, port=5000):
    return struct.pack(">HHHH", port, 4739, 8 + len(payload), 0) + payload


def test_each_sender_in_a_capture_is_a_session_of_its_own(imports, tmp_path):
    packets = [ip(udp(part), source) for part in messages(10)
               for source in ("192.0.2.1", "192.0.2.2")]
    summary, _ = imports(pcap(tmp_path / "f.pcap", packets))
    assert summary["sessions"] == 2 and summary["lost"] == 0
    assert exporters(tmp_path / "store", "exporter, transport, records") == [
        ("192.0.2.1", "udp", 100), ("192.0.2.2", "udp", 100)]


def test_datagrams_may_be_late_or_missing(imports, tmp_path):
    parts = messages(20)
    parts[5], parts[7] = parts[7], parts[5]
    del parts[12]
    summary, _ = imports(pcap(tmp_path / "f.pcap", [ip(udp(part)) for part in parts]))
    assert (summary["records"], summary["lost"]) == (190, 10)
    assert summary["reordered"] == 2


def test_datagrams_in_fragments_are_put_together(imports, tmp_path):
    packets = []
    for number, part in enumerate(messages(5, records=30)):
        whole = udp(part)
        cuts = [whole[at:at + 512] for at in range(0, len(whole), 512)]
        pieces = [ip(cut, fragment=(0x2000 if i + 1 < len(cuts) else 0) | i * 64,
                     number=number) for i, cut in enumerate(cuts)]
        packets += reversed(pieces)
    packets.append(ip(udp(b"x" * 600)[:512], fragment=0x2000, number=99))
    summary, _ = imports(pcap(tmp_path / "f.pcap", packets))
    assert summary["records"] == 150
    assert summary["skipped"]["pieces"] == 1


def test_what_is_no_export_in_a_capture_is_counted_by_reason(imports, tmp_path):
    packets = [ip(udp(part)) for part in messages(2)]
    packets += [ip(udp(b"\0\5" + bytes(22 + 48))), ip(udp(b"\0\7" + bytes(40))),
                ip(udp(b"GET / HTTP")), ip(b"tcp", protocol=6), ip(udp(bytes(100)))[:60]]
    summary, _ = imports(pcap(tmp_path / "f.pcap", packets))
    assert summary["records"] == 20
    assert {name: n for name, n in summary["skipped"].items() if n} == {
        "not-export": 3, "not-udp": 1, "cut": 1}


def test_an_interrupted_import_goes_on(programs, start, imports, tmp_path):
    file = write_ipfix(tmp_path / "f.ipfix", 300000, 4)
    process = start(programs.collector, "-r", file, "--store", tmp_path / "store",
                    "--max-keys", "1000", "--summary", "json")
    time.sleep(0.3)
    process.stop(signal.SIGINT, status=None)
    first = json.loads(process.stdout)["records"]
    if process.process.returncode != 0:
        assert "stopped before the end" in process.stderr
    second, _ = imports(file)
    assert first + second["records"] == records_of(tmp_path / "store") >= 300000


class Live:
    """A collector on a plain TCP port."""

    def __init__(self, programs, start, store, *more):
        ports = store.parent / f"{store.name}.ports"
        ports.unlink(missing_ok=True)
        self.process = start(programs.collector, "--listen", "tcp://127.0.0.1:0", "--store",
                             store, "--port-file", ports, "--lateness", "30000d",
                             "--summary", "json", *more)
        self.process.wait_line(r"listening on tcp://127\.0\.0\.1:\d+")
        deadline = time.monotonic() + PATIENCE
        while not ports.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.port = int(ports.read_text().strip().rsplit(":", 1)[1])

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def send(self, *parts):
        with self.connect() as connection:
            connection.sendall(b"".join(parts))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(100):  # the collector closes when all is taken
                pass

    def stop(self):
        self.process.stop()
        return json.loads(self.process.stdout)


@pytest.fixture
def live(programs, start, tmp_path):
    def begin(*more):
        return Live(programs, start, tmp_path / "store", *more)
    return begin


def test_a_stop_stores_everything_that_was_sent(live, tmp_path):
    collector = live("--flush-interval", "1h")
    collector.send(*messages(100))
    with collector.connect() as still_open:
        still_open.sendall(b"".join(messages(50)))
        time.sleep(0.2)
        summary = collector.stop()
    assert summary["records"] == 1500 == records_of(tmp_path / "store")
    assert summary["dropped"]["no-template"] == 0 and summary["connections"] == 2


def test_what_came_is_stored_within_the_interval_though_no_more_comes(live, tmp_path,
                                                                     wait_for):
    collector = live("--flush-interval", "200ms")
    collector.send(*messages(10))
    wait_for(lambda: records_of(tmp_path / "store") == 100, "the flush")
    collector.stop()


def test_days_may_be_deleted_while_the_collector_runs(live, tmp_path, wait_for):
    store = tmp_path / "store"

    def conversations():
        rows = 0
        for file in store.glob("conversations-*.sqlite"):
            with database(file) as db:
                rows += db.execute("SELECT count(*) FROM conversations").fetchone()[0]
        return rows

    collector = live("--flush-interval", "100ms")
    collector.send(*messages(10))
    wait_for(lambda: records_of(store) == 100 == conversations(), "the flush")
    for file in store.glob("*-20*.sqlite*"):
        file.unlink()
    collector.send(*messages(10, seed=6))
    assert collector.stop()["records"] == 200 == records_of(store)
    live().stop()
    assert conversations() == 100


def test_after_a_crash_the_journal_is_replayed_once(live, tmp_path):
    collector = live("--flush-interval", "1h")
    collector.send(*messages(100))
    collector.process.kill()
    assert records_of(tmp_path / "store") == 0
    for replayed in (True, False, False):
        collector = live("--flush-interval", "1h")
        assert ("101 messages from the journal"
                in collector.process.stderr) == replayed
        collector.process.kill()
        assert records_of(tmp_path / "store") == 1000
    assert live().stop()["records"] == 0
    assert records_of(tmp_path / "store") == 1000


def test_a_journal_that_is_full_when_the_collector_starts_is_no_obstacle(live, tmp_path):
    sizes = ("--segment-size", "4MiB", "--flush-interval", "1h")
    collector = live(*sizes, "--journal-size", "64MiB")
    body = b"".join(messages(1, records=1200)[1:])
    with collector.connect() as connection:
        connection.sendall(messages(0)[0] + b"".join(
            body[:8] + struct.pack(">I", 1200 * i) + body[12:] for i in range(300)))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(100):
            pass
    collector.process.kill()
    collector = live(*sizes, "--journal-size", "16MiB")
    collector.send(*messages(10))
    collector.stop()
    assert records_of(tmp_path / "store") == 360100


def test_a_damaged_journal_is_named_with_its_repair(live, programs, run, tmp_path):
    collector = live("--flush-interval", "1h", "--sync-interval", "1ms")
    for i in range(5):
        collector.send(*messages(10, seed=100 * i))
        time.sleep(0.1)
    collector.process.kill()
    segment = sorted((tmp_path / "store/journal").glob("*.journal"))[0]
    with open(segment, "r+b") as file:
        file.seek(4096 + 300)
        file.write(b"damage")
    again = (programs.collector, "--listen", "tcp://127.0.0.1:0", "--store",
             tmp_path / "store")
    done = run(*again, "--summary", "none", status=1)
    assert "--skip-damaged-journal" in done.stderr and segment.name in done.stderr
    assert done.stderr.count("\n") == 1
    collector = live("--skip-damaged-journal")
    collector.stop()
    assert "could not be read and are lost" in collector.process.stderr
    assert 0 < records_of(tmp_path / "store") < 500


def test_an_older_copy_of_the_journal_is_refused(live, programs, run, tmp_path):
    collector = live()
    collector.send(*messages(10))
    collector.stop()
    journal = tmp_path / "store/journal"
    for path in journal.glob("*.journal"):
        os.truncate(path, 4096)
    (journal / "synced").unlink()
    done = run(programs.collector, "--listen", "tcp://127.0.0.1:0", "--store",
               tmp_path / "store", "--summary", "none", status=1)
    assert "older copy" in done.stderr


def test_a_new_store_refuses_a_journal_that_was_trimmed(live, programs, run, tmp_path):
    for i in range(3):  # each start begins a segment, the flush at the end trims
        collector = live()
        collector.send(*messages(10, seed=i))
        collector.stop()
    done = run(programs.collector, "--listen", "tcp://127.0.0.1:0", "--store",
               tmp_path / "new", "--journal", tmp_path / "store/journal", "--summary",
               "none", status=1)
    assert "use the store that belongs to this journal" in done.stderr


def test_two_collectors_share_neither_store_nor_journal(live, programs, run, tmp_path):
    collector = live()
    listen = (programs.collector, "--listen", "tcp://127.0.0.1:0", "--summary", "none")
    done = run(*listen, "--store", tmp_path / "store", status=1)
    assert "is writing to this store" in done.stderr
    done = run(*listen, "--store", tmp_path / "other", "--journal",
               tmp_path / "store/journal", status=1)
    assert "in use by another collector" in done.stderr
    collector.stop()


def test_the_journal_is_trimmed_as_tables_are_stored(live, tmp_path):
    collector = live("--segment-size", "4MiB", "--journal-size", "16MiB", "--max-keys",
                     "20000")
    body = b"".join(messages(1, records=1200)[1:])
    with collector.connect() as connection:
        connection.sendall(messages(0)[0])
        for i in range(350):
            connection.sendall(body[:8] + struct.pack(">I", 1200 * i) + body[12:])
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(100):
            pass
    summary = collector.stop()
    journal = tmp_path / "store/journal"
    assert summary["records"] == 420000 and summary["lost"] == 0
    assert summary["octets"] > 20 << 20
    assert sum(path.stat().st_size for path in journal.glob("*.journal")) < 17 << 20


def open_to_others(folder):
    """Other users may reach this folder of the test's."""
    for place in (folder, *folder.parents):
        if place.stat().st_mode & 0o005 != 0o005:
            place.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_user_owns_what_is_written(programs, start, run, tmp_path):
    open_to_others(tmp_path)
    collector = Live(programs, start, tmp_path / "store", "--user", "nobody")
    collector.send(*messages(10))
    status = open(f"/proc/{collector.process.pid}/status", encoding="ascii").read()
    assert collector.stop()["records"] == 100
    assert "Uid:\t65534\t65534\t65534\t65534" in status
    assert {path.stat().st_uid for path in (tmp_path / "store").rglob("*")} == {65534}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_user_owns_what_an_import_writes(programs, run, tmp_path):
    open_to_others(tmp_path)
    (tmp_path / "x.ipfix").write_bytes(b"".join(messages(10)))
    run(programs.collector, "-r", tmp_path / "x.ipfix", "--store", tmp_path / "store",
        "--user", "nobody")
    owned = [tmp_path / "store", *(tmp_path / "store").rglob("*")]
    assert {path.stat().st_uid for path in owned} == {65534}


def test_quarantine_needs_no_attention_in_ordinary_life(live, tmp_path):
    collector = live()
    collector.send(*messages(10))
    assert collector.stop()["quarantined"] == 0
    assert list((tmp_path / "store/journal/quarantine").iterdir()) == []
