"""A store, a journal and a spool that programs of 2026-11-21 left behind open and go on: not
a row is lost or counted twice.  tests/golden/old_data/make wrote them."""

import json
import pathlib
import re
import sqlite3
import sys
import tarfile

import pytest

OLD = pathlib.Path(__file__).resolve().parents[2] / "golden/old_data"
sys.path.insert(0, str(OLD))
import contents  # noqa: E402


@pytest.fixture
def old(tmp_path):
    for name in ("collector", "spool"):
        with tarfile.open(OLD / f"{name}.tar.xz") as archive:
            archive.extractall(tmp_path)
    return tmp_path


@pytest.fixture
def collector(start, programs, certificates, old):
    """Goes on with the old store and its journal."""
    def begin(*more):
        process = start(programs.collector, *contents.collector_words(old), "--summary",
                        "json", *certificates.options("server"), *more)
        process.port = int(process.wait_line(r"listening on tls://.*:(\d+)").group(1))
        process.wait_line(r"listening on tcp://")
        return process
    return begin


def pairs(store):
    with sqlite3.connect(f"file:{store}/pairs-2017-04-26.sqlite?mode=ro", uri=True) as db:
        # Traces count the octets of payloads.
        rows = db.execute(
            "SELECT src_ip, fwd_packets, coalesce(fwd_octets, fwd_payload_octets), "
            "bwd_packets, coalesce(bwd_octets, bwd_payload_octets) FROM pairs").fetchall()
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1:] for row in rows}


def exporters(store):
    with sqlite3.connect(f"file:{store}/flowpair.sqlite?mode=ro", uri=True) as db:
        return dict(db.execute("SELECT transport, sum(records) FROM exporters GROUP BY 1"))


def without(rows, part):
    return {source: row for source, row in rows.items()
            if not source.startswith(f"10.{part}.")}


def test_the_journal_is_replayed_into_the_store(collector, old):
    stored = pairs(old / "store")
    assert not any(source.startswith(("10.1.", "10.10.")) for source in stored)
    process = collector()
    assert re.search(r"\d+ messages .*journal", process.stderr)
    process.stop()
    assert json.loads(process.stdout)["lost"] == 0
    assert pairs(old / "store") == without(contents.pairs(), 2)
    assert exporters(old / "store") == {
        "tls": contents.STORED + contents.JOURNALLED,
        "tcp": contents.FILLER * contents.FILLER_RECORDS + contents.LAST}


def test_what_is_in_the_spool_is_delivered(collector, run, programs, certificates, old):
    def exporter(*words):
        return json.loads(run(programs.exporter, "--spool", old / "spool", "--summary", "json",
                              *words).stdout)
    before = exporter("--spool-status")
    assert before["held_records"] == contents.SPOOLED
    process = collector()
    exporter("--deliver-only", "--to", f"tls://127.0.0.1:{process.port}",
             *certificates.options("client"))
    assert exporter("--spool-status")["held_records"] == 0
    process.stop()
    assert json.loads(process.stdout)["lost"] == 0
    assert pairs(old / "store") == contents.pairs()


def test_a_crash_in_between_changes_nothing(collector, old, run, programs, certificates):
    for _ in range(2):
        collector().kill()
    process = collector("--flush-interval", "100ms")
    run(programs.exporter, "--spool", old / "spool", "--deliver-only", "--summary", "none",
        "--to", f"tls://127.0.0.1:{process.port}", *certificates.options("client"))
    process.kill()
    collector().stop()
    assert pairs(old / "store") == contents.pairs()
