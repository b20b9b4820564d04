"""The exporter as its operator meets it: inputs, signals, a collector that is away, a full
disk, and that no packet is lost between capture and record."""

import collections
import fcntl
import gzip
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

import pytest

from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests" / "golden"))
import dump  # noqa: E402

START = 1700000000


def udp_frame(source, sport, payload=10):
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + payload, 1, 0, 64, 17, 0,
                     socket.inet_aton(source), socket.inet_aton("192.0.2.9"))
    return (bytes(12) + b"\x08\x00" + ip + struct.pack(">HHHH", sport, 53, 8 + payload, 0) +
            bytes(payload))


def write_capture(path, packets):
    """packets: (seconds after START, frame)"""
    out = [struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)]
    for at, frame in packets:
        micros = round(at * 1_000_000)
        out += [struct.pack("<IIII", START + micros // 1_000_000, micros % 1_000_000,
                            len(frame), len(frame)), frame]
    path.write_bytes(b"".join(out))
    return path


def sums(path):
    """Packets and octets of all records of an IPFIX file, both directions."""
    total = collections.Counter()
    for record in dump.read_messages(path.read_bytes()):
        for pen, element, raw in record:
            if pen in (0, dump.REVERSE) and element in (1, 2):
                total[element] += int.from_bytes(raw, "big")
    return total[2], total[1]


@pytest.fixture
def export(programs, run, tmp_path):
    """export(arguments...) returns the summary and the path of the records."""
    def do(*arguments, status=0, **more):
        to = tmp_path / "records.ipfix"
        done = run(programs.exporter, *arguments, "--to", f"file:{to}", "--summary", "json",
                   status=status, **more)
        return json.loads(done.stdout), to
    return do


def test_every_packet_of_every_capture_is_in_a_record_or_counted_as_dropped(shared, export):
    captures = [p for p in sorted((shared / "corpora").rglob("*"))
                if p.suffix in (".pcap", ".pcapng", ".cap")]
    assert captures
    read = 0
    for capture in captures:
        try:
            summary, records = export("-r", capture, status=None)
        except json.JSONDecodeError:
            continue  # refused: not a capture at all
        packets, octets = sums(records)
        ends = summary["conversations"]
        assert packets + summary["dropped"] == summary["packets"], capture
        assert octets == summary["octets"], capture
        assert ends["created"] == sum(
            ends[x] for x in ("idle", "closed", "forced", "resources")), capture
        assert summary["records"] == ends["created"] + ends["active"], capture
        read += 1
    assert read > len(captures) / 2


def test_files_are_one_stream_in_the_order_given(export, tmp_path):
    first = write_capture(tmp_path / "1.pcap", [(0, udp_frame("192.0.2.1", 1))])
    second = write_capture(tmp_path / "2.pcap", [(5, udp_frame("192.0.2.1", 1))])
    summary, _ = export("-r", first, "-r", second)
    assert summary["conversations"]["created"] == 1
    assert [c["received"] for c in summary["captures"]] == [1, 1]


def test_an_older_file_after_a_newer_one_begins_anew(export, tmp_path):
    newer = write_capture(tmp_path / "1.pcap", [(3600, udp_frame("192.0.2.1", 1))])
    older = write_capture(tmp_path / "2.pcap", [(0, udp_frame("192.0.2.1", 1)),
                                                (20, udp_frame("192.0.2.1", 1))])
    summary, records = export("-r", newer, "-r", older)
    assert summary["conversations"]["created"] == 3
    assert summary["conversations"]["idle"] == 1
    assert sums(records)[0] == 3


def test_standard_input_is_read(programs, run, tmp_path):
    capture = write_capture(tmp_path / "1.pcap", [(0, udp_frame("192.0.2.1", 1))])
    done = run(programs.exporter, "-r", "-", "--to", f"file:{tmp_path}/o", "--summary", "json",
               input=capture.read_bytes(), text=False)
    assert json.loads(done.stdout)["packets"] == 1


def test_records_may_go_to_standard_output(programs, run, tmp_path):
    capture = write_capture(tmp_path / "1.pcap", [(0, udp_frame("192.0.2.1", 1))])
    done = run(programs.exporter, "-r", capture, "--to", "file:/dev/stdout", text=False)
    assert len(list(dump.read_messages(done.stdout))) == 1
    assert b"packets" in done.stderr


def test_a_pipe_that_is_not_blocking_is_waited_for(programs, tmp_path):
    packets = [(i, udp_frame(f"10.{i >> 8}.{i & 255}.1", 1 + i)) for i in range(4000)]
    capture = write_capture(tmp_path / "1.pcap", packets)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = subprocess.Popen([programs.exporter, "-r", capture, "--to", "file:-"],
                               stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    try:
        with open(reading, "rb") as pipe:
            assert select.select([pipe], [], [], 60)[0]
            time.sleep(0.2)  # it is full now
            patience = threading.Timer(60, process.kill)
            patience.start()
            records = list(dump.read_messages(pipe.read()))
            patience.cancel()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
    assert len(records) >= 4000


def test_a_damaged_file_does_not_keep_the_next_from_being_read(export, tmp_path):
    good = write_capture(tmp_path / "good.pcap", [(0, udp_frame("192.0.2.1", 1))])
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(good.read_bytes()[:24] + b"\xff" * 40)
    summary, _ = export("-r", bad, "-r", good, status=None)
    assert summary["packets"] == 1


def test_a_capture_of_a_link_type_that_is_not_understood_is_told(programs, run, tmp_path):
    frames = [(0, udp_frame("192.0.2.1", 1))] * 3
    radio = write_capture(tmp_path / "radio.pcap", frames)
    radio.write_bytes(radio.read_bytes()[:20] + struct.pack("<I", 105) +
                      radio.read_bytes()[24:])
    good = write_capture(tmp_path / "good.pcap", frames)
    done = run(programs.exporter, "-r", good, "-r", radio, "--to", f"file:{tmp_path}/o")
    told = [line for line in done.stderr.splitlines() if "link type" in line]
    assert len(told) == 1 and "radio.pcap: skipped 3 packets" in told[0]


def test_a_capture_that_ends_in_the_middle_of_a_packet_is_told(programs, run, tmp_path):
    frames = [(0, udp_frame("192.0.2.1", 1))] * 3
    good = write_capture(tmp_path / "good.pcap", frames)
    cut = write_capture(tmp_path / "cut.pcap", frames)
    cut.write_bytes(cut.read_bytes()[:-10])
    done = run(programs.exporter, "-r", cut, "-r", good, "--to", f"file:{tmp_path}/o",
               "--summary", "none")
    assert done.stderr.splitlines() == [
        f"flowpair-exporter: warning: {cut}: ends in the middle of a packet; the "
        "packets before it are counted"]


@pytest.mark.parametrize("arguments, said", [
    ([], "no input"),
    (["-r", "x", "-i", "lo"], "exclude each other"),
    (["-r", "/nonexistent/x.pcap", "--to", "file:/dev/null"], "/nonexistent/x.pcap"),
    (["-i", "lo"], "no destination"),
    (["-i", "lo", "--to", "file:/dev/null", "--idle-timeout", "2h"], "--active-timeout"),
    (["-r", "/etc/passwd", "--to", "file:/dev/null"], "/etc/passwd"),
    (["-r", "x", "--to", "file:/dev/null", "--user", "nobody"], "--user"),
    (["-i", "lo", "--to", "file:/dev/null", "--schemas", "/"], "elements.xml"),
])
def test_an_operators_error_is_one_sentence_and_status_2(programs, run, arguments, said):
    done = run(programs.exporter, *arguments, status=2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_filter_that_is_wrong_is_refused(programs, run, tmp_path):
    capture = write_capture(tmp_path / "1.pcap", [(0, udp_frame("192.0.2.1", 1))])
    done = run(programs.exporter, "-r", capture, "-f", "no such thing", "--to",
               f"file:{tmp_path}/o", status=2)
    assert "no such thing" in done.stderr
    assert not (tmp_path / "o").exists()


def test_a_full_disk_ends_the_run_with_status_1(programs, run, tmp_path):
    capture = write_capture(tmp_path / "1.pcap", [
        (i / 1000, udp_frame("192.0.2.1", i)) for i in range(20000)])
    done = run(programs.exporter, "-r", capture, "--to", "file:/dev/full", "--summary", "json",
               status=1)
    assert "No space left" in done.stderr
    summary = json.loads(done.stdout)
    assert summary["sender"]["records"] == 0
    assert summary["sender"]["dropped_records"] >= summary["records"]


def test_what_cannot_be_delivered_is_counted(programs, run, tmp_path, free_port):
    capture = write_capture(tmp_path / "1.pcap", [(0, udp_frame("192.0.2.1", 1))])
    done = run(programs.exporter, "-r", capture, "--to", f"tcp://127.0.0.1:{free_port()}",
               "--give-up", "100ms", "--summary", "json", status=1)
    summary = json.loads(done.stdout)
    assert summary["sender"]["dropped_records"] >= 1
    assert "gave up" in done.stderr


def test_a_second_signal_ends_waiting_for_a_collector(programs, start, tmp_path, free_port):
    capture = write_capture(tmp_path / "1.pcap", [
        (i / 1000, udp_frame(f"10.{i % 200}.{i // 200 % 200}.1", i % 60000))
        for i in range(60000)])
    exporter = start(programs.exporter, "-r", capture, "--to",
                     f"tcp://127.0.0.1:{free_port()}", "--give-up", "0", "--queue-size", "1MiB",
                     "--summary", "json")
    exporter.wait_line("cannot connect")
    exporter.process.send_signal(signal.SIGINT)
    exporter.stop(signal.SIGTERM, status=1)  # another one: two equal ones may arrive as one
    summary = json.loads(exporter.stdout)
    # however much it had read by then
    assert summary["sender"]["dropped_records"] >= summary["records"]


def test_results_do_not_depend_on_the_size_of_messages(export, tmp_path):
    capture = write_capture(tmp_path / "1.pcap", [
        (i / 50, udp_frame(f"10.0.{i % 7}.{i % 250}", i % 900)) for i in range(5000)])
    dumps = []
    for size in ("700", "1400", "65535"):
        _, records = export("-r", capture, "--message-size", size)
        dumps.append(dump.dump(records))
    assert dumps[0] == dumps[1] == dumps[2]


def may_capture():
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except OSError:
        return False
    return True


needs_capture = pytest.mark.skipif(not may_capture(), reason="capturing needs CAP_NET_RAW")


def send_datagrams(count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        sink.bind(("127.0.0.1", 0))
        for _ in range(count):
            source.sendto(b"datagram", sink.getsockname())
        return sink.getsockname()[1]


@needs_capture
def test_a_live_capture_ends_in_order_on_a_signal(programs, start, tmp_path):
    to = tmp_path / "records.ipfix"
    more = ["--user", "nobody"] if os.geteuid() == 0 else []
    exporter = start(programs.exporter, "-i", "lo", "-f", "udp", "--to", f"file:{to}",
                     "--summary", "json", *more)
    exporter.wait_line("capturing on lo")
    port = send_datagrams(5)
    exporter.stop(signal.SIGTERM)
    ends = [{(pen, element): raw for pen, element, raw in record}
            for record in dump.read_messages(to.read_bytes())]
    mine = [e for e in ends if int.from_bytes(e[0, 11], "big") == port]
    assert len(mine) == 1
    assert int.from_bytes(mine[0][0, 2], "big") == 5
    summary = json.loads(exporter.stdout)
    assert summary["conversations"]["forced"] >= 1
    assert summary["captures"][0]["name"] == "lo"


@needs_capture
def test_idle_conversations_are_sent_though_no_packet_comes(programs, start, tmp_path,
                                                            wait_for):
    to = tmp_path / "records.ipfix"
    exporter = start(programs.exporter, "-i", "lo", "-f", "udp", "--to", f"file:{to}",
                     "--idle-timeout", "200ms")
    exporter.wait_line("capturing on lo")
    port = send_datagrams(3)

    def has_come():
        return any(int.from_bytes(raw, "big") == port
                   for record in dump.read_messages(to.read_bytes())
                   for pen, element, raw in record if (pen, element) == (0, 11))
    wait_for(has_come, "the record of an idle conversation")
    exporter.stop()


TRACE = (b"Source.IP,Source.Port,Destination.IP,Destination.Port,Protocol,Timestamp,"
         b"Flow.Duration,Total.Fwd.Packets,Total.Backward.Packets,"
         b"Total.Length.of.Fwd.Packets,Total.Length.of.Bwd.Packets\n"
         b"192.0.2.1,1,192.0.2.9,53,17,26/04/201711:11:17,1,2,0,12,0\n")


@pytest.mark.parametrize("option", ["--read", "--trace-csv"])
def test_a_signal_ends_reading_from_a_pipe_that_brings_nothing_more(
        option, programs, start, tmp_path, wait_for):
    capture = write_capture(tmp_path / "1.pcap", [(0, udp_frame("192.0.2.1", 1))])
    os.mkfifo(tmp_path / "pipe")
    process = start(programs.exporter, option, tmp_path / "pipe", "--to",
                    f"file:{tmp_path}/records", "--summary", "json")
    with open(tmp_path / "pipe", "wb", buffering=0) as pipe:
        pipe.write(capture.read_bytes() if option == "--read" else TRACE)
        # It has taken all, and waits for more.
        wait_for(lambda: not int.from_bytes(
            fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder), "reading")
        time.sleep(0.2)
        process.stop(signal.SIGTERM)
    assert json.loads(process.stdout)["records"] == 1


def capture_bytes(path, *times):
    """A capture of one datagram at each of these times, and the beginning of another."""
    packets = [(at - START, udp_frame("192.0.2.1", 1 + i)) for i, at in enumerate(times)]
    return write_capture(path, packets).read_bytes() + bytes(7)


@pytest.mark.parametrize("what, option", [
    ("an old capture", "--read"), ("a capture being made", "--read"),
    ("a compressed capture", "--read"), ("a trace", "--trace-csv")])
def test_records_leave_though_a_pipe_is_quiet(what, option, programs, start, tmp_path,
                                              wait_for):
    """What has expired, though no message is full; of a capture that is being made, what
    expires while nothing comes."""
    path, to, pipe_path = (tmp_path / each for each in ("1.pcap", "records", "pipe"))
    now = time.time()
    bytes_ = {"an old capture": capture_bytes(path, START, START + 3600),
              "a capture being made": capture_bytes(path, now),
              "a compressed capture": gzip.compress(
                  capture_bytes(path, START, START + 3600))[:-8],
              "a trace": TRACE}[what]
    os.mkfifo(pipe_path)
    process = start(programs.exporter, option, pipe_path, "--to", f"file:{to}",
                    "--idle-timeout", "200ms", "--summary", "json")
    with open(pipe_path, "wb", buffering=0) as pipe:
        pipe.write(bytes_)
        wait_for(lambda: to.exists() and any(int.from_bytes(raw, "big") == 1
                             for record in dump.read_messages(to.read_bytes())
                             for pen, element, raw in record if (pen, element) == (0, 7)),
                 "the record of what came by the pipe")
        process.stop(signal.SIGTERM)
    assert json.loads(process.stdout)["records"] == 1 + (what in (
        "an old capture", "a compressed capture"))


@needs_capture
def test_an_interface_that_is_not_there_is_an_operators_error(programs, run):
    done = run(programs.exporter, "-i", "nosuch0", "--to", "file:/dev/null", status=2)
    assert "nosuch0" in done.stderr


@needs_capture
def test_packets_after_the_end_of_a_capture_are_not_missed(programs, start, free_port):
    port = free_port()
    exporter = start(programs.exporter, "-i", "lo", "-f", f"udp dst port {port}", "--duration",
                     "100ms", "--ring-size", "1MiB", "--to", f"tcp://127.0.0.1:{free_port()}",
                     "--give-up", "4s", "--summary", "json")
    exporter.wait_line("capturing on lo")
    time.sleep(1)  # it reads until 300 ms, and then tries to deliver
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _ in range(20000):
            s.sendto(bytes(1000), ("127.0.0.1", port))
    exporter.wait(status=1)
    capture = json.loads(exporter.stdout)["captures"][0]
    assert capture["kernel_dropped"] == 0


@needs_capture
def test_capturing_ends_after_its_duration(programs, run, tmp_path):
    done = run(programs.exporter, "-i", "lo", "--duration", "200ms", "--to",
               f"file:{tmp_path}/o", "--summary", "json")
    assert json.loads(done.stdout)["wall_seconds"] >= 0.2
