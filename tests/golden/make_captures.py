#!/usr/bin/python3
"""Writes the captures of the golden tests into a directory.  Made here, packet by packet,
always the same bytes.

usage: make_captures.py DIRECTORY
"""
import gzip
import logging
import os
import struct
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import (  # noqa: E402
    ARP, GRE, ICMP, IP, TCP, UDP, Dot1AD, Dot1Q, Ether, ICMPv6DestUnreach, ICMPv6EchoReply,
    ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting, CookedLinux, Raw, fragment)
from scapy.contrib.igmp import IGMP  # noqa: E402
from scapy.layers.sctp import SCTP, SCTPChunkData  # noqa: E402

START = 1700000000
A, B = "192.0.2.1", "192.0.2.2"
A6, B6 = "2001:db8::1", "2001:db8::2"


def ether(from_a=True):
    macs = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
    return Ether(src=macs[not from_a], dst=macs[from_a])


def ip(from_a=True, **more):
    return ether(from_a) / IP(src=A if from_a else B, dst=B if from_a else A, id=1, **more)


def ip6(from_a=True, **more):
    return ether(from_a) / IPv6(src=A6 if from_a else B6, dst=B6 if from_a else A6, **more)


def segment(from_a, flags, seq, payload=0, sport=40000, dport=80, ttl=64):
    ports = {"sport": sport, "dport": dport} if from_a else {"sport": dport, "dport": sport}
    p = ip(from_a, ttl=ttl) / TCP(flags=flags, seq=seq, ack=1 if "A" in flags else 0, **ports)
    return p / Raw(b"x" * payload) if payload else p


def datagram(from_a=True, payload=10, sport=5000, dport=53):
    ports = {"sport": sport, "dport": dport} if from_a else {"sport": dport, "dport": sport}
    return ip(from_a) / UDP(**ports) / Raw(b"u" * payload)


def at(seconds, packet):
    """Time in whole microseconds after START, kept exact."""
    packet.time = START + seconds
    return packet


def conversation(begin=0.0, seq=100, **ports):
    """Handshake, a request, two segments back, close from A."""
    shape = [(True, "S", 0), (False, "SA", 0), (True, "A", 0), (True, "PA", 120),
             (False, "A", 1460), (False, "PA", 500), (True, "A", 0), (True, "FA", 0),
             (False, "FA", 0), (True, "A", 0)]
    return [at(begin + i * 0.25, segment(a, f, seq + i, n, ttl=64 if a else 57, **ports))
            for i, (a, f, n) in enumerate(shape)]


def tcp_close():
    return conversation()


def tcp_reset():
    return [at(0, segment(True, "S", 1)), at(0.5, segment(False, "RA", 0)),
            at(1, segment(True, "S", 1)), at(1.5, segment(False, "RA", 0)),
            # after the grace time: another conversation
            at(4, segment(True, "S", 1)), at(4.5, segment(False, "RA", 0))]


def tcp_port_reuse():
    return conversation() + conversation(3.0, seq=5000) + [
        at(6, segment(False, "PA", 1, 10))]  # payload after the close


def tcp_middle():
    """No handshake seen; then only a SYN+ACK seen."""
    return [at(0, segment(False, "PA", 1, 100)), at(1, segment(True, "A", 1)),
            at(2, segment(False, "SA", 9, sport=40001)), at(3, segment(True, "A", 1, sport=40001))]


def tcp_half_close():
    return [at(0, segment(True, "S", 1)), at(1, segment(False, "SA", 1)),
            at(2, segment(True, "FA", 2))] + [
        at(3 + i, segment(False, "PA", 3 + i, 1000)) for i in range(5)]


def udp_idle():
    return [at(0, datagram()), at(15, datagram()), at(29.999999, datagram(False))]


def udp_active():
    return [at(i * 10, datagram(i % 3 != 2, 10 * i)) for i in range(14)]


def udp_disorder():
    return [at(s, datagram(payload=n)) for n, s in enumerate((0, 2, 1, 3, 2.5, 9, 7, 10))]


def icmp_echo():
    def echo(seconds, from_a, kind, sequence):
        return at(seconds, ip(from_a) / ICMP(type=kind, id=7, seq=sequence) / Raw(b"p" * 56))
    return [echo(0, True, 8, 1), echo(0.01, False, 0, 1), echo(1, True, 8, 2),
            echo(1.01, False, 0, 2), echo(1.5, False, 8, 1), echo(1.51, True, 0, 1)]


def icmp_reply_first():
    return [at(0, ip(False) / ICMP(type=0, id=7, seq=1) / Raw(b"p" * 8)),
            at(1, ip(True) / ICMP(type=8, id=7, seq=2) / Raw(b"p" * 8))]


def icmp_error():
    inner = IP(src=A, dst=B, id=1) / UDP(sport=5000, dport=9)
    return [at(0, datagram(dport=9)), at(0.1, ip(False) / ICMP(type=3, code=3) / inner),
            at(0.2, ip(False) / ICMP(type=3, code=1) / inner)]


def ipv6_mixed():
    return [
        at(0, ip6() / ICMPv6EchoRequest(id=1, seq=1, data=b"d" * 8)),
        at(0.1, ip6(False) / ICMPv6EchoReply(id=1, seq=1, data=b"d" * 8)),
        at(0.2, ip6(False) / ICMPv6DestUnreach(code=4)),
        at(1, ip6(tc=32) / UDP(sport=5000, dport=53) / Raw(b"q" * 30)),
        at(1.5, ip6(False) / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() /
           UDP(sport=53, dport=5000) / Raw(b"r" * 40)),
        at(2, ip6() / IPv6ExtHdrRouting(addresses=["2001:db8::9"], segleft=0) /
           TCP(sport=1, dport=2, flags="S", seq=5)),
    ]


def fragments():
    whole = fragment(ip() / UDP(sport=5000, dport=53) / Raw(b"f" * 3000), fragsize=1400)
    packets = [at(i * 0.1, p) for i, p in enumerate(whole)]
    lost = fragment(ip() / UDP(sport=6000, dport=53) / Raw(b"f" * 3000), fragsize=1400)
    for p in lost:
        p[IP].id = 2
    packets += [at(1 + i * 0.1, p) for i, p in enumerate(lost[1:])]
    head, tail = IPv6ExtHdrFragment(id=3, m=1, nh=17), IPv6ExtHdrFragment(id=3, offset=5, nh=17)
    udp = bytes(UDP(sport=7000, dport=53, len=48) / Raw(b"g" * 40))
    packets += [at(2, ip6() / head / Raw(udp[:40])), at(2.1, ip6() / tail / Raw(udp[40:]))]
    return packets


def vlans():
    def tagged(seconds, tags, from_a):
        p = ether(from_a)
        for i, tag in enumerate(tags):
            p = p / (Dot1AD(vlan=tag) if len(tags) > 1 and i == 0 else Dot1Q(vlan=tag))
        return at(seconds, p / datagram(from_a)[IP])
    return [tagged(0, [10], True), tagged(1, [20], True), tagged(2, [10], False),
            tagged(3, [30, 40], True), tagged(4, [], True)]


def other_protocols():
    return [at(0, ip() / SCTP(sport=2905, dport=2905) / SCTPChunkData(data=b"s" * 16)),
            at(1, ip(False) / SCTP(sport=2905, dport=2905) / SCTPChunkData(data=b"t" * 8)),
            at(2, ip() / GRE() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP()),
            at(3, ether() / IP(src=A, dst="224.0.0.22", ttl=1) / IGMP(type=0x16))]


def dropped():
    """Everything here but the last is dropped, each for its own reason."""
    short_udp = ip(proto=17) / Raw(b"\0\1\0\2")
    beyond = datagram()
    beyond[IP].len = 500
    bad_header = ip() / UDP()
    bad_header[IP].ihl = 3
    version = ether() / Raw(b"\x75" + bytes(40))
    version.type = 0x800
    return [at(0, ether() / ARP()), at(1, short_udp), at(2, beyond), at(3, bad_header),
            at(4, version), at(5, Raw(bytes(datagram())[:14 + 12])),
            at(6, Raw(bytes(datagram())[:10])), at(7, datagram())]


def length_zero():
    """Segmentation offload: no total length, the wire length counts."""
    p = segment(True, "PA", 1, 3000)
    p[IP].len = 0
    return [at(0, p)]


CAPTURES = [
    tcp_close, tcp_reset, tcp_port_reuse, tcp_middle, tcp_half_close, udp_idle, udp_active,
    udp_disorder, icmp_echo, icmp_reply_first, icmp_error, ipv6_mixed, fragments, vlans,
    other_protocols, dropped, length_zero,
]


def stamp(p, per_second):
    seconds = int(p.time)
    return seconds, round((float(p.time) - seconds) * per_second)


def write(path, packets, link=1, snaplen=0, order="<", nano=False):
    per_second = 1_000_000_000 if nano else 1_000_000
    out = struct.pack(order + "IHHiIII", 0xa1b23c4d if nano else 0xa1b2c3d4, 2, 4, 0, 0,
                      snaplen or 65535, link)
    for p in packets:
        raw = bytes(p)
        kept = raw[:snaplen or len(raw)]
        out += struct.pack(order + "IIII", *stamp(p, per_second), len(kept), len(raw)) + kept
    with open(path, "wb") as f:
        f.write(gzip.compress(out, mtime=0) if path.endswith(".gz") else out)


def write_pcapng(path, packets):
    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
    out = block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1))
    out += block(1, struct.pack("<HHI", 1, 0, 0))
    for p in packets:
        raw, (seconds, micros) = bytes(p), stamp(p, 1_000_000)
        ticks = seconds * 1_000_000 + micros
        out += block(6, struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xffffffff, len(raw),
                                    len(raw)) + raw)
    with open(path, "wb") as f:
        f.write(out)


def write_formats(directory):
    """One conversation in other formats and on other link layers."""
    def path(name):
        return os.path.join(directory, name)
    packets = conversation()
    write(path("format_nanosecond.pcap"), packets, nano=True)
    write(path("format_big_endian.pcap"), packets, order=">")
    write(path("format_gzip.pcap.gz"), packets)
    write(path("format_snapped.pcap"), packets, snaplen=60)
    write_pcapng(path("format_next_generation.pcapng"), packets)
    write(path("link_raw.pcap"), [at(float(p.time) - START, p[IP]) for p in packets], link=101)
    write(path("link_cooked.pcap"), [
        at(float(p.time) - START, CookedLinux(proto=0x800) / p[IP]) for p in packets], link=113)
    with open(path("tcp_close.pcap"), "rb") as f:
        plain = f.read()
    with open(path("format_cut_short.pcap"), "wb") as f:
        f.write(plain[:-10])


def main():
    directory = sys.argv[1]
    os.makedirs(directory, exist_ok=True)
    for make in CAPTURES:
        write(os.path.join(directory, make.__name__ + ".pcap"), make())
    write_formats(directory)


if __name__ == "__main__":
    main()
