"""Plain TCP and the end of delivery: collectors that are away, come back or are something
else; an exporter that is told to stop."""

import json
import signal
import socket

import pytest

COLUMNS = ("Source.IP,Source.Port,Destination.IP,Destination.Port,Protocol,Timestamp,"
           "Flow.Duration,Total.Fwd.Packets,Total.Backward.Packets,"
           "Total.Length.of.Fwd.Packets,Total.Length.of.Bwd.Packets\n")


@pytest.fixture
def trace(tmp_path):
    """trace(n) writes a flow trace of n rows, each a conversation of its own."""
    def write(rows):
        path = tmp_path / f"{rows}.csv"
        path.write_text(COLUMNS + "".join(
            f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255},1024,10.200.0.1,443,6,"
            f"26/04/201711:11:17,100,3,4,500,600\n" for i in range(rows)))
        return path
    return write


@pytest.fixture
def collector(start, programs, tmp_path):
    def begin(port=0):
        process = start(programs.collector, "--listen", f"tcp://127.0.0.1:{port}",
                        "--store", tmp_path / "store", "--sync-interval", "20ms")
        process.port = int(process.wait_line(r"listening on .*:(\d+)").group(1))
        return process
    return begin


def exporter(programs, path, port, *more, give_up="30s"):
    return (programs.exporter, "--trace-csv", path, "--to", f"tcp://127.0.0.1:{port}",
            "--give-up", give_up, "--summary", "json", *more)


def count(run, programs, store):
    rows = run(programs.query, "--store", store, "conversations", "--columns", "src_ip",
               "--top", "1000000", "--format", "csv").stdout
    return len(rows.splitlines()) - 1


def test_everything_is_stored_when_the_exporter_has_ended(
        run, programs, trace, collector, tmp_path):
    c = collector()
    summary = json.loads(run(*exporter(programs, trace(50000), c.port)).stdout)
    assert summary["records"] == 50000 and summary["sender"]["dropped_records"] == 0
    c.kill()  # what the exporter was told is on disk; a crash now loses nothing
    c = collector()
    c.stop()
    assert count(run, programs, tmp_path / "store") == 50000


def test_a_stopped_exporter_gives_up_on_a_collector_that_is_away(
        start, programs, trace, free_port):
    e = start(*exporter(programs, trace(60000), free_port(), "--queue-size", "1MiB",
                        give_up="1s"))
    e.wait_line("cannot connect to tcp://127.0.0.1")
    e.process.send_signal(signal.SIGTERM)
    e.wait(status=1)
    assert "gave up delivering" in e.stderr
    sender = json.loads(e.stdout)["sender"]
    assert sender["messages"] == 0 and sender["dropped_messages"] > 0


def test_who_accepts_and_closes_at_once_gets_no_records(
        start, run, programs, trace, collector, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        e = start(*exporter(programs, trace(2000), port))
        for _ in range(3):  # as a proxy does whose collector is away
            door.accept()[0].close()
    collector(port).wait_line("connected by tcp")
    e.wait()
    assert json.loads(e.stdout)["sender"]["dropped_records"] == 0
