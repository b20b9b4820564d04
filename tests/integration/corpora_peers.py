"""What other tools say of the captures in shared/corpora/traffic: packets from one end to
the other.  And the same from our records.

A way is written "17 10.0.0.1:53 > 10.0.0.2:2000" (protocol, sender, receiver), whichever end
began.  ICMP's ends have no ports here: every tool puts something else there."""

import collections
import csv
import importlib.util
import ipaddress
import json
import pathlib
import re

_DUMP = pathlib.Path(__file__).resolve().parents[1] / "golden" / "dump.py"
_spec = importlib.util.spec_from_file_location("golden_dump", _DUMP)
dump = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(dump)

ICMP = (1, 58)
PACKETS, PROTOCOL, SOURCE_PORT, DESTINATION_PORT = 2, 4, 7, 11
SOURCES, DESTINATIONS = (8, 27), (12, 28)


def address_text(text):
    """Canonical text; what cannot be read (nDPI shortens every run of zeros) as it is."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    if address.version == 6 and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)


def count(packets, protocol, source, source_port, destination, destination_port,
          forward, reverse):
    """Adds a conversation's packets in both directions, as far as there are any."""
    if protocol in ICMP:
        source_port = destination_port = 0
    ends = f"{address_text(source)}:{source_port}", \
        f"{address_text(destination)}:{destination_port}"
    for sender, receiver, n in ((*ends, forward), (*ends[::-1], reverse)):
        if n > 0:
            packets[f"{protocol} {sender} > {receiver}"] += n


def ours(ipfix):
    """From a file that the exporter wrote."""
    packets = collections.Counter()
    for record in dump.read_messages(ipfix.read_bytes()):
        values = {(pen, element): raw for pen, element, raw in record}

        def number(element, pen=0, values=values):
            return int.from_bytes(values.get((pen, element), b""), "big")

        def address(elements, values=values):
            raw = next(values[0, e] for e in elements if (0, e) in values)
            return str(ipaddress.ip_address(raw))

        count(packets, number(PROTOCOL), address(SOURCES), number(SOURCE_PORT),
              address(DESTINATIONS), number(DESTINATION_PORT),
              number(PACKETS), number(PACKETS, dump.REVERSE))
    return packets


NDPI_PROTOCOLS = {"TCP": 6, "UDP": 17, "ICMP": 1, "ICMPV6": 58, "SCTP": 132, "IGMP": 2,
                  "GRE": 47, "ESP": 50, "AH": 51}
NDPI_FLOW = re.compile(
    r"\s+\d+\t(\S+) (\[[^\]]*\]|[\d.]+):(\d+) <?-> (\[[^\]]*\]|[\d.]+):(\d+) "
    r".*?\[(\d+) pkts/\d+ bytes <?-> (\d+) pkts")


def ndpi(path):
    packets = collections.Counter()
    for line in path.read_text(errors="replace").splitlines():
        found = NDPI_FLOW.match(line)
        if found:
            name, a, a_port, b, b_port, there, back = found.groups()
            protocol = int(name) if name.isdigit() else NDPI_PROTOCOLS[name]
            count(packets, protocol, a.strip("[]"), a_port, b.strip("[]"), b_port,
                  int(there), int(back))
    return packets


def arkime(path):
    """Its sessions of IP; those of ARP and the like have no addresses."""
    packets = collections.Counter()
    for session in json.loads(path.read_text())["sessions3"]:
        body = session["body"]
        source, destination = body["source"], body["destination"]
        if "ip" in source:
            count(packets, body["ipProtocol"], source["ip"], source["port"],
                  destination["ip"], destination["port"],
                  source["packets"], destination["packets"])
    return packets


def ipfixprobe(path):
    """CSV whose line of column names ("ipaddr DST_IP") may be anywhere."""
    packets = collections.Counter()
    lines = list(csv.reader(path.read_text().splitlines()))
    header = next(line for line in lines if line[0].startswith("ipaddr "))
    names = [name.split()[-1] for name in header]
    for line in lines:
        if line is header:
            continue
        row = dict(zip(names, line))
        count(packets, int(row["PROTOCOL"]), row["SRC_IP"], row["SRC_PORT"], row["DST_IP"],
              row["DST_PORT"], int(row["PACKETS"]), int(row["PACKETS_REV"]))
    return packets
