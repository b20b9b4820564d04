"""A store that stops: the collector stops reading, the exporter waits, nothing grows, and
when the store goes on everything arrives, over every transport that can hold back."""

import pathlib
import socket
import time

import pytest

from chaos_world import SmallDisk
from test_tls import ROW, Collector

ROWS = 900_000  # of 45 bytes: more than the journal, and what the sockets hold, have room for
JOURNAL = 16 << 20  # the least that --journal-size takes
PEAK = 256 << 20    # of either process


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(params=["tcp", "tls", "sctp", "dtls+sctp"])
def scheme(request, run, programs):
    """(scheme, options of the listener's URI, options of the exporter's)"""
    if "sctp" not in request.param:
        return request.param, "", ""
    if "libusrsctp" not in run("ldd", programs.exporter).stdout:
        pytest.skip("the programs were built without libusrsctp")
    ours, theirs = free_udp_port(), free_udp_port()
    return (request.param, f"?encapsulation=udp&udp-port={ours}",
            f"?encapsulation=udp&udp-port={ours}&local-udp-port={theirs}")


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """Rows of 200 conversations, again and again: the tables stay small."""
    path = tmp_path_factory.mktemp("trace") / "trace.csv"
    path.write_text(ROW + "".join(
        f"10.1.0.{i % 200 + 1},1024,10.2.0.1,443,6,26/04/201711:11:{i // 200 % 60:02},"
        "100,1,0,500,0\n" for i in range(ROWS)))
    return path


@pytest.fixture
def disk(tmp_path):
    disk = SmallDisk(tmp_path / "disk", "64m")
    if not disk.is_mounted:
        disk.close()
        pytest.skip("this machine lets nobody mount a small file system")
    yield disk
    disk.close()


def peak(process):
    """Bytes of memory that it had at most."""
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


def size_of(folder):
    return sum(file.stat().st_size for file in folder.glob("*.journal"))


def test_a_store_that_stops_stops_the_exporter_and_costs_nothing(
        scheme, disk, trace, start, run, programs, tmp_path, certificates, wait_for):
    name, listening, dialling = scheme
    secure = name in ("tls", "dtls+sctp")
    journal = tmp_path / "journal"
    c = Collector(start, programs, disk.folder, *(certificates.options("server") if secure else ()),
                  "--journal", journal, "--journal-size", JOURNAL, "--segment-size", "4MiB",
                  "--tables", "pairs,exporters", "--flush-interval", "1s",
                  listen=f"{name}://127.0.0.1:0{listening}")
    disk.fill()
    exporter = start(programs.exporter, "--trace-csv", trace, "--summary", "json", "--to",
                     f"{name}://localhost:{c.port}{dialling}",
                     *(certificates.options("client") if secure else ()))
    wait_for(lambda: size_of(journal) >= JOURNAL - (4 << 20), "the journal gets full")
    still = -1
    while size_of(journal) != still:  # until the journal does not grow any more
        still = size_of(journal)
        time.sleep(1)
    assert still <= JOURNAL + (8 << 20)
    assert exporter.is_running()  # it waits
    assert max(peak(c.process), peak(exporter)) < PEAK
    disk.clear()
    c.process.wait_line("store writes succeed again")
    exporter.wait()
    assert peak(c.process) < PEAK
    assert sum(row["fwd_packets"] for row in c.rows(run, "pairs")) == ROWS
    lost, = {row["lost"] for row in c.rows(run, "exporters") if row["records"]}
    assert lost == 0
