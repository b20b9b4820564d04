"""sFlow v5 end to end: captures of datagrams in, rows out."""

import pytest

from netflow_bytes import write_capture
from sflow_bytes import counters, datagram, packet, sample
from stores import Store


@pytest.fixture
def imported(programs, run, tmp_path):
    """imported(payload...) imports datagrams of one sender; the store."""
    def begin(*payloads, words=()):
        capture = write_capture(tmp_path / "f.pcap", payloads)
        run(programs.collector, "-r", capture, "--store", tmp_path / "store", *words)
        return Store(programs, run, tmp_path / "store")
    return begin


def test_samples_are_counted_as_what_they_are(imported):
    store = imported(datagram("192.0.2.1", packet("10.0.0.1", "10.0.0.2"), counters(),
                              packet("10.0.0.1", "10.0.0.2", records=9), counters(),
                              sample(5, bytes(8)), packet("10.0.0.1", "10.0.0.2")))
    exporter, = store.rows("exporters")
    assert {name: exporter[name] for name in (
        "records", "option_records", "counter_samples", "dropped_bad_sample",
        "dropped_unknown_sample", "dropped_bad_message")} == {
            "records": 2, "option_records": 0, "counter_samples": 2, "dropped_bad_sample": 1,
            "dropped_unknown_sample": 1, "dropped_bad_message": 0}
    assert sum(row["fwd_octets"] for row in store.rows("conversations")) == 200
    health, = store.rows("exporter_health")
    assert health["dropped"] == 2


def relayed():
    """Two agents that count for themselves, of the second of which one is lost, by one
    sender."""
    flow = packet("10.0.0.1", "10.0.0.2")
    for number in range(4):
        yield datagram("192.0.2.11", flow, sequence=10 + number)
        if number != 2:
            yield datagram("2001:db8::12", flow, flow, sequence=7000 + number)


def test_agents_behind_one_address_are_exporters_of_their_own(imported):
    rows = imported(*relayed()).rows("exporters")
    assert sorted((row["exporter"], row["peer"], row["domain"], row["messages"],
                   row["records"], row["lost"]) for row in rows) == [
        ("192.0.2.11 via 192.0.2.1", "192.0.2.11 via 192.0.2.1", 0, 4, 4, 0),
        ("2001:db8::12 via 192.0.2.1", "2001:db8::12 via 192.0.2.1", 0, 3, 6, 1)]


def test_under_one_name_agents_still_show_where_they_are(imported):
    rows = imported(*relayed(), words=("--exporter", "relay")).rows("exporters")
    assert sorted((row["exporter"], row["peer"], row["lost"]) for row in rows) == [
        ("relay", "192.0.2.11 via 192.0.2.1", 0), ("relay", "2001:db8::12 via 192.0.2.1", 1)]


def test_flowpair_query_shows_agents(imported, programs, run, tmp_path):
    imported(*relayed())
    text = run(programs.query, "--store", tmp_path / "store", "exporters").stdout
    assert "192.0.2.11 via 192.0.2.1" in text
