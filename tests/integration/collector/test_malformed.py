"""What nobody should send: the malformed corpora and mutations of what is right.  No
crash, no hang, bounded memory, and honest peers lose nothing.  Runs with the sanitizers'
build when FLOWPAIR_BUILD names it."""

import json
import random
import shutil
import socket
import sqlite3
import struct

import pytest

from ipfix_bytes import ipfix_set, message, messages, template
from stores import Store

MEMORY = 600 << 20  # bytes; a sanitizer takes a good part of it
CAPTURES = tuple(bytes.fromhex(magic) for magic in (
    "a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "0a0d0d0a"))
LINK_TYPES = (0, 1, 9, 101, 104, 113, 228, 229, 276)
HONEST = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (2, 8), (1, 8), (150, 4))
LAST_SEEN = 1700000000
TIMEOUT = 300  # seconds, for thousands of files on a slow machine


@pytest.fixture(scope="module")
def hostile(shared):
    files = sorted(path for kind in ("malformed", "routers")
                   for path in (shared / "corpora" / kind).rglob("*") if path.is_file())
    if not files:
        pytest.skip("the shared test data has no malformed files")
    return files


def unharmed(done, program):
    """It ended by itself, and said nothing but sentences."""
    assert done.returncode in (0, 1, 2), done.stderr[-3000:]
    for line in done.stderr.splitlines():
        assert line.startswith(f"{program.name}: "), done.stderr[-3000:]


def reading(paths):
    return [word for path in paths for word in ("-r", path)]


def honest_capture():
    """An empty capture: the first file must be one, the others may be anything."""
    return struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)


def export(programs, run, paths, folder):
    """Exports captures; what became of every packet is told, and every record is read.
    Returns how
    many packets there were, and how many of them were counted."""
    (folder / "first.pcap").write_bytes(honest_capture())
    done = run(programs.exporter, *reading([folder / "first.pcap", *paths]), "--to",
               f"file:{folder}/out.ipfix", "--summary", "json", status=None,
               errors="replace", timeout=TIMEOUT)
    unharmed(done, programs.exporter)
    said = json.loads(done.stdout)
    assert said["memory_bytes"] < MEMORY
    run(programs.collector, "-r", folder / "out.ipfix", "--store", folder / "store",
        "--tables", "services,exporters")
    assert Store(programs, run, folder / "store").records() == said["records"]
    return said["packets"], said["packets"] - said["dropped"]


def test_the_exporter_reads_every_capture(hostile, programs, run, tmp_path):
    captures = [path for path in hostile if path.open("rb").read(4) in CAPTURES]
    assert export(programs, run, captures, tmp_path)[0] > 10000


def write_capture(path, link_type, packets):
    with path.open("wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, link_type))
        for number, data in enumerate(packets):
            f.write(struct.pack("<IIII", LAST_SEEN + number // 50, number, len(data),
                                len(data)) + data)


@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_any_bytes_may_be_a_packet(link_type, hostile, programs, run, tmp_path):
    capture = tmp_path / "bytes.pcap"
    write_capture(capture, link_type, (path.read_bytes()[:9000] for path in hostile))
    assert export(programs, run, [capture], tmp_path)[0] == len(hostile)


def packets_around(hostile):
    """The bytes of each file as what follows an IP header, for protocols in turn."""
    for number, path in enumerate(hostile):
        data = path.read_bytes()[:9000]
        protocol = (0, 1, 4, 6, 17, 41, 43, 44, 47, 51, 58, 60, 132, 136)[number % 14]
        fragment = (0, 0, 0x2000, 0x2001, 0x1fff)[number % 5]
        if number % 3 == 0:
            yield struct.pack(">IHBB16s16s", 6 << 28, len(data), protocol, 64, b"a" * 16,
                              b"b" * 16) + data
        else:
            yield struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(data), number % 9,
                              fragment, 64, protocol, 0, b"aaaa", b"bbbb") + data


def test_any_bytes_may_follow_an_ip_header(hostile, programs, run, tmp_path):
    capture = tmp_path / "bytes.pcap"
    write_capture(capture, 101, packets_around(hostile))
    read, counted = export(programs, run, [capture], tmp_path)
    assert read == len(hostile) and counted > read / 3


def test_the_collector_imports_every_file(hostile, programs, run, tmp_path):
    done = run(programs.collector, *reading(hostile), "--store", tmp_path / "store",
               "--tables", "services,exporters", "--summary", "json", status=1,
               errors="replace", timeout=TIMEOUT)
    unharmed(done, programs.collector)
    said = json.loads(done.stdout)
    assert said["files"] == len(hostile)
    assert said["memory_bytes"] < MEMORY
    assert_adds_up(said, Store(programs, run, tmp_path / "store"))


def assert_adds_up(said, store):
    """Table `exporters` has what the summary has: nothing is dropped without a reason."""
    rows = store.rows("exporters")
    for name in ("messages", "octets", "templates", "records", "option_records", "lost",
                 "reordered"):
        assert sum(row[name] or 0 for row in rows) == said[name], name
    for reason, count in said["dropped"].items():
        column = "dropped_" + reason.replace("-", "_")
        if rows and column in rows[0]:
            assert sum(row[column] or 0 for row in rows) == count, reason


class Door:
    """A collector that listens on loopback."""

    def __init__(self, programs, run, start, folder, *more):
        self.store = Store(programs, run, folder / "store")
        self.process = start(programs.collector, "--listen", "tcp://127.0.0.1:0", "--store",
                             self.store.folder, "--summary", "json", "--flush-interval",
                             "1s", "--sync-interval", "5ms", *more)
        self.port = int(self.process.wait_line(r"listening on \S+:(\d+)")[1])

    def connect(self):
        peer = socket.create_connection(("127.0.0.1", self.port))
        peer.settimeout(60)
        return peer

    def throw(self, data):
        """Sends all of it, if the collector likes it or not, and waits for the end."""
        with self.connect() as peer:
            try:
                peer.sendall(data)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(4096):
                    pass
            except TimeoutError:
                raise
            except OSError:
                pass  # refused in the middle

    def stop(self):
        self.process.stop(timeout=TIMEOUT)
        for line in self.process.lines:
            assert line.startswith("flowpair-collector: "), self.process.stderr
        said = json.loads(self.process.stdout)
        assert said["memory_bytes"] < MEMORY
        return said


class HonestPeer:
    """Sends one record a message, whatever others do."""

    DOMAIN = 424242

    def __init__(self, door):
        self.peer = door.connect()
        self.sent = 0
        self.peer.sendall(message(ipfix_set(2, template(256, HONEST)), domain=self.DOMAIN))

    def send(self):
        record = struct.pack(">IIHHBQQI", 0x0a000001, 0x0a000002, 1000 + self.sent % 60000,
                             80, 6, 3, 400, LAST_SEEN)
        self.peer.sendall(message(ipfix_set(256, record), domain=self.DOMAIN,
                                  sequence=self.sent))
        self.sent += 1

    def end(self):
        self.peer.shutdown(socket.SHUT_WR)
        while self.peer.recv(4096):
            pass
        self.peer.close()

    def assert_lost_nothing(self, store):
        rows = store.rows("exporters", f"domain={self.DOMAIN}")
        assert sum(row["records"] for row in rows) == self.sent
        for row in rows:
            assert {name: row[name] for name in row
                    if (name == "lost" or name.startswith("dropped")) and row[name]} == {}
        stored = store.rows("conversations", "src_ip=10.0.0.1", "dst_ip=10.0.0.2",
                            "dst_port=80", "fwd_octets=400")
        assert len(stored) == self.sent


def test_bytes_at_the_door_harm_nobody(hostile, programs, run, start, tmp_path):
    door = Door(programs, run, start, tmp_path)
    honest = HonestPeer(door)
    known = message(ipfix_set(2, template(256, ((8, 4), (82, 65535), (2, 8)))))
    for number, path in enumerate(hostile):
        data = path.read_bytes()
        door.throw((
            data,
            data + message(data[:60000]),
            message(data[:60000]),
            known + message(ipfix_set(2, data[:60000]), ipfix_set(3, data[:5000]))
            + message(ipfix_set(256, data[:60000])))[number % 4])
        if number % 4 != 0:
            door.throw(data)
        honest.send()
    honest.end()
    said = door.stop()
    assert said["connections"] > len(hostile)
    assert_adds_up(said, door.store)
    honest.assert_lost_nothing(door.store)


@pytest.fixture(scope="module")
def stream(programs, repository, tmp_path_factory):
    """What our exporter sends of a few conversations, in several messages."""
    from conftest import run
    folder = tmp_path_factory.mktemp("stream")
    capture = folder / "packets.pcap"
    packets = []
    for i in range(300):
        payload = bytes(i % 50)
        udp = struct.pack(">HHHH", 1000 + i % 70, 53, 8 + len(payload), 0) + payload
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), i, 0, 64, 17, 0,
                         bytes((10, 0, 0, 1)), bytes((10, 0, 1, i % 7)))
        packets.append(ip + udp)
    write_capture(capture, 101, packets)
    run(programs.exporter, "-r", capture, "--to", f"file:{folder}/good.ipfix",
        "--message-size", "1200")
    return (folder / "good.ipfix").read_bytes()


def redefinition(pick):
    """A template that takes the place of one of ours, or cannot be one."""
    fields = [(pick.choice((8, 12, 4, 7, 11, 27, 28, 1, 2, 152, 150, 82, 210,
                            pick.randrange(500))),
               pick.choice((0, 1, 2, 4, 8, 16, 65535, 3, 12)))
              for _ in range(pick.randrange(30))]
    return bytearray(message(ipfix_set(2, template(pick.randrange(250, 264), fields))))


def mutate(stream, pick):
    sent = messages(stream)
    for _ in range(pick.choice((1, 1, 2, 5, 20))):
        m = pick.choice(sent)
        what = pick.randrange(7)
        if len(m) < 24 or what == 0:
            sent.insert(pick.randrange(len(sent)), redefinition(pick))
        elif what == 1:
            m[pick.randrange(16, len(m))] ^= 1 << pick.randrange(8)
        elif what == 2:
            struct.pack_into(">H", m, 16, pick.choice((0, 1, 2, 3, 255, 256, 258, 65535)))
        elif what == 3:
            struct.pack_into(">H", m, 18, pick.choice(
                (0, 3, 4, 5, len(m) - 17, len(m) - 15, 65535, pick.randrange(65536))))
        elif what == 4:
            del m[pick.randrange(20, len(m)):]
            struct.pack_into(">H", m, 2, len(m))
        elif what == 5:
            struct.pack_into(">H", m, pick.randrange(16, len(m) - 1),
                             pick.choice((0, 1, 4, 8, 65535, 65534, 0x8000, 256)))
        else:
            struct.pack_into(">I", m, pick.choice((4, 8, 12)),
                             pick.choice((0, 1, 2**31, 2**32 - 1)))
    out = bytearray(b"".join(sent))
    if pick.random() < 0.2:
        del out[pick.randrange(len(out)):]
    return bytes(out)


def test_mutated_streams_harm_nobody(stream, programs, run, start, tmp_path):
    pick = random.Random(20260101)
    door = Door(programs, run, start, tmp_path)
    honest = HonestPeer(door)
    for _ in range(600):
        door.throw(mutate(stream, pick))
        honest.send()
    honest.end()
    said = door.stop()
    assert_adds_up(said, door.store)
    honest.assert_lost_nothing(door.store)


def damage(path, pick):
    """Edits a file; returns what was done, for the message of a failure."""
    data = bytearray(path.read_bytes())
    at, length = pick.randrange(len(data)), pick.randrange(1, 5000)
    what = pick.choice(("flip", "cut", "zero", "head"))
    if what == "flip":
        data[at] ^= 1 << pick.randrange(8)
    elif what == "cut":
        del data[at:]
    elif what == "zero":
        data[at:at + length] = bytes(len(data[at:at + length]))
    else:
        data[at % 64] ^= 0xff
    path.write_bytes(data)
    return f"{path.name}: {what} at {at}, {length}"


def flows(folder):
    """Conversations in the store."""
    count = 0
    for path in folder.glob("conversations-*.sqlite"):
        with sqlite3.connect(path) as database:
            count += database.execute("select count(*) from conversations_rows").fetchone()[0]
        database.close()
    return count


def test_a_damaged_journal_is_never_skipped_in_silence(stream, programs, run, start,
                                                       tmp_path):
    door = Door(programs, run, start, tmp_path, "--flush-interval", "1h", "--lateness",
                "36500d")
    for _ in range(20):
        door.throw(stream)
    door.process.kill()
    master, copy = tmp_path / "store", tmp_path / "copy"
    pick = random.Random(7)
    whole = None
    for number in range(24):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(master, copy)
        what = "nothing"
        if number > 0:
            what = damage(pick.choice(sorted((copy / "journal").glob("*.journal"))), pick)
        again = start(programs.collector, "--listen", "tcp://127.0.0.1:0", "--store", copy,
                      "--summary", "none", "--lateness", "36500d")
        begun = again.wait_line(r"(listening on)|error: ")[1]
        code = again.stop(status=None) if begun else again.wait(status=None)
        lines = [line for line in again.lines if "listening on" not in line]
        for line in lines:
            assert line.startswith("flowpair-collector: "), (what, again.stderr)
        if number == 0:
            whole = flows(copy)
            assert code == 0 and whole > 0
        elif code == 0:
            said = any("cut off" in line for line in lines)
            # Behind what was durable, a file that ends at a frame's end looks whole.
            assert flows(copy) == whole or said or "cut" in what, (what, again.stderr)
        else:
            assert code in (1, 2) and len(lines) == 1, (what, again.stderr)
            assert "journal" in lines[0], (what, again.stderr)


def test_a_damaged_store_is_told_in_a_sentence(stream, programs, run, tmp_path):
    first, second = tmp_path / "1.ipfix", tmp_path / "2.ipfix"
    first.write_bytes(stream)
    second.write_bytes(stream + stream)
    master, copy = tmp_path / "store", tmp_path / "copy"
    run(programs.collector, "-r", first, "--store", master)
    pick = random.Random(8)
    for _ in range(25):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(master, copy)
        what = damage(pick.choice(sorted(copy.glob("*.sqlite"))), pick)
        for program, words in ((programs.query, ("pairs", "--by", "src_ip")),
                               (programs.query, ()),
                               (programs.collector, ("-r", second))):
            done = run(program, "--store", copy, *words, status=None, errors="replace")
            assert done.returncode in (0, 1, 2), (what, done.stderr)
            complaints = [line for line in done.stderr.splitlines() if ": info: " not in line]
            assert len(complaints) <= 1, (what, done.stderr)
            assert done.returncode == 0 or f"{program.name}: error: " in done.stderr, what


def test_mutated_schemas_are_told_in_a_sentence(programs, repository, run, tmp_path):
    pick = random.Random(9)
    words = (b"key", b"sum", b": ", b"{", b"}", b"[", b"\n", b"  ", b"from", b"prefix", b"*",
             b"&a", b"<<", b"99999999999999999999", b"-1", b"\x00", b"\xff", b"day", b"'")
    for _ in range(60):
        folder = tmp_path / "schemas"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(repository / "schemas", folder)
        path = pick.choice(sorted(folder.rglob("*.yaml")))
        data = bytearray(path.read_bytes())
        for _ in range(pick.choice((1, 2, 6))):
            at = pick.randrange(len(data))
            data[at:at + pick.choice((0, 0, 1, 4, 40))] = pick.choice(words)
        path.write_bytes(data)
        is_sent = path.name == "templates.yaml"
        program = programs.exporter if is_sent else programs.collector
        (tmp_path / "empty.pcap").write_bytes(honest_capture())
        done = run(program, "--schemas", folder, *(
            ("-r", tmp_path / "empty.pcap", "--to", "file:/dev/null") if is_sent
            else ("--check",)), status=None, errors="replace")
        assert done.returncode in (0, 2), (bytes(data), done.stderr)
        assert done.stderr.count("\n") == (done.returncode != 0), done.stderr
        if done.returncode != 0:  # a field with another name is missed where it is used
            assert path.name in done.stderr or (
                path.parent.name == "records" and f"{folder}/tables/" in done.stderr
            ), done.stderr
