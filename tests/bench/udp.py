#!/usr/bin/python3
"""Datagrams: CPU seconds per million records (10 to a key) from the socket to durable
pairs and services, paced and unpaced, and what of them is reception and journal; nfcapd
and nfacctd beside it, in one run; and the highest rate at which nothing is lost, also where
no key comes twice.

usage: tests/bench/udp.py [--quick] [--rounds N]

Prints lines of "name ours theirs ratio".  Loopback only, bounded in count and time.  The
sender is not in the figures, but has one of the machine's cores.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from collector import (BUILD, CACHE, Daemon, compile_load, free_port, run_nfacctd, send)

RATIO = 10
RATES = (500_000, 1_000_000, 1_500_000, 2_000_000, 3_000_000, 4_000_000)


def thread_seconds(pid):
    """CPU seconds of each thread, the first one's first."""
    times = []
    for thread in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as f:
            times.append(int(f.read().split()[0]) / 1e9)
    return times


def settled(pid):
    """Waits until a program has done its work; its threads' seconds."""
    before, times = None, thread_seconds(pid)
    while before is None or sum(times) - sum(before) > 0.005:
        time.sleep(0.5)
        before, times = times, thread_seconds(pid)
    return times


def run_ours(load, work, records, rate, ratio=RATIO):
    """Records kept, CPU seconds per million of them, records sent a second, CPU seconds of
    the receiving thread per million."""
    store, ports = f"{work}/store", f"{work}/ports"
    with open(f"{work}/summary", "w+") as out, open(f"{work}/ours.log", "w") as log:
        process = subprocess.Popen(
            [os.path.join(BUILD, "flowpair-collector"), "--listen", "udp://127.0.0.1:0",
             "--store", store, "--tables", "pairs,services", "--port-file", ports,
             "--summary", "json"], stdout=out, stderr=log)
        while not os.path.exists(ports):
            if process.poll() is not None:
                sys.exit(f"bench: {open(f'{work}/ours.log').read()}")
            time.sleep(0.02)
        started = thread_seconds(process.pid)
        port = int(open(ports).read().strip().rsplit(":", 1)[1])
        sent = send(load, "udp", port, records, ratio, records // ratio, rate)
        receiving = settled(process.pid)[0] - started[0]
        process.send_signal(signal.SIGTERM)
        if process.wait(120) != 0:
            sys.exit(f"bench: {open(f'{work}/ours.log').read()}")
        out.seek(0)
        summary = json.load(out)
    counts = summary["udp"][0]
    if counts["datagrams"] + counts["kernel_drops"] != (records + 25) // 26 + 1:
        sys.exit(f"bench: datagrams are neither received nor counted as lost: {counts}")
    shutil.rmtree(store)
    os.unlink(ports)
    kept = summary["records"]
    return kept, summary["cpu_seconds"] * 1e6 / kept, sent, receiving * 1e6 / kept


def run_nfcapd(load, work, records, rate):
    """Records kept, CPU seconds per million of them, records sent a second."""
    directory, port = f"{work}/nf", free_port(socket.SOCK_DGRAM)
    os.mkdir(directory)
    daemon = Daemon(["nfcapd", "-b", "127.0.0.1", "-p", str(port), "-w", directory, "-B",
                     "32000000", "-t", "3600"], f"{work}/nfcapd.log")
    time.sleep(1)
    sent = send(load, "udp", port, records, RATIO, records // 10, rate)
    time.sleep(1)
    cpu, _ = daemon.stop()
    files = [f for f in os.listdir(directory) if f.startswith("nfcapd")]
    said = subprocess.run(["nfdump", "-r", f"{directory}/{files[0]}", "-I"],
                          capture_output=True, text=True).stdout
    kept = [int(x.split(":")[1]) for x in said.splitlines() if x.startswith("Flows:")]
    shutil.rmtree(directory)
    return kept[0], cpu * 1e6 / max(kept[0], 1), sent


def best(run, rounds, *words):
    """The round that kept most, and of those the one that took least."""
    return min((run(*words) for _ in range(rounds)), key=lambda r: (-r[0], r[1]))


def say(name, ours, theirs, note):
    if theirs is None:
        print(f"{name} {ours:.3f} - - ({note})", flush=True)
    else:
        print(f"{name} {ours:.3f} {theirs:.3f} {ours / theirs:.3f} ({note})", flush=True)


def share(kept, records):
    return "nothing lost" if kept == records else f"{100 - 100 * kept / records:.1f} % lost"


def compare(load, work, records, rounds, rate, has_nfcapd):
    name = f"{rate // 1000}k" if rate else "unpaced"
    kept, cpu, _, receiving = best(run_ours, rounds, load, work, records, rate)
    note = f"ours to durable tables, {share(kept, records)}"
    theirs = None
    if has_nfcapd:
        their_kept, theirs, _ = best(run_nfcapd, rounds, load, work, records, rate)
        note += f"; nfcapd to its file, {share(their_kept, records)}"
    say(f"udp.nfcapd_{name}", cpu, theirs, note)
    say(f"udp.receive_and_journal_{name}", receiving, theirs,
        f"{receiving * 1000:.0f} ns a record" +
        (", goal 80 when paced" if rate else "") + ("; nfcapd" if has_nfcapd else ""))


def highest_rate(run, load, work, records, *more):
    """Trying RATES, the most records a second, as they were sent, of which nothing was
    lost in one of two tries."""
    highest = 0
    for rate in RATES:
        sent = [run(load, work, records, rate, *more)[:3:2] for _ in range(2)]
        lossless = [speed for kept, speed in sent if kept == records]
        if not lossless:
            break
        highest = max(highest, *lossless)
    return highest


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of the load")
    parser.add_argument("--rounds", type=int, default=2, help="the best of each counts")
    arguments = parser.parse_args()
    records = 1_000_000 if arguments.quick else 5_000_000
    os.makedirs(CACHE, exist_ok=True)
    load = compile_load()
    has_nfcapd = shutil.which("nfcapd") and shutil.which("nfdump")
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        for rate in (400_000, 1_000_000, 0):
            compare(load, work, records, arguments.rounds, rate, has_nfcapd)
        ours = highest_rate(run_ours, load, work, records)
        theirs = highest_rate(run_nfcapd, load, work, records) if has_nfcapd else None
        say("udp.lossless_M_records_a_second", ours / 1e6, theirs and theirs / 1e6,
            f"tried {', '.join(f'{rate / 1e6:g}' for rate in RATES)}; goal 1")
        ours = highest_rate(run_ours, load, work, records, 1)
        say("udp.lossless_M_records_a_second_no_key_twice", ours / 1e6,
            theirs and theirs / 1e6, "every record is a row of its own; goal 1")
        kept, cpu, *_ = best(run_ours, arguments.rounds, load, work, 4 * records, 1_000_000, 1)
        say("udp.no_key_twice_1000k", cpu, None, f"{4 * records / 1e6:g} million records, "
            f"{share(kept, 4 * records)}")
        if shutil.which("nfacctd"):
            part = records // 10
            kept, cpu, *_ = best(run_ours, arguments.rounds, load, work, part, 100_000)
            theirs, flows = run_nfacctd(load, work, part, RATIO, part // 10)
            say("udp.nfacctd_sqlite_100k", cpu, theirs,
                f"ours {share(kept, part)}; nfacctd {share(flows, part)}")


if __name__ == "__main__":
    main()
