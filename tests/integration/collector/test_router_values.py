"""What fields of other exporters' records mean (shared test data): each value equal to
what other collectors made of the same bytes, element by element."""

import collections
import ipaddress
import json
import pathlib
import re
import shutil

import pytest

from netflow_bytes import write_capture
from stores import Store

# Columns of a table that keeps every record unchanged, and the elements behind them.
FIELDS = {
    "src": "sourceAddress", "dst": "destinationAddress",
    "src_port": "sourceTransportPort", "dst_port": "destinationTransportPort",
    "protocol": "protocolIdentifier", "tos": "ipClassOfService", "flags": "tcpControlBits",
    "in_if": "ingressInterface", "out_if": "egressInterface",
    "packets": "packetDeltaCount", "octets": "octetDeltaCount",
    "packets_total": "packetTotalCount", "octets_total": "octetTotalCount",
    "start_time": "flowStart", "end_time": "flowEnd",
    "start_ms": "flowStartMilliseconds", "end_ms": "flowEndMilliseconds",
    "start_uptime": "flowStartSysUpTime", "end_uptime": "flowEndSysUpTime",
    "end_reason": "flowEndReason", "vlan": "vlanId", "status": "forwardingStatus",
    "src_as": "bgpSourceAsNumber", "dst_as": "bgpDestinationAsNumber",
    "src_mask": "sourceIPv4PrefixLength", "dst_mask": "destinationIPv4PrefixLength",
    "src_mask6": "sourceIPv6PrefixLength", "dst_mask6": "destinationIPv6PrefixLength",
    "next_hop": "ipNextHopIPv4Address", "engine_type": "engineType", "engine": "engineId",
    "icmp": "icmpTypeCodeIPv4", "label_ip": "mplsTopLabelIPv4Address",
    "label_prefix": "mplsTopLabelPrefixLength",
    "vrf_in": "ingressVRFID", "vrf_out": "egressVRFID",
    "back_octets_total": "reverseOctetTotalCount",
    "back_packets_total": "reversePacketTotalCount", "back_tos": "reverseIpClassOfService",
    "back_vlan": "reverseVlanId",
}
# Of CERT's registry, which comes with libfixbuf.
CERT = {"back_delay": "reverseFlowDeltaMilliseconds", "attributes": "flowAttributes",
        "back_attributes": "reverseFlowAttributes"}
CERT_REGISTRY = pathlib.Path("/usr/share/libfixbuf/cert_ipfix.xml")
NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58}
TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
END_REASONS = {"idle timeout": 1, "active timeout": 2, "end of flow": 3, "forced end": 4}


@pytest.fixture
def records(programs, run, repository, tmp_path):
    """records(file...): the records of imported files as rows of FIELDS and more."""
    def begin(*files, more=(), elements=(), requires="sourceAddress, destinationAddress"):
        schemas = tmp_path / "schemas"
        shutil.copytree(repository / "schemas", schemas)
        record = schemas / "records" / "conversation.yaml"
        record.write_text(re.sub(r"(?m)^requires: \[.*?\]", f"requires: [{requires}]",
                                 record.read_text(encoding="utf-8")), encoding="utf-8")
        (schemas / "tables" / "fields.yaml").write_text(
            "table: fields\nfrom: conversation\npartition: day\nstorage: append\nvalues:\n"
            + "".join(f"  {name}: {element}\n" for name, element in (*FIELDS.items(), *more)))
        words = [word for file in files for word in ("-r", file)]
        run(programs.collector, *words, "--schemas", schemas, "--tables",
            "fields,exporters", "--store", tmp_path / "store",
            *(word for path in elements for word in ("--elements", path)))
        return Store(programs, run, tmp_path / "store").rows("fields")
    return begin


@pytest.fixture
def telegraf(shared):
    folder = (shared / "corpora/routers/influxdata+telegraf/plugins/inputs/netflow"
              / "testcases")
    if not folder.is_dir():
        pytest.skip("the shared test data has no test cases of telegraf")
    return folder


def expected(path):
    """Lines of InfluxDB as dicts of texts."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("netflow,"):
            fields = re.findall(r'(\w+)=("[^"]*"|[^, ]+)', line.split(" ", 1)[1])
            yield {name: value.strip('"').removesuffix("u") for name, value in fields}


def number(text):
    return int(text, 16 if text.startswith("0x") else 10)


def flags(text):
    """Bits of "...AP..." with the highest first, as telegraf writes them."""
    return sum(1 << (7 - at) for at, letter in enumerate(text) if letter != ".")


# Names of telegraf: the column, and what makes a number of its text.
TELEGRAF = {
    "src": ("src", str), "dst": ("dst", str), "src_port": ("src_port", int),
    "dst_port": ("dst_port", int), "protocol": ("protocol", NUMBERS.get),
    "in_bytes": ("octets", int), "in_packets": ("packets", int),
    "in_total_bytes": ("octets_total", int), "in_total_packets": ("packets_total", int),
    "first_switched": ("start_uptime", int), "last_switched": ("end_uptime", int),
    "flow_start_ms": ("start_ms", lambda text: int(text) * 10 ** 6),
    "flow_end_ms": ("end_ms", lambda text: int(text) * 10 ** 6),
    "tcp_flags": ("flags", flags), "src_tos": ("tos", number),
    "bgp_src_as": ("src_as", int), "bgp_dst_as": ("dst_as", int),
    "src_mask": ("src_mask", int), "dst_mask": ("dst_mask", int),
    "in_snmp": ("in_if", int), "out_snmp": ("out_if", int), "next_hop": ("next_hop", str),
    "vlan_src": ("vlan", int), "flow_end_reason": ("end_reason", END_REASONS.get),
    "type_29305_85": ("back_octets_total", number),
    "type_29305_86": ("back_packets_total", number),
    "type_29305_5": ("back_tos", number), "type_29305_58": ("back_vlan", number),
    "type_6871_21": ("back_delay", number), "type_6871_40": ("attributes", number),
    "type_6871_rev_40": ("back_attributes", number),
}
# What is not of the record but of the header, or a part of another value.
TELEGRAF_OTHER = {"flows", "engine_type", "engine_id", "sys_uptime", "seq_number",
                  "sampling_interval", "icmp_type", "icmp_code", "fwd_status", "fwd_reason"}


def compare(rows, wanted):
    """Every value that telegraf has of a record is in the row of the same flow."""
    def key(row):
        return row["src"], row["dst"], row["src_port"], row["dst_port"], row["protocol"]
    found = collections.defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    compared = 0
    for fields in wanted:
        assert set(fields) <= set(TELEGRAF) | TELEGRAF_OTHER, fields
        values = {TELEGRAF[name][0]: TELEGRAF[name][1](text)
                  for name, text in fields.items() if name in TELEGRAF}
        same = [row for row in found[tuple(values.get(name) for name in (
                    "src", "dst", "src_port", "dst_port", "protocol"))]
                if all(row[name] == value for name, value in values.items())]
        assert same, (values, found)
        found[key(same[0])].remove(same[0])
        compared += len(values)
    return compared


def test_version_5_as_telegraf_reads_it(records, telegraf):
    rows = records(telegraf / "netflow_v5_example" / "netflow_v5.bin")
    wanted = list(expected(telegraf / "netflow_v5_example" / "expected.out"))
    assert len(rows) == len(wanted) == 8
    assert compare(rows, wanted) > 8 * 15


def test_version_9_as_telegraf_reads_it(records, telegraf):
    rows = records(telegraf / "netflow_v9_example" / "netflow_v9.bin")
    wanted = list(expected(telegraf / "netflow_v9_example" / "expected.out"))
    assert len(rows) == len(wanted) == 8
    assert compare(rows, wanted) > 8 * 9


def test_ipfix_as_telegraf_reads_it(records, telegraf, tmp_path):
    parts = sorted((telegraf / "ipfix_example").glob("ipfix_*.bin"))
    if not CERT_REGISTRY.exists():
        pytest.skip(f"libfixbuf's registry {CERT_REGISTRY} is not installed")
    rows = records(write_capture(tmp_path / "f.pcap", (part.read_bytes() for part in parts)),
                   more=CERT.items(), elements=[CERT_REGISTRY])
    wanted = list(expected(telegraf / "ipfix_example" / "expected.out"))
    assert compare(rows, [fields for fields in wanted if "src" in fields]) > 20 * 10


def pmacct_tests(shared):
    folder = shared / "corpora/routers/pmacct+pmacct/tests"
    return [(folder / name, captures, "output-flow-00.json") for name, captures in (
        ("100-IPFIXv10-CISCO", ("traffic-00.pcap",)),
        ("101-NFv9-CISCO-cust_primitives", ("traffic-00.pcap",)),
        ("102-NFv9-CISCO-f2rd-pretag-sampling-reload", ("traffic-00.pcap",)),
        ("103-IPFIXv10-CISCO-pretag-JSON_encoding", ("traffic-00.pcap",)),
        ("111-IPFIXv10-NFv9-IPv6-IPv4-mix_sources", ("traffic-00.pcap", "traffic-01.pcap")))]


def pmacct_key(row):
    return (str(ipaddress.ip_address(row["ip_src"])), str(ipaddress.ip_address(row["ip_dst"])),
            row["port_src"], row["port_dst"], NUMBERS[row["ip_proto"]], row["tos"],
            row["iface_in"], row["iface_out"],
            sum(1 << TCP_FLAGS.index(flag) for flag in row["tcp_flags"]))


def pmacct_more(row):
    """What some of the tests ask for beside that."""
    more = row.get("custom_primitives", {})
    return tuple(str(more.get(name, empty)) for name, empty in (
        ("mpls_tl_ipv4_address", "0.0.0.0"), ("mpls_tl_prefix_length", 0),
        ("vrf_id_ingress", 0), ("vrf_id_egress", 0)))


def own_key(row):
    return (row["src"], row["dst"], row["src_port"], row["dst_port"], row["protocol"],
            row["tos"] or 0, row["in_if"], row["out_if"], row["flags"] or 0)


def own_more(row):
    return tuple(str(row[name] or empty) for name, empty in (
        ("label_ip", "0.0.0.0"), ("label_prefix", 0), ("vrf_in", 0), ("vrf_out", 0)))


@pytest.mark.parametrize("number", range(5))
def test_records_as_pmacct_sums_them(number, records, shared):
    folder, captures, output = pmacct_tests(shared)[number]
    if not (folder / output).exists():
        pytest.skip("the shared test data has no such test of pmacct")
    wanted, got = collections.Counter(), collections.Counter()
    for line in (folder / output).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        has_more = "custom_primitives" in row
        key = pmacct_key(row) + (pmacct_more(row) if has_more else ())
        wanted[key, "packets"] += row["packets"]
        wanted[key, "octets"] += row["bytes"]
    for row in records(*(folder / capture for capture in captures)):
        key = own_key(row) + (own_more(row) if has_more else ())
        got[key, "packets"] += row["packets"]
        got[key, "octets"] += row["octets"]
    assert got == wanted


# Of netflow_parser's snapshots of what it reads, these come with the bytes (which it wrote
# again); of the others the shared test data has no input.  Lines "name: value" or, in
# records with templates, pairs of lines.
SNAPSHOTS = {
    "v5": {"src_addr": "src", "dst_addr": "dst", "next_hop": "next_hop", "input": "in_if",
           "output": "out_if", "d_pkts": "packets", "d_octets": "octets",
           "src_port": "src_port", "dst_port": "dst_port", "tcp_flags": "flags",
           "protocol_number": "protocol", "tos": "tos", "src_as": "src_as",
           "dst_as": "dst_as", "src_mask": "src_mask", "dst_mask": "dst_mask",
           "first": "start_uptime", "last": "end_uptime"},
    "v9": {"InBytes": "octets", "Ipv4SrcAddr": "src"},
    "ipfix": {"IANA: SourceIpv4address": "src", "IANA: DestinationIpv4address": "dst",
              "IANA: PacketDeltaCount": "packets"},
}


@pytest.mark.parametrize("version", SNAPSHOTS)
def test_records_as_netflow_parser_reads_them(version, records, shared, tmp_path):
    folder = shared / "corpora/routers/mikemiles-dev+netflow_parser/src/snapshots"
    name = f"netflow_parser__tests__restored_legacy_tests__it_parses_{version}"
    if version == "v5":
        name = "netflow_parser__tests__base_tests__it_parses_v5"
    if not (folder / f"{name}.snap").exists():
        pytest.skip("the shared test data has no snapshots of netflow_parser")
    again = (folder / f"netflow_parser__tests__restored_legacy_tests__it_parses_{version}"
                      "_and_re_exports.snap").read_text(encoding="utf-8")
    payload = bytes(int(n) for n in re.findall(r"^- (\d+)$", again, re.M))
    rows = records(write_capture(tmp_path / "f.pcap", [payload]), requires="sourceAddress")
    names = SNAPSHOTS[version]
    wanted = collections.defaultdict(list)
    found = re.findall(rf"({'|'.join(names)})(?::|\n\s+- (?:Ip4Addr|DataNumber:\s+U32):) (\S+)$",
                       (folder / f"{name}.snap").read_text(encoding="utf-8"), re.M)
    for element, value in found:
        wanted[names[element]].append(value)
    assert set(wanted) == set(names.values())
    assert {column: sorted(str(row[column]) for row in rows) for column in wanted} == {
        column: sorted(values) for column, values in wanted.items()}
