"""deploy/quickstart, as a stranger runs it."""

import os
import re

import pytest

from test_end_to_end import make_packets, write_capture


@pytest.fixture
def quickstart(repository, programs, run, tmp_path):
    """quickstart(words...) -> (what it showed, what it said); in a build that is there."""
    if programs.folder != repository / "build" / "release":
        pytest.skip("the quickstart shows build/release")

    def go(*words, status=0):
        done = run(repository / "deploy" / "quickstart", *words, status=status, timeout=170,
                   env={**os.environ, "TMPDIR": str(tmp_path)})
        return done.stdout, done.stderr
    return go


def test_a_capture_file_becomes_tables(quickstart, tmp_path):
    capture = write_capture(tmp_path / "made.pcap", make_packets(9, 40))
    shown, said = quickstart("--store", tmp_path / "kept", capture)
    assert re.search(r"packets became 40 conversation records", said)
    pairs, services, exporters = (part.strip().splitlines() for part in
                                  shown.strip().split("\n\n"))
    assert len(pairs) == 2 + 10 and len(services) > 2
    assert exporters[-1].split()[-2:] == ["40", "0"]  # records, lost
    assert (tmp_path / "kept" / "flowpair.sqlite").exists()


def test_other_transports_say_what_they_run_on(quickstart, tmp_path):
    capture = write_capture(tmp_path / "made.pcap", make_packets(9, 40))
    shown, said = quickstart("--transport", "sctp", capture)
    assert re.search(r"transport: sctp, on (the kernel's SCTP|SCTP in user space, carried in "
                     r"UDP)\n", said)
    assert re.search(r" sctp +\d+ +\d+ +40 +0\n", shown)
    starts = set(re.findall(r" (\d{4}-\d\d-\d\d)T", shown))
    assert set(re.findall(r"^\d{4}-\d\d-\d\d(?= )", shown, re.M)) <= starts
    _, said = quickstart("--transport", "pigeon", capture, status=2)
    assert "unknown transport 'pigeon'" in said and "usage" in said


def test_live_traffic_becomes_tables(quickstart, programs, run, tmp_path):
    allowed = run(programs.exporter, "-i", "lo", "--duration", "1ms", "--to",
                  f"file:{tmp_path}/x", status=None)
    if allowed.returncode != 0:
        pytest.skip("this user may not capture")
    shown, said = quickstart()
    assert "web connections to 127.0.0.1" in said
    port = re.search(r"connections to 127\.0\.0\.1 port (\d+)", said)[1]
    assert re.search(rf"127\.0\.0\.0/24\s+{port}\b" if int(port) < 1024 else
                     rf"127\.0\.0\.1\s+{port}\b", shown)


def test_a_capture_that_is_not_there_is_named(quickstart, tmp_path):
    _, said = quickstart(tmp_path / "none.pcap", status=2)
    assert "none.pcap" in said and "usage" in said
