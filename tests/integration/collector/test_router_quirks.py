"""What routers in the field export, other than the standards or than most of them: rows
must still be what an engineer who knows the router expects."""

import ipaddress
import shutil
import struct

import pytest

import ipfix_bytes
from netflow_bytes import (EXPORT_TIME, UPTIME, flowset, options_template, template, v9,
                           write_capture)
from stores import Store

TIMES = (UPTIME - 3000, UPTIME - 1000)
NONE4, NONE6 = bytes(4), bytes(16)
HOSTS4 = tuple(ipaddress.ip_address(text).packed for text in ("10.0.0.1", "10.0.0.2"))
HOSTS6 = tuple(ipaddress.ip_address(text).packed for text in ("2001:db8::1", "2001:db8::2"))
BOTH = ((8, 4), (27, 16), (12, 4), (28, 16), (7, 2), (11, 2), (4, 1), (2, 4), (1, 4), (22, 4),
        (21, 4))
FLOW = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (22, 4), (21, 4))


@pytest.fixture
def imported(programs, run, tmp_path):
    """imported(payload...) imports datagrams of one router; the store."""
    def begin(*payloads, words=()):
        capture = write_capture(tmp_path / "f.pcap", payloads)
        run(programs.collector, "-r", capture, "--store", tmp_path / "store", *words)
        return Store(programs, run, tmp_path / "store")
    return begin


@pytest.fixture
def scaling(repository, tmp_path):
    """The words for schemas with a table of scaled counters."""
    shutil.copytree(repository / "schemas", tmp_path / "schemas")
    (tmp_path / "schemas" / "tables" / "volumes.yaml").write_text(
        "table: volumes\nfrom: conversation\npartition: none\nstorage: upsert\n"
        "key: { src_port: sourceTransportPort }\n"
        "values: { octets: { sum: forward.octets, scaled: true } }\n")
    return ("--schemas", tmp_path / "schemas")


def ns(seconds_before):
    return (EXPORT_TIME - seconds_before) * 1000000000


def flow(extra=b"", ports=(1024, 80), protocol=6):
    return struct.pack(">4s4sHHBII", *HOSTS4, *ports, protocol, *TIMES) + extra


def test_one_template_serves_ipv4_and_ipv6(imported):
    """IOS XR (record mpls ipv4-ipv6-fields), nProbe: the other version's fields are 0."""
    def record(addresses4, addresses6, packets):
        return struct.pack(">4s16s4s16sHHBIIII", addresses4[0], addresses6[0], addresses4[1],
                           addresses6[1], 1024, 80, 6, packets, 100, *TIMES)
    store = imported(v9(template(313, BOTH), flowset(313, (
        record(HOSTS4, (NONE6, NONE6), 1) + record((NONE4, NONE4), HOSTS6, 2)
        # a host that asks for its address
        + record((NONE4, b"\xff\xff\xff\xff"), (NONE6, NONE6), 3)))))
    assert sorted(store.columns("conversations", "fwd_packets,src_ip,dst_ip")) == [
        (1, "10.0.0.1", "10.0.0.2"), (2, "2001:db8::1", "2001:db8::2"),
        (3, "0.0.0.0", "255.255.255.255")]


def test_records_of_egress_count_what_went_out(imported):
    """EdgeOS: IN_BYTES are 0 in records of direction 1, OUT_BYTES in those of 0."""
    fields = (*FLOW, (2, 4), (1, 4), (24, 4), (23, 4), (61, 1))
    counters = [struct.pack(">IIIIB", *row) for row in (
        (3, 300, 0, 0, 0), (0, 0, 4, 400, 1), (5, 500, 5, 490, 0))]
    store = imported(v9(template(256, fields),
                        flowset(256, b"".join(flow(row) for row in counters))))
    assert sorted(store.columns("conversations", "fwd_packets,fwd_octets,bwd_octets")) == [
        (3, 300, 0), (4, 400, 0), (5, 500, 0)]


def test_templates_of_egress_may_count_nothing_else(imported):
    store = imported(v9(template(256, (*FLOW, (24, 4), (23, 4))),
                        flowset(256, flow(struct.pack(">II", 4, 400)))))
    assert store.columns("conversations", "fwd_packets,fwd_octets") == [(4, 400)]


def test_icmp_is_told_beside_the_ports(imported):
    """Junos, ipt_NETFLOW: port 0 and ICMP_TYPE; others: the same in both."""
    fields = (*FLOW, (32, 2))
    store = imported(v9(template(256, fields), flowset(256, (
        flow(struct.pack(">H", 0x800), (0, 0), 1) + flow(struct.pack(">H", 0x300), (0, 0x300), 1)
        + flow(struct.pack(">H", 0), (1024, 80), 6)))))
    assert sorted(store.columns("conversations", "protocol,dst_port")) == [
        (1, 0x300), (1, 0x800), (6, 80)]


@pytest.mark.parametrize("rates, octets", [((100,), 4000), ((100, 100), 4000),
                                           ((100, 200), 40)])
def test_records_that_name_no_sampler_are_scaled_by_the_only_rate(imported, scaling, rates,
                                                                  octets):
    """IOS XE: `option sampler-table` without `collect flow sampler` in the record."""
    options = b"".join(struct.pack(">IBBI", 0, number, 2, rate)
                       for number, rate in enumerate(rates, 1))
    store = imported(v9(options_template(257, ((1, 4),), ((48, 1), (49, 1), (50, 4))),
                        flowset(257, options), template(256, (*FLOW, (2, 4), (1, 4))),
                        flowset(256, flow(struct.pack(">II", 1, 40)))), words=scaling)
    assert store.columns("volumes", "octets") == [(octets,)]


SAMPLERS = (options_template(257, ((1, 4),), ((48, 1), (49, 1), (50, 4))),
            flowset(257, struct.pack(">IBBI", 0, 1, 2, 100)))
SAMPLED = (template(256, (*FLOW, (48, 1), (2, 4), (1, 4))),
           flowset(256, flow(struct.pack(">BII", 1, 1, 40))))


def test_options_of_sampling_may_have_a_domain_of_their_own(imported, scaling):
    """IOS XE exports option tables with another source id than flows."""
    store = imported(v9(*SAMPLERS, domain=6), v9(*SAMPLED, domain=256), words=scaling)
    assert store.columns("volumes", "octets") == [(4000,)]


def test_sampling_of_a_domain_with_flows_is_its_own(imported, scaling):
    store = imported(v9(*SAMPLERS, *SAMPLED, domain=6), v9(*SAMPLED, domain=256),
                     words=scaling)
    assert store.columns("volumes", "octets") == [(4040,)]


def test_two_domains_of_options_scale_no_third(imported, scaling):
    store = imported(v9(*SAMPLERS, domain=6), v9(*SAMPLERS, domain=7),
                     v9(*SAMPLED, domain=256), words=scaling)
    assert store.columns("volumes", "octets") == [(40,)]


EVENT = ((148, 4), (8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (233, 1), (33002, 2), (323, 8),
         (152, 8), (231, 4), (232, 4))
CREATED, ENDED, DENIED, UPDATED = 1, 2, 3, 5


def event(number, kind, after_ms, forward=0, back=0):
    """A flow of a Cisco firewall, so long after it began."""
    start = (EXPORT_TIME - 600) * 1000
    return struct.pack(">I4s4sHHBBHQQII", number, *HOSTS4, 1024, 80, 6, kind, 0,
                       start + after_ms, start, forward, back)


def test_updates_and_ends_of_a_firewalls_flows_count_once(imported):
    """ASA, FTD: the end repeats what updates counted; short flows have no update."""
    store = imported(v9(template(263, EVENT), flowset(263, (
        event(1, CREATED, 0) + event(1, UPDATED, 60010, 2557, 1117)
        + event(2, CREATED, 0) + event(2, ENDED, 30000, 100, 200)
        + event(1, UPDATED, 120010, 31, 0) + event(1, ENDED, 130000, 2588, 1117)
        + event(3, DENIED, 0)))))
    pair, = store.columns("pairs", "fwd_octets,bwd_octets,flows")
    assert pair == (2688, 1317, 3)


def test_ends_count_where_a_firewall_exports_no_updates(imported):
    store = imported(v9(template(263, EVENT), flowset(263, (
        event(1, CREATED, 0) + event(1, ENDED, 130000, 2588, 1117)))))
    pair, = store.columns("pairs", "fwd_octets,bwd_octets,flows")
    assert pair == (2588, 1117, 1)


def tcp_frame(vlan=b""):
    return (bytes(6) + b"\2" * 6 + vlan + b"\x08\0" + struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 1500, 0, 0, 64, 6, 0, *HOSTS4)
        + struct.pack(">HHIIBBHHH", 1024, 80, 0, 0, 0x50, 0x18, 0, 0, 0))


@pytest.mark.parametrize("frame", [tcp_frame(), tcp_frame(b"\x81\0\0\5")])
def test_frames_in_records_are_flows(imported, scaling, frame):
    """Junos inline monitoring, NCS 5500 (IPFIX 315): the first bytes of sampled frames."""
    fields = ((10, 4), (14, 4), (312, 2), (315, 65535))
    record = struct.pack(">IIHB", 7, 8, 1518, len(frame)) + frame
    other = struct.pack(">IIHB", 7, 8, 60, 14) + bytes(12) + b"\x88\xcc"
    store = imported(ipfix_bytes.message(
        ipfix_bytes.ipfix_set(3, struct.pack(">HHHHHHH", 257, 2, 1, 149, 4, 34, 4)),
        ipfix_bytes.ipfix_set(257, struct.pack(">II", 1, 1000)),
        ipfix_bytes.ipfix_set(2, ipfix_bytes.template(256, fields)),
        ipfix_bytes.ipfix_set(256, record + record + other)), words=scaling)
    assert store.columns("conversations", "src_ip,src_port,dst_ip,dst_port,protocol,fwd_octets,"
                         "fwd_tcp_flags,start_ns") == 2 * [
        ("10.0.0.1", 1024, "10.0.0.2", 80, 6, 1500, 0x18, ns(0))]
    assert store.columns("volumes", "octets") == [(3000000,)]
    assert store.columns("exporters", "records,option_records,lost,last_error") == [
        (3, 1, 0, None)]


def test_headers_in_records_are_flows(imported):
    """PSAMP: the first bytes of sampled IP packets, filled up."""
    packet = tcp_frame()[14:]
    store = imported(ipfix_bytes.message(
        ipfix_bytes.ipfix_set(2, ipfix_bytes.template(256, ((410, 2), (313, 64)))),
        ipfix_bytes.ipfix_set(256, struct.pack(">H64s", len(packet), packet))))
    assert store.columns("conversations", "src_ip,dst_port,fwd_octets") == [
        ("10.0.0.1", 80, 1500)]
