"""NetFlow v9 and v5 end to end: captures of exports in, rows out."""

import shutil
import struct

import pytest

from netflow_bytes import (EXPORT_TIME, UPTIME, flowset, options_template, template, v5,
                           v5_record, v9, write_capture)
from stores import Store

HOSTS = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
FLOW = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (2, 4), (1, 4), (22, 4), (21, 4))


def flow(packets, octets, first=UPTIME - 3000, last=UPTIME - 1000, extra=b""):
    return struct.pack(">4s4sHHBIIII", *HOSTS, 1024, 80, 6, packets, octets, first,
                       last) + extra


@pytest.fixture
def imported(programs, run, tmp_path):
    """imported(payload...) imports datagrams; the store."""
    def begin(*payloads, words=()):
        capture = write_capture(tmp_path / "f.pcap", payloads)
        run(programs.collector, "-r", capture, "--store", tmp_path / "store", *words)
        return Store(programs, run, tmp_path / "store")
    return begin


def ns(seconds_before):
    return int((EXPORT_TIME - seconds_before) * 1000) * 1000000


def test_records_of_version_9_are_conversations(imported):
    store = imported(v9(template(256, FLOW), flowset(256, flow(3, 1500) + flow(2, 80))))
    rows = sorted(store.rows("conversations"), key=lambda row: -row["fwd_packets"])
    assert [(row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"],
             row["protocol"], row["fwd_packets"], row["fwd_octets"]) for row in rows] == [
        ("10.0.0.1", 1024, "10.0.0.2", 80, 6, 3, 1500),
        ("10.0.0.1", 1024, "10.0.0.2", 80, 6, 2, 80)]
    assert {(row["start_ns"], row["end_ns"]) for row in rows} == {(ns(3), ns(1))}


def test_records_of_version_5_are_conversations(imported):
    store = imported(v5(v5_record(*HOSTS, 3, 1500), v5_record(*HOSTS, 2, 80), engine=0x103))
    rows = store.rows("conversations")
    rows = sorted(rows, key=lambda row: -row["fwd_packets"])
    assert [(row["src_ip"], row["dst_port"], row["fwd_packets"], row["fwd_octets"],
             row["fwd_tcp_flags"], row["start_ns"], row["end_ns"]) for row in rows] == [
        ("10.0.0.1", 80, 3, 1500, 0x1b, ns(3), ns(1)),
        ("10.0.0.1", 80, 2, 80, 0x1b, ns(3), ns(1))]
    exporter, = store.rows("exporters")
    assert (exporter["protocol"], exporter["domain"]) == ("NetFlow v5", 0x103)


def test_loss_is_told_in_messages_of_version_9_and_flows_of_version_5(imported):
    store = imported(
        v9(template(256, FLOW), sequence=10), v9(flowset(256, flow(1, 40)), sequence=14),
        v5(v5_record(*HOSTS, 1, 40), sequence=100),
        v5(v5_record(*HOSTS, 1, 40), sequence=108))
    assert {row["protocol"]: row["lost"] for row in store.rows("exporters")} == {
        "NetFlow v9": 3, "NetFlow v5": 7}


def test_exporters_tell_unknown_elements_and_what_went_wrong_last(imported):
    store = imported(
        v9(template(256, (*FLOW, (40000, 20), (33002, 2))), sequence=0),
        v9(template(256, (*FLOW, (40000, 20), (33002, 2))), sequence=1),
        v9(flowset(300, bytes(20)), sequence=2))
    exporter, = store.rows("exporters")
    assert exporter["unknown_elements"] == 2
    assert exporter["dropped_no_template"] == 1
    assert exporter["last_error"] == "data whose template never came"


def test_how_each_exporter_is_doing_is_one_line(imported):
    store = imported(
        v5(v5_record(*HOSTS, 1, 40), sequence=100),  # datagrams come one a second
        v5(v5_record(*HOSTS, 1, 40), sequence=108), v9(flowset(300, bytes(20)), sequence=2))
    health = {row["protocol"]: row for row in store.rows("exporter_health")}
    five, nine = health["NetFlow v5"], health["NetFlow v9"]
    assert (five["records"], five["records_per_second"]) == (2, 2.0)
    assert (five["lost"], five["lost_percent"]) == (7, round(700 / 9, 3))
    assert (nine["dropped"], nine["last_error"]) == (1, "data whose template never came")
    assert nine["records_per_second"] is None  # of one message


def test_an_exporter_without_trouble_has_no_last_error(imported):
    store = imported(v9(template(256, FLOW), flowset(256, flow(1, 40))))
    exporter, = store.rows("exporters")
    assert (exporter["unknown_elements"], exporter["last_error"]) == (0, None)


def test_ports_of_one_address_may_be_one_exporter(programs, run, tmp_path):
    whole = write_capture(tmp_path / "a.pcap", [
        v9(template(256, FLOW), sequence=1), v9(flowset(256, flow(1, 40)), sequence=2)])
    data = bytearray(whole.read_bytes())
    at = data.rindex(struct.pack(">HH", 2055, 2055))
    data[at:at + 2] = struct.pack(">H", 40000)
    (tmp_path / "f.pcap").write_bytes(data)
    for by, records in (("port", 0), ("address", 1)):
        run(programs.collector, "-r", tmp_path / "f.pcap", "--store", tmp_path / by,
            "--udp-sessions", by)
        rows = Store(programs, run, tmp_path / by).rows("exporters")
        assert sum(row["records"] for row in rows) == records


def test_a_router_that_starts_again_loses_nothing(imported):
    store = imported(
        v9(template(256, FLOW), sequence=5000), v9(flowset(256, flow(1, 40)), sequence=5001),
        v9(template(256, FLOW), sequence=1, uptime=1000),
        v9(flowset(256, flow(1, 40)), sequence=2, uptime=2000))
    exporter, = store.rows("exporters")
    assert (exporter["lost"], exporter["reordered"], exporter["records"]) == (0, 0, 2)


def test_totals_count_when_their_flow_ends(imported):
    fields = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (86, 4), (85, 4), (22, 4), (21, 4),
              (136, 1))
    records = b"".join(flow(*totals, extra=bytes((reason,))) for totals, reason in (
        ((10, 1000), 2), ((25, 2500), 2), ((30, 3000), 3)))
    store = imported(v9(template(256, fields), flowset(256, records)))
    pair, = store.rows("pairs")
    assert (pair["fwd_packets"], pair["fwd_octets"], pair["flows"]) == (30, 3000, 1)


@pytest.fixture
def scaling(repository, tmp_path):
    """The words for schemas with a table of raw and scaled counters."""
    shutil.copytree(repository / "schemas", tmp_path / "schemas")
    (tmp_path / "schemas" / "tables" / "volumes.yaml").write_text(
        "table: volumes\nfrom: conversation\npartition: none\nstorage: upsert\n"
        "key: { src_port: sourceTransportPort }\n"
        "values:\n"
        "  packets: { sum: forward.packets }\n"
        "  packets_scaled: { sum: forward.packets, scaled: true }\n"
        "  octets_scaled: { sum: forward.octets, scaled: true }\n"
        "  back_scaled: { sum: reverse.octets, scaled: true }\n")
    return ("--schemas", tmp_path / "schemas")


def volumes(store):
    return [(row["src_port"], row["packets"], row["packets_scaled"], row["octets_scaled"])
            for row in store.rows("volumes")]


def test_the_header_of_version_5_scales(imported, scaling):
    store = imported(v5(v5_record(*HOSTS, 3, 1500), sampling=1 << 14 | 100),
                     v5(v5_record(*HOSTS, 1, 40), sampling=0, sequence=1), words=scaling)
    assert volumes(store) == [(1024, 4, 301, 150040)]


def test_a_sampler_scales_what_it_sampled(imported, scaling):
    sampled = (*FLOW, (48, 1))
    store = imported(
        v9(template(256, sampled),
           options_template(257, ((1, 4),), ((48, 1), (49, 1), (50, 4)))),
        v9(flowset(257, struct.pack(">IBBI", 0, 1, 2, 10)
                   + struct.pack(">IBBI", 0, 2, 2, 1000)), sequence=1),
        v9(flowset(256, flow(3, 1500, extra=b"\1") + flow(2, 80, extra=b"\2")
                   + flow(1, 1, extra=b"\3")), sequence=2), words=scaling)
    assert volumes(store) == [(1024, 6, 30 + 2000 + 1, 15000 + 80000 + 1)]


def test_a_rate_of_the_domain_or_the_interface_scales(imported, scaling):
    store = imported(
        v9(template(256, (*FLOW, (10, 4))),
           options_template(257, ((1, 4),), ((34, 4), (35, 1))),
           options_template(258, ((2, 4),), ((34, 4),))),
        v9(flowset(257, struct.pack(">IIB", 0, 50, 1)),
           flowset(258, struct.pack(">II", 7, 4)), sequence=1),
        v9(flowset(256, flow(1, 10, extra=struct.pack(">I", 7))
                   + flow(1, 10, extra=struct.pack(">I", 8))), sequence=2), words=scaling)
    assert volumes(store) == [(1024, 2, 54, 540)]


def test_a_record_that_says_its_rate_is_scaled_by_it(imported, scaling):
    store = imported(v9(template(256, (*FLOW, (34, 4))),
                        flowset(256, flow(2, 80, extra=struct.pack(">I", 8)))),
                     words=scaling)
    assert volumes(store) == [(1024, 2, 16, 640)]
    assert store.rows("volumes")[0]["back_scaled"] == 0


def test_scaled_sides_are_swapped_with_their_ends(imported, scaling):
    fields = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (298, 4), (299, 4), (231, 4), (232, 4),
              (239, 1), (34, 4))
    record = struct.pack(">4s4sHHBIIIIBI", *HOSTS, 1024, 80, 6, 1, 2, 10, 20, 2, 3)
    store = imported(v9(template(256, fields), flowset(256, record)), words=scaling)
    assert volumes(store) == [(80, 2, 6, 60)]
    assert store.rows("volumes")[0]["back_scaled"] == 30


def test_names_of_interfaces_fill_their_table(imported):
    options = options_template(257, ((2, 4),), ((82, 16), (83, 32)))
    names = b"".join(struct.pack(">I16s32s", *name) for name in (
        (1, b"Gi0/1", b"to the north"), (2, b"Gi0/2", b"")))
    later = struct.pack(">I16s32s", 2, b"Gi0/2", b"to the south")
    store = imported(v9(options, flowset(257, names)),
                     v9(flowset(257, later), sequence=1))
    assert [(row["exporter"], row["domain"], row["interface"], row["name"],
             row["description"]) for row in store.rows("interfaces")] == [
        ("192.0.2.1", 1, 1, "Gi0/1", "to the north"),
        ("192.0.2.1", 1, 2, "Gi0/2", "to the south")]
    exporter, = store.rows("exporters")
    assert (exporter["option_records"], exporter["records"]) == (3, 0)


def test_names_of_applications_and_vrfs_fill_their_tables(imported):
    store = imported(v9(
        options_template(257, ((1, 4),), ((95, 4), (96, 8), (94, 16))),
        flowset(257, struct.pack(">II8s16s", 0, 0x0d000001, b"http", b"the web")),
        options_template(258, ((1, 4),), ((234, 4), (236, 8))),
        flowset(258, struct.pack(">II8s", 0, 7, b"blue"))))
    application, = store.rows("applications")
    assert (application["application"], application["name"],
            application["description"]) == ("0d000001", "http", "the web")
    vrf, = store.rows("vrfs")
    assert (vrf["vrf"], vrf["name"]) == (7, "blue")
