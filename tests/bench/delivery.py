#!/usr/bin/python3
"""What delivery costs: CPU seconds of exporter and collector together until everything is
in the journal, over TCP, TLS and DTLS/SCTP, with acknowledgements, and through a spool on
disk; and how many records a second go through with acknowledgements and without (the last
of them waits for the disk: few records would measure that).  SCTP is the kernel's where it
has it, else the one of user space, in UDP.

usage: tests/bench/delivery.py [--quick] [--rounds N]

Ways are taken in turn, round after round; the least of each counts.
"""
import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("FLOWPAIR_BUILD", os.path.join(TOP, "build", "release"))
CACHE = os.path.join(TOP, "build", "bench")
COLUMNS = ("Source.IP,Source.Port,Destination.IP,Destination.Port,Protocol,Timestamp,"
           "Flow.Duration,Total.Fwd.Packets,Total.Backward.Packets,"
           "Total.Length.of.Fwd.Packets,Total.Length.of.Bwd.Packets\n")
WAYS = {  # name: (scheme, options of the exporter)
    "tcp": ("tcp", []),
    "tls": ("tls", ["--no-acknowledge"]),
    "tls_acknowledged": ("tls", []),
    "spool": ("tls", ["--spool", "spool"]),
    "sctp": ("sctp", []),
    "dtls_sctp": ("dtls+sctp", ["--no-acknowledge"]),
    "dtls_sctp_acknowledged": ("dtls+sctp", []),
}


def has_kernel_sctp():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
        return True
    except OSError:
        return False


def ends(scheme):
    """What follows the port in the URIs of collector and exporter."""
    if "sctp" not in scheme or has_kernel_sctp():
        return "", ""
    ports = []
    for _ in range(2):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            ports.append(s.getsockname()[1])
    ours = f"?encapsulation=udp&udp-port={ports[0]}"
    return ours, f"{ours}&local-udp-port={ports[1]}"


def write_trace(path, rows):
    with open(path, "w", encoding="ascii") as out:
        out.write(COLUMNS)
        out.writelines(f"10.{i >> 10 & 15}.{i >> 8 & 3}.{i & 255},{1024 + i % 3},10.200.0.1,"
                       "443,6,26/04/201711:11:17,100,3,4,500,600\n" for i in range(rows))


def cpu_seconds(process):
    """Of a process that ends by itself, with its children."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"bench: {' '.join(process.args)} failed")
    return usage.ru_utime + usage.ru_stime


def deliver(work, certificates, trace, name, turn):
    """Seconds of CPU and seconds until everything is delivered."""
    scheme, options = WAYS[name]
    here, there = ends(scheme)
    secure = [[], []] if "tls" not in scheme else [
        ["--certificate", f"{certificates}/{who}.pem", "--key", f"{certificates}/{who}.key",
         "--ca", f"{certificates}/ca.pem"] for who in ("collector", "exporter")]
    place = os.path.join(work, f"{name}{turn}")
    os.mkdir(place)
    with subprocess.Popen(
            [f"{BUILD}/flowpair-collector", "--listen", f"{scheme}://127.0.0.1:0{here}",
             "--store", f"{place}/store", "--summary", "none", *secure[0]],
            stderr=subprocess.PIPE, text=True) as collector:
        port = re.search(r":(\d+)\b[^:]*$", collector.stderr.readline()).group(1)
        began = time.monotonic()
        with subprocess.Popen(
                [f"{BUILD}/flowpair-exporter", "--trace-csv", trace, "--summary", "none",
                 "--to", f"{scheme}://127.0.0.1:{port}{there}", *secure[1], *options],
                cwd=place, stderr=subprocess.DEVNULL) as exporter:
            spent = cpu_seconds(exporter)
        took = time.monotonic() - began
        collector.terminate()
        collector.stderr.read()
        spent += cpu_seconds(collector)
    return spent, took


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the load")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.makedirs(CACHE, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        certificates, trace = f"{work}/certificates", f"{work}/trace.csv"
        subprocess.run([f"{TOP}/deploy/certificates", certificates, "localhost"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rows = 300000 if arguments.quick else 3000000
        write_trace(trace, rows)
        cpu, wall = {}, {}
        for turn in range(arguments.rounds):
            for name in WAYS:
                spent, took = deliver(work, certificates, trace, name, turn)
                cpu[name] = min(cpu.get(name, spent), spent)
                wall[name] = min(wall.get(name, took), took)
    for ours, theirs in (("tls", "tcp"), ("tls_acknowledged", "tls"), ("spool", "tls"),
                         ("sctp", "tcp"), ("dtls_sctp", "tcp")):
        print(f"delivery.{ours}_{theirs} {cpu[ours]:.3f} {cpu[theirs]:.3f} "
              f"{cpu[ours] / cpu[theirs]:.3f}", flush=True)
    for way in ("tls", "dtls_sctp"):
        ours, theirs = (rows / wall[x] / 1e6 for x in (f"{way}_acknowledged", way))
        print(f"throughput.{way}_acknowledged {ours:.3f} {theirs:.3f} {ours / theirs:.3f} "
              "(million records a second; at least 0.9)", flush=True)


if __name__ == "__main__":
    main()
