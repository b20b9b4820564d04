"""The exporter's spool: collectors that are away, exporters killed at random moments, and
an account that is exact over all of it: what the tables hold is what the spool says was
handed over.

FLOWPAIR_SPOOL_KILLS sets how often the exporter is killed (default 25); FLOWPAIR_SEED the
moments."""

import json
import os
import random
import signal
import time

import pytest

KILLS = int(os.environ.get("FLOWPAIR_SPOOL_KILLS", "25"))
SEED = int(os.environ.get("FLOWPAIR_SEED", "1"))
COLUMNS = ("Source.IP,Source.Port,Destination.IP,Destination.Port,Protocol,Timestamp,"
           "Flow.Duration,Total.Fwd.Packets,Total.Backward.Packets,"
           "Total.Length.of.Fwd.Packets,Total.Length.of.Bwd.Packets\n")


@pytest.fixture
def trace(tmp_path):
    """trace(n, run) writes a flow trace of n rows, each a conversation of its own."""
    def write(rows, run=0):
        path = tmp_path / f"{run}-{rows}.csv"
        path.write_text(COLUMNS + "".join(
            f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255},{1024 + run},10.200.0.1,443,6,"
            f"26/04/201711:11:17,100,3,4,500,600\n" for i in range(rows)))
        return path
    return write


@pytest.fixture
def collector(start, programs, certificates, tmp_path):
    def begin(port=0, store=tmp_path / "store"):
        process = start(programs.collector, "--listen", f"tls://127.0.0.1:{port}",
                        "--store", store, "--sync-interval", "20ms",
                        *certificates.options("server"))
        process.port = int(process.wait_line(r"listening on .*:(\d+)").group(1))
        return process
    return begin


@pytest.fixture
def exporter(programs, certificates, tmp_path):
    """exporter(port, ...): the command of an exporter with the spool."""
    def command(port, *more, give_up="60s"):
        return (programs.exporter, "--spool", tmp_path / "spool", "--to",
                f"tls://127.0.0.1:{port}", "--give-up", give_up, "--summary", "json",
                *certificates.options("client"), *more)
    return command


@pytest.fixture
def status(run, programs, tmp_path):
    def read(directory=tmp_path / "spool"):
        return json.loads(run(programs.exporter, "--spool-status", "--spool", directory,
                              "--summary", "json").stdout)
    return read


def count(run, programs, store):
    rows = run(programs.query, "--store", store, "conversations", "--columns", "src_ip",
               "--top", "10000000", "--format", "csv").stdout
    return len(rows.splitlines()) - 1


def test_what_is_kept_without_a_collector_is_delivered_later(
        run, programs, trace, collector, exporter, status, free_port, tmp_path):
    done = run(*exporter(free_port(), "--trace-csv", trace(30000), give_up="200ms"), status=1)
    assert "gave up delivering" in done.stderr
    sender = json.loads(done.stdout)["sender"]
    assert sender["kept"] and sender["held_records"] == 30000
    assert sender["dropped_records"] == 0
    before = status()
    assert before["records"] == before["held_records"] == 30000
    assert before["first"] == 0 and before["delivered_records"] == 0
    assert not before["running"]
    text = run(programs.exporter, "--spool-status", "--spool", tmp_path / "spool").stdout
    assert before["id"] in text and "30 000" in text
    c = collector()
    done = run(*exporter(c.port, "--deliver-only"))
    assert json.loads(done.stdout)["sender"]["records"] == 30000
    c.stop()
    assert count(run, programs, tmp_path / "store") == 30000
    after = status()
    assert after["id"] == before["id"] and after["records"] == 30000
    assert after["delivered_records"] == 30000 and after["held_records"] == 0
    assert after["bytes"] == 0


def test_nothing_to_deliver_needs_no_collector(run, exporter, trace, free_port, collector):
    done = run(*exporter(free_port(), "--deliver-only"))
    assert json.loads(done.stdout)["sender"]["failures"] == 0


def test_exporter_killed_at_random_moments_loses_nothing_that_was_handed_over(
        run, start, programs, trace, collector, exporter, status, free_port, tmp_path):
    source = random.Random(SEED)
    c, nobody = collector(), free_port()
    for kill in range(KILLS):
        port = source.choice((c.port, nobody))
        e = start(*exporter(port, "--trace-csv", trace(40000, kill)))
        time.sleep(source.uniform(0, 0.3))
        e.kill()
        if source.random() < 0.2:
            c.kill()
            c = collector(c.port)
    ledger = status()
    assert ledger["lost_records"] == 0
    done = run(*exporter(c.port, "--deliver-only"))
    if ledger["held_records"] > 0:
        assert "the last run did not shut down cleanly" in done.stderr
    after = status()
    assert after["records"] == ledger["records"] == after["delivered_records"]
    assert after["held_records"] == after["lost_records"] == 0
    c.stop()
    assert count(run, programs, tmp_path / "store") == after["records"]
    print(f"{KILLS} kills, {after['records']} records")


def test_a_copied_spool_is_noticed_and_counts_nothing_twice(
        run, programs, trace, collector, exporter, status, free_port, tmp_path):
    run(*exporter(free_port(), "--trace-csv", trace(5000), give_up="100ms"), status=1)
    copy = tmp_path / "copy"
    run("cp", "-a", tmp_path / "spool", copy)
    c = collector()
    run(*exporter(c.port, "--trace-csv", trace(5000, 1)))
    old = status()
    copied = [str(copy) if str(word).endswith("/spool") else word for word in
              exporter(c.port, "--trace-csv", trace(5000, 2))]
    done = run(*copied)
    assert "is a copy or an old state of another spool" in done.stderr
    c.stop()
    assert status(copy)["id"] != old["id"]
    assert count(run, programs, tmp_path / "store") == 15000


def test_everything_goes_to_each_collector_that_is_to_have_all(
        run, programs, trace, collector, certificates, status, tmp_path):
    stores = [tmp_path / name for name in ("a", "b")]
    both = [collector(store=store) for store in stores]
    done = run(programs.exporter, "--trace-csv", trace(10000), "--delivery", "duplicate",
               "--to", f"tls://127.0.0.1:{both[0].port}",
               "--to", f"tls://127.0.0.1:{both[1].port}", "--summary", "json",
               "--spool", tmp_path / "spool", *certificates.options("client"))
    senders = json.loads(done.stdout)["senders"]
    assert [s["records"] for s in senders] == [10000, 10000]
    for c, store in zip(both, stores):
        c.stop()
        assert count(run, programs, store) == 10000
    assert status(tmp_path / "spool" / "1")["delivered_records"] == 10000
    assert status(tmp_path / "spool" / "2")["delivered_records"] == 10000


def test_what_is_left_where_other_targets_had_it_is_told_and_deliverable(
        run, programs, trace, collector, certificates, status, free_port, tmp_path):
    spool = tmp_path / "spool"

    def export(rows, *more, ports, **how):
        return run(programs.exporter, *more, *("--trace-csv", trace(rows)) if rows else (),
                   *(w for p in ports for w in ("--to", f"tls://127.0.0.1:{p}")),
                   "--summary", "json", "--give-up", "100ms", "--spool", spool,
                   *certificates.options("client"), **how)

    export(500, ports=[free_port()], status=1)
    stores = [tmp_path / name for name in ("a", "b")]
    both = [collector(store=store) for store in stores]
    ports = [c.port for c in both]
    done = export(300, "--delivery", "duplicate", ports=ports)
    assert f"{spool} holds 500 records of runs with other --to" in done.stderr
    assert "--deliver-only" in done.stderr
    assert {s["directory"]: s["held_records"] for s in map(json.loads, run(
        programs.exporter, "--spool-status", "--spool", spool, "--summary", "json")
        .stdout.splitlines())} == {f"{spool}/1": 0, f"{spool}/2": 0, str(spool): 500}
    done = export(0, "--deliver-only", ports=ports[:1])
    assert "other --to" not in done.stderr
    done = export(200, "--delivery", "duplicate", ports=[free_port(), ports[1]], status=1)
    done = export(0, "--deliver-only", ports=ports[:1])
    assert f"{spool}/1 holds 200 records of runs with other --to" in done.stderr
    for c in both:
        c.stop()
    assert [count(run, programs, store) for store in stores] == [800, 500]


def test_a_collector_is_not_given_what_another_was_to_have(
        run, programs, trace, collector, certificates, status, free_port, tmp_path):
    spool, away = tmp_path / "spool", free_port()
    c = collector()

    def export(*more, ports, **how):
        return run(programs.exporter, *more, "--give-up", "100ms", "--summary", "json",
                   *(w for p in ports for w in ("--to", f"tls://127.0.0.1:{p}")),
                   *certificates.options("client"), **how)

    both = "--trace-csv", trace(300), "--delivery", "duplicate", "--spool", spool
    export(*both, ports=[away, c.port], status=1)
    assert status(spool / "1")["held_records"] == 300
    refused = export(*both, ports=[c.port, away], status=2)
    assert f"{spool}/1 holds 300 records for a collector other than" in refused.stderr
    assert f"--deliver-only --spool {spool}/1" in refused.stderr
    assert not status(spool / "1")["running"] and not status(spool / "2")["running"]
    export("--deliver-only", "--spool", spool / "1", ports=[c.port])
    export(*both, ports=[c.port, away], status=1)
    c.stop()
    assert count(run, programs, tmp_path / "store") == 900


def test_one_collector_by_two_names_is_told_and_counts_once_with_failover(
        run, programs, trace, collector, certificates, status, free_port, tmp_path):
    """What one name was to have goes by the other, and is not counted twice; everything
    sent to each is."""
    spool, port = tmp_path / "spool", free_port()

    def export(*more, hosts, **how):
        return run(programs.exporter, "--summary", "json", *more,
                   *(w for host in hosts for w in ("--to", f"tls://{host}:{port}")),
                   *certificates.options("client"), **how)

    export("--trace-csv", trace(300), "--spool", spool, "--give-up", "100ms",
           hosts=["localhost"], status=1)
    c = collector(port=port)
    done = export("--trace-csv", trace(200), "--spool", spool, hosts=["127.0.0.1"])
    assert json.loads(done.stdout)["sender"]["records"] == 500
    done = export("--trace-csv", trace(100), "--delivery", "duplicate",
                  hosts=["localhost", "127.0.0.1"])
    assert done.stderr.count("are the same collector") == 1, done.stderr
    c.stop()
    assert count(run, programs, tmp_path / "store") == 500 + 2 * 100


def test_what_nobody_acknowledged_is_called_so(
        run, programs, trace, collector, certificates, free_port, tmp_path):
    command = [programs.exporter, "--trace-csv", trace(700), "--summary"]
    lost = "--to", f"udp://127.0.0.1:{free_port()}"
    sender = json.loads(run(*command, "json", *lost, status=None).stdout)["sender"]
    assert sender["unconfirmed_records"] == sender["records"] > 0
    assert "unconfirmed" in run(*command, "text", *lost, status=None).stdout
    c = collector()
    kept = "--to", f"tls://127.0.0.1:{c.port}", *certificates.options("client")
    sender = json.loads(run(*command, "json", *kept).stdout)["sender"]
    assert (sender["records"], sender["unconfirmed_records"]) == (700, 0)
    file = "--to", f"file:{tmp_path / 'out.ipfix'}"
    sender = json.loads(run(*command, "json", *file).stdout)["sender"]
    assert (sender["records"], sender["unconfirmed_records"]) == (700, 0)


def test_the_second_collector_takes_over_when_the_first_stays_away(
        run, programs, trace, collector, certificates, free_port, tmp_path):
    c = collector()
    done = run(programs.exporter, "--trace-csv", trace(10000), "--failover-after", "300ms",
               "--to", f"tls://127.0.0.1:{free_port()}",
               "--to", f"tls://127.0.0.1:{c.port}", "--summary", "json",
               *certificates.options("client"))
    assert "switching to" in done.stderr
    sender = json.loads(done.stdout)["sender"]
    assert sender["failovers"] == 1 and sender["duplicate_records"] == 0
    c.stop()
    assert count(run, programs, tmp_path / "store") == 10000


def test_a_live_end_by_signal_keeps_what_is_left(
        start, trace, exporter, status, free_port):
    e = start(*exporter(free_port(), "--trace-csv", trace(20000)))
    e.wait_line("cannot connect")
    e.process.send_signal(signal.SIGTERM)
    e.process.send_signal(signal.SIGINT)
    e.wait(status=1)
    summary = json.loads(e.stdout)
    assert summary["records"] == summary["sender"]["held_records"] > 0
    assert status()["held_records"] == summary["records"]


@pytest.mark.parametrize("words,complaint", [
    (["--deliver-only", "--to", "tcp://x"], "--deliver-only sends what a spool holds"),
    (["--spool-status"], "--spool-status needs --spool DIR"),
    (["-r", "x", "--to", "tcp://x", "--failover-after", "1s"],
     "--failover-after needs another collector"),
    (["-r", "x", "--delivery", "duplicate", "--to", "tcp://x", "--to", "tcp://X:4739"],
     "are one collector"),
    (["-r", "x", "--to", "tcp://x", "--spool", "DIR", "--spool-size", "10k"],
     "--spool-size"),
    (["--spool-status", "--spool", "/nowhere/at/all"], "cannot open /nowhere/at/all"),
    (["--trace-csv", "TRACE", "--to", "file:/dev/null", "--spool", "DIR"],
     "--spool works with collectors only"),
    (["--trace-csv", "TRACE", "--to", "tcp://x", "--spool", "/nowhere/at/all"],
     "cannot create /nowhere/at/all"),
])
def test_mistakes_are_told_in_one_sentence(run, programs, trace, tmp_path, words, complaint):
    known = {"DIR": tmp_path / "spool", "TRACE": trace(1)}
    done = run(programs.exporter, *[known.get(word, word) for word in words], status=2)
    assert complaint in done.stderr and done.stderr.count("\n") == 1
