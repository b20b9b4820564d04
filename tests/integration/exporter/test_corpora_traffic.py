"""Every capture of the corpora through the exporter: no packet may be lost on the way from
the file to the records, and where other tools have counted the same captures, every way
from one end to another must have the packets that they found, or corpora_differences.py
says why not."""

import concurrent.futures
import json
import re
import shutil
import subprocess

import pytest

import corpora_peers
from corpora_differences import DIFFERENCES, REFUSED

CAPTURE = re.compile(r"\.(pcap|pcapng|cap)(\.gz|\.zst)?$")
TIMEOUT = 120


@pytest.fixture(scope="module")
def traffic(shared):
    folder = shared / "corpora" / "traffic"
    if not folder.is_dir():
        pytest.skip(f"no captures in {folder}")
    return folder


@pytest.fixture(scope="module")
def export(programs, tmp_path_factory):
    """export(captures): {capture: (exit status, summary, packets by way, complaint)}"""
    folder = tmp_path_factory.mktemp("corpora")

    def one(job):
        number, capture = job
        ipfix = folder / f"{number}.ipfix"
        done = subprocess.run(
            [programs.exporter, "-r", capture, "--to", f"file:{ipfix}", "--summary", "json"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT,
            check=False)
        if done.returncode != 0:
            return capture, (done.returncode, None, None, done.stderr)
        packets = corpora_peers.ours(ipfix)
        ipfix.unlink()
        return capture, (0, json.loads(done.stdout), packets, done.stderr)

    def many(captures):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return dict(pool.map(one, enumerate(captures)))

    return many


@pytest.fixture(scope="module")
def exported(traffic, export):
    return export(sorted(p for p in traffic.rglob("*") if CAPTURE.search(p.name)))


def test_every_capture_is_read_or_refused_with_a_reason(exported, traffic):
    assert len(exported) > 1000
    refused = {str(capture.relative_to(traffic)): complaint
               for capture, (status, _, _, complaint) in exported.items() if status != 0}
    assert set(refused) == set(REFUSED), refused
    for name, sentence in REFUSED.items():
        assert sentence in refused[name]


def test_packets_read_are_packets_in_records_and_drops(exported):
    lost = []
    for capture, (status, summary, packets, _) in exported.items():
        if status == 0:
            dropped = sum(summary["drops"].values())
            if summary["packets"] != packets.total() + dropped:
                lost.append((capture, summary["packets"], packets.total(), dropped))
    assert not lost


def test_packets_read_are_as_many_as_capinfos_counts(exported):
    if shutil.which("capinfos") is None:
        pytest.skip("capinfos (Debian package wireshark-common) is missing")
    captures = [c for c, (status, *_) in exported.items() if status == 0]
    counted = {}
    for i in range(0, len(captures), 500):
        said = subprocess.run(["capinfos", "-c", "-M", "-r", "-T", *captures[i:i + 500]],
                              capture_output=True, text=True, timeout=TIMEOUT, check=False)
        counted.update(line.split("\t")[:2] for line in said.stdout.splitlines())
    wrong = [(c, exported[c][1]["packets"], counted.get(str(c))) for c in captures
             if str(exported[c][1]["packets"]) != counted.get(str(c))]
    assert not wrong


def compare(peer, results, exported):
    """results: {name: (capture, packets by way of the peer)}."""
    table = DIFFERENCES[peer]
    unexplained = {}
    for name, (capture, theirs) in results.items():
        status, _, ours, complaint = exported[capture]
        assert status == 0, complaint
        found = {key: (ours[key], theirs[key])
                 for key in theirs | ours
                 if ours[key] != theirs[key]}
        explained = {}
        for _, differences in table.get(name, ()):
            assert not differences.keys() & explained.keys(), (name, "explained twice")
            explained.update(differences)
        if found != explained:
            unexplained[name] = {
                "not in the table": {k: v for k, v in found.items() if explained.get(k) != v},
                "in the table alone": {k: v for k, v in explained.items()
                                       if found.get(k) != v}}
    assert not unexplained
    assert not set(table) - set(results), "the table has captures that are not there"


def beside(results, captures, parse, suffix):
    """{capture's name: (capture, packets)} of result files that are named as captures."""
    found = {}
    for result in sorted(results.glob(f"*{suffix}")):
        stem = result.name[:len(result.name) - len(suffix)]
        for capture in sorted(captures.glob(f"{stem}*")):
            if CAPTURE.sub("", capture.name) == CAPTURE.sub("", stem) and \
                    CAPTURE.search(capture.name):
                found[capture.name] = (capture, parse(result))
    return found


def test_all_ways_have_the_packets_that_ndpi_found(exported, traffic):
    tests = traffic / "debian-ndpi-4.2" / "tests"
    results = beside(tests / "result", tests / "pcap", corpora_peers.ndpi, ".out")
    assert len(results) > 100
    compare("ndpi", results, exported)


def test_all_ways_have_the_packets_that_arkime_found(exported, traffic):
    folder = traffic / "arkime+arkime" / "tests" / "pcap"
    results = beside(folder, folder, corpora_peers.arkime, ".test")
    assert len(results) > 90
    compare("arkime", results, exported)


def test_all_ways_have_the_packets_that_ipfixprobe_found(exported, traffic):
    tests = traffic / "CESNET+ipfixprobe" / "tests" / "functional"
    results = beside(tests / "outputs", tests / "inputs", corpora_peers.ipfixprobe, "")
    assert len(results) >= 6
    compare("ipfixprobe", results, exported)
