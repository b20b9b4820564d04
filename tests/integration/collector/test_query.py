"""flowpair-query as people meet it: formats, listing, what terminals see, limits of time."""

import fcntl
import ipaddress
import os
import pty
import random
import sqlite3
import struct
import subprocess
import termios

import pytest

from conftest import run
from stores import Store
from test_seed import HEADER, PAIRS, ROWS, WHEN, to_ipfix, write_trace


@pytest.fixture(scope="module")
def store(programs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("query")
    ipfix, _ = to_ipfix(programs, run, write_trace(folder / "t.csv", ROWS))
    made = Store(programs, run, folder / "store")
    run(programs.collector, "-r", ipfix, "--store", made.folder, "--exporter",
        "tap\x1b[31m,1")
    return made


def test_without_a_table_they_are_listed(store):
    listing = store.listing()
    assert set(listing) >= {"pairs", "services", "conversations", "exporters",
                            "net_services"}
    assert listing["pairs"]["days"] == 1
    assert listing["pairs"]["first_day"] == "2017-04-26"
    assert listing["conversations"]["rows"] == 8


def test_json_and_csv_have_the_same_rows(store):
    assert store.json("pairs") == store.rows("pairs")
    assert store.json("services", "service_port=9") == []


def test_stored_names_and_iso_names(store):
    first = store.rows("pairs", "--limit", "1", "--columns", "start_ns")
    assert first == [{"start_ns": 1493205077000000000}]
    first = store.rows("pairs", "--limit", "1", "--columns", "start", "--iso")
    assert first == [{"start": "2017-04-26T11:11:17Z"}]


def test_a_table_for_people_shows_iso_times_and_escapes_text(store):
    text = store.ask("pairs", "--columns", "exporter,start,fwd_packets", "--limit", "1",
                     "--top", "1", "--sort", "fwd_packets").stdout
    assert text.splitlines() == [
        "exporter       start                 fwd_packets",
        "tap\\x1b[31m,1  2017-04-26T11:11:17Z          136"]
    csv = store.ask("pairs", "--columns", "exporter", "--limit", "1", "--format", "csv")
    assert csv.stdout == 'exporter\n"tap\x1b[31m,1"\n'  # universal newlines


def on_terminal(command, columns):
    """What a program writes to a terminal of this width."""
    try:
        main, side = pty.openpty()
    except OSError as error:
        pytest.skip(f"no terminals here: {error}")
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    with subprocess.Popen([str(word) for word in command], stdout=side,
                          stderr=subprocess.PIPE) as process:
        os.close(side)
        text = b""
        while True:
            try:
                more = os.read(main, 65536)
            except OSError:
                break
            if not more:
                break
            text += more
        complaint = process.stderr.read()
    os.close(main)
    return text.decode(), complaint.decode()


def test_a_terminal_shows_what_fits_and_says_what_does_not(store, programs):
    command = [programs.query, "--store", store.folder, "pairs", "--top", "2", "--sort",
               "fwd_payload_octets"]
    text, complaint = on_terminal(command, 80)
    lines = text.splitlines()
    assert len(lines) == 3 and all(len(line) <= 80 for line in lines)
    assert "fwd_payload_octets" in lines[0] and "313554" in lines[1]
    assert "columns do not fit" in complaint
    text, _ = on_terminal(command + ["--format", "csv"], 80)
    assert "\x1b" not in text


def test_where_may_be_given_any_way(store):
    wanted = [row[0] for row in PAIRS if row[3] == 3128]
    for words in (["dst_port=3128"], ["--where", "dst_port_eq=3128"],
                  ["-w", "dst_port_ge=3128", "dst_port_le=3128"],
                  ["dst_port_in=3128,9999"], ["dst_port=3128", "protocol=tcp"]):
        assert [ip for ip, in store.columns("pairs", "src_ip", *words)] == wanted


def test_addresses_compare_as_addresses(store):
    def sources(condition):
        return [ip for ip, in store.columns("pairs", "src_ip", condition)]
    assert sources("src_ip_lt=50.31.185.39") == ["10.200.7.6", "10.200.7.7"]
    assert sources("src_ip_ge=192.168.10.47") == ["192.168.10.47"] + 2 * ["192.168.72.43"]
    assert sources("src_ip=::ffff:10.200.7.6") == ["10.200.7.6"]
    assert sources("src_ip_prefix=10.200.0.0/16") == ["10.200.7.6", "10.200.7.7"]
    assert sources("src_ip_like=172.%") == ["172.19.1.46"]
    assert store.columns("services", "service_ip", "service_ip=50.31.185.200") == [
        ("50.31.185.0/24",)]


@pytest.mark.parametrize("words, mentions", [
    (["pairs", "src_ip_prefix=10.0.0.1/8"], ["10.0.0.1/8", "beyond its length"]),
    (["pairs", "src_ip=10.0.0.0/8"], ["src_ip_prefix=10.0.0.0/8"]),
    (["pairs", "src_ip=router"], ["router", "10.0.0.1"]),
    (["pairs", "dst_port_prefix=3"], ["dst_port is a number"]),
    (["pairs", "dst_port_lt=http"], ["http", "whole number"]),
    (["pairs", "dst_port<80"], ["dst_port<80", "write dst_port_lt=80"]),
    (["pairs", "--from", "tomorrow"], ["tomorrow", "2017-04-26"]),
    (["pairs", "--from", "2017-04-27", "--to", "2017-04-26"], ["not before"]),
    (["pairs", "--by", "src"], ["src"]),
    (["pairs", "--by", "src_ip", "--columns", "dst_ip"], ["dst_ip", "--by"]),
    (["pairs", "--sort", "octet"], ["octet"]),
    (["pairs", "--format", "xml"], ["xml", "json"]),
    (["pairs", "services"], ["services", "pairs is already given"]),
    (["dst_port=80"], ["table"]),
    (["exporters", "--columns", "identty"], ["identty", "identity"]),
])
def test_a_question_that_cannot_be_asked_is_explained(store, words, mentions):
    done = store.ask(*words, status=2)
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    for mention in mentions:
        assert mention in lines[0]


def test_a_store_without_files_to_write_beside_is_readable(store, programs, tmp_path):
    """A copy on read-only media, as far as permissions can make it so."""
    for file in store.folder.iterdir():
        if file.suffix == ".sqlite":
            (tmp_path / file.name).write_bytes(file.read_bytes())
            (tmp_path / file.name).chmod(0o444)
    tmp_path.chmod(0o555)
    again = Store(programs, run, tmp_path)
    try:
        assert again.rows("pairs") == store.rows("pairs")
    finally:
        tmp_path.chmod(0o755)


def test_a_damaged_store_is_named(programs, tmp_path):
    (tmp_path / "flowpair.sqlite").write_bytes(b"no database at all, " * 500)
    done = run(programs.query, "--store", tmp_path, "pairs", status=None)
    assert done.returncode != 0 and str(tmp_path / "flowpair.sqlite") in done.stderr


def test_a_day_that_was_removed_is_no_error(programs, tmp_path):
    later = [row.replace("26/04", "27/04") for row in ROWS]
    ipfix, _ = to_ipfix(programs, run, write_trace(tmp_path / "t.csv", ROWS + later, HEADER))
    made = Store(programs, run, tmp_path / "store")
    made.read_ipfix(ipfix)
    assert len(made.rows("pairs")) == 14
    for file in made.folder.glob("pairs-2017-04-26.sqlite*"):
        file.unlink()
    assert len(made.rows("pairs")) == 7


@pytest.fixture(scope="module")
def large(programs, tmp_path_factory):
    """A store whose answer is larger than what query holds in memory."""
    folder = tmp_path_factory.mktemp("large")
    rows = [f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255},{i % 50000},10.9.8.7,443,6,{WHEN},"
            f"{i},1,2,3,4" for i in range(120_000)]
    ipfix, _ = to_ipfix(programs, run, write_trace(folder / "t.csv", rows))
    made = Store(programs, run, folder / "store")
    made.read_ipfix(ipfix)
    return made


def test_a_reader_that_stops_reading_cannot_keep_the_store_open(large, programs):
    with subprocess.Popen([programs.query, "--store", large.folder, "pairs", "--format",
                           "json", "--timeout", "10s"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        assert process.wait(60) == 1  # nobody read a byte
        assert "not read in time" in process.stderr.read()


def test_a_reader_that_takes_its_time_with_a_small_answer_gets_all_of_it(large, programs):
    with subprocess.Popen([programs.query, "--store", large.folder, "pairs", "--format",
                           "csv", "--limit", "60000", "--timeout", "5s"],
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("exporter,")
        with sqlite3.connect(large.folder / "pairs-2017-04-26.sqlite") as writer:
            writer.execute("PRAGMA busy_timeout=60000")
            # A checkpoint that waits for readers goes through: there is none.
            assert writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        assert len(process.stdout.readlines()) == 60000
    assert process.returncode == 0


def test_a_question_that_takes_too_long_is_ended(large):
    done = large.ask("pairs", "--by", "src_ip", "--timeout", "1ms", status=None)
    assert done.returncode == 1 and "--timeout" in done.stderr


def test_the_top_and_the_first_of_several_runs_agree_with_all_rows(programs, tmp_path):
    """Keys lie in several runs; what they sum up to decides, not one run's part."""
    chance = random.Random(3)
    files = []
    for i in range(4):
        rows = [f"10.0.{key >> 8}.{key & 255},1000,10.9.8.7,{chance.choice((80, 443))},6,"
                f"{WHEN},{key},{int(chance.paretovariate(0.8))},0,5,5"
                for key in chance.sample(range(3000), 1500)]
        files.append(to_ipfix(programs, run, write_trace(tmp_path / f"{i}.csv", rows))[0])
    made = Store(programs, run, tmp_path / "store")
    for file in files:
        run(programs.collector, "-r", file, "--store", made.folder, "--exporter", "one",
            "--compact", "never")
    rows = made.columns("pairs", "src_ip,dst_port,fwd_packets")
    assert made.listing()["pairs"]["rows"] > len(rows)  # in several runs
    for words, keep in (([], rows), (["dst_port=80"], [r for r in rows if r[1] == 80]),
                        (["fwd_packets_lt=50"], [r for r in rows if r[2] < 50])):
        wanted = sorted(keep, key=lambda r: (-r[2], ipaddress.ip_address(r[0]), r[1]))[:25]
        assert made.columns("pairs", "src_ip,dst_port,fwd_packets", "--top", "25",
                            "--sort", "fwd_packets", *words) == wanted
        first = sorted(keep, key=lambda r: (ipaddress.ip_address(r[0]), r[1]))
        assert made.columns("pairs", "src_ip,dst_port,fwd_packets", "--limit", "40",
                            *words) == first[:40]
        assert made.columns("pairs", "src_ip,dst_port,fwd_packets", *words) == first


def test_top_and_by_agree_with_plain_rows(large):
    rows = large.columns("pairs", "src_port,millis")
    sums = {}
    for port, millis in rows:
        sums[port] = sums.get(port, 0) + millis
    wanted = sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:5]
    assert large.columns("pairs", "src_port,millis", "--by", "src_port", "--top", "5",
                         "--sort", "millis") == wanted


def test_an_import_compacts_days_of_several_runs_unless_told_not_to(programs, tmp_path):
    chance = random.Random(5)
    rows = [f"10.0.{chance.randrange(9)}.{chance.randrange(250)},{chance.randrange(1, 9)},"
            f"10.9.8.{chance.randrange(3)},80,6,{WHEN},{chance.randrange(1, 900)},9,0,5,5"
            for _ in range(9000)]
    ipfix, _ = to_ipfix(programs, run, write_trace(tmp_path / "t.csv", rows))
    found, plain = {}, {}
    for when in ("auto", "never"):
        made = Store(programs, run, tmp_path / when)
        run(programs.collector, "-r", ipfix, "--store", made.folder, "--exporter", "one",
            "--max-keys", "1500", "--compact", when)
        found[when] = [made.rows("pairs", *words) for words in (
            [], ["src_ip_prefix=10.0.3.0/24"], ["dst_ip=10.9.8.1"], ["--top", "20"],
            ["--by", "src_ip", "--top", "9", "--sort", "fwd_packets"])]
        day = sqlite3.connect(made.folder / "pairs-2017-04-26.sqlite")
        plain[when] = sorted(day.execute("SELECT * FROM pairs_iso"))
        runs = day.execute("SELECT count(*) FROM pairs_extent").fetchone()[0]
        keys = day.execute("SELECT count(*) FROM pairs").fetchone()[0]
        stored = day.execute("SELECT count(*) FROM pairs_runs").fetchone()[0]
        indexes = {name for name, in day.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'pairs_runs'")}
        day.close()
        if when == "auto":
            assert (runs, stored) == (1, keys)
            assert indexes == {"pairs_by_src_ip", "pairs_by_dst_ip"}
        else:
            assert runs > 1 and stored > keys and not indexes
    assert found["auto"] == found["never"]
    assert plain["auto"] == plain["never"]
    # Late rows into a compacted day, and the same content once more.
    late, _ = to_ipfix(programs, run, write_trace(tmp_path / "late.csv", rows[:50]))
    for when in ("auto", "never"):
        made = Store(programs, run, tmp_path / when)
        for file in (late, ipfix):
            run(programs.collector, "-r", file, "--store", made.folder, "--exporter",
                "one", "--compact", when)
        found[when] = made.rows("pairs")
    assert found["auto"] == found["never"]
