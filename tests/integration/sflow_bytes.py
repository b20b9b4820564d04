"""sFlow v5 datagrams made by hand (sflow.org/sflow_version_5.txt)."""

import ipaddress
import struct


def datagram(agent, *samples, sub_agent=0, sequence=1, uptime=60000):
    address = ipaddress.ip_address(agent)
    return struct.pack(">II", 5, 1 if address.version == 4 else 2) + address.packed + struct.pack(
        ">IIII", sub_agent, sequence, uptime, len(samples)) + b"".join(samples)


def sample(number, body):
    return struct.pack(">II", number, len(body)) + body


def packet(source, destination, octets=100, rate=1, records=1):
    """A flow sample of a TCP packet to port 80 that says it has so many records."""
    fields = struct.pack(">II4s4sIIII", octets, 6, ipaddress.ip_address(source).packed,
                         ipaddress.ip_address(destination).packed, 1024, 80, 0x18, 0)
    return sample(1, struct.pack(">IIIIIIII", 1, 0, rate, 0, 0, 1, 2, records)
                  + sample(3, fields))


def counters():
    """A counter sample without counters."""
    return sample(2, struct.pack(">III", 1, 0, 0))
