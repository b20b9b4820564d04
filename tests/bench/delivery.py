#!/usr/bin/python3
"""What delivery costs: CPU seconds of exporter and collector together until everything is
in the journal, over TCP, over TLS, with acknowledgements, and through a spool on disk.
(On an idle machine with --wall: the time that passes instead.)

usage: tests/bench/delivery.py [--quick] [--wall] [--rounds N]
"""
import argparse
import os
import re
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
    "acknowledged": ("tls", []),
    "spool": ("tls", ["--spool", "spool"]),
}


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
    secure = [[], []] if scheme == "tcp" else [
        ["--certificate", f"{certificates}/{who}.pem", "--key", f"{certificates}/{who}.key",
         "--ca", f"{certificates}/ca.pem"] for who in ("collector", "exporter")]
    place = os.path.join(work, f"{name}{turn}")
    os.mkdir(place)
    with subprocess.Popen(
            [f"{BUILD}/flowpair-collector", "--listen", f"{scheme}://127.0.0.1:0",
             "--store", f"{place}/store", "--summary", "none", *secure[0]],
            stderr=subprocess.PIPE, text=True) as collector:
        port = re.search(r":(\d+)$", collector.stderr.readline().strip()).group(1)
        began = time.monotonic()
        with subprocess.Popen(
                [f"{BUILD}/flowpair-exporter", "--trace-csv", trace, "--summary", "none",
                 "--to", f"{scheme}://localhost:{port}", *secure[1], *options],
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
    parser.add_argument("--wall", action="store_true", help="time, not CPU time")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.makedirs(CACHE, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        certificates, trace = f"{work}/certificates", f"{work}/trace.csv"
        subprocess.run([f"{TOP}/deploy/certificates", certificates, "localhost"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        write_trace(trace, 100000 if arguments.quick else 1000000)
        best = {}
        for turn in range(arguments.rounds):
            for name in WAYS:
                took = deliver(work, certificates, trace, name, turn)[arguments.wall]
                best[name] = min(best.get(name, took), took)
    for ours, theirs, note in (("tls", "tcp", ""),
                               ("acknowledged", "tls", " (limit 1.11)"),
                               ("spool", "tls", "")):
        print(f"delivery.{ours}_{theirs} {best[ours]:.3f} {best[theirs]:.3f} "
              f"{best[ours] / best[theirs]:.3f}{note}", flush=True)


if __name__ == "__main__":
    main()
