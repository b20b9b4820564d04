#!/usr/bin/python3
"""CPU seconds per million records: receive over TCP, journal, decode, reduce, durable
pairs and services, against nfcapd (UDP) followed by nfdump -A over the same records, in
one run; nfacctd with SQLite beside it.

usage: tests/bench/collector.py [--quick] [--rate N]

Prints lines of "name ours theirs ratio".  Loopback only, bounded in count and time.
"""
import argparse
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("FLOWPAIR_BUILD", os.path.join(TOP, "build", "release"))
CACHE = os.path.join(TOP, "build", "bench")
# repeat ratio, records after which a key repeats as a part of all, limit
RATIOS = ((50, 1 / 50, 0.35), (10, 1 / 10, 0.40), (2, 1 / 10, 0.50), (1, 1, 0.60))
UDP_RATE = 400000


def compile_load():
    source = os.path.join(TOP, "tests/bench/ipfix_load.c")
    out = os.path.join(CACHE, "ipfix_load")
    if not os.path.exists(out) or os.path.getmtime(out) < os.path.getmtime(source):
        subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-o", out, source],
                       check=True)
    return out


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Daemon:
    """A program in the background; stop() tells its CPU seconds."""

    def __init__(self, command, log):
        self.log = log
        with open(log, "w") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid != 0:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
            time.sleep(0.02)
        self.process.kill()
        sys.exit(f"bench: {self.log}: did not end")


def wait_for(path, daemon):
    for _ in range(500):
        if os.path.exists(path) and os.path.getsize(path) > 0:
            return
        if daemon.process.poll() is not None:
            break
        time.sleep(0.02)
    sys.exit(f"bench: did not start: {open(daemon.log).read()}")


def send(load, kind, port, records, ratio, window, rate):
    """The records a second that came of it."""
    done = subprocess.run([load, kind, str(port), str(records), str(ratio), str(window),
                           str(rate)], check=True, timeout=200, stdout=subprocess.PIPE)
    return float(done.stdout)


def stored_flows(store):
    total = 0
    for name in os.listdir(store):
        if name.startswith("pairs-") and name.endswith(".sqlite"):
            with sqlite3.connect(f"file:{store}/{name}?mode=ro", uri=True) as d:
                total += d.execute("SELECT sum(flows) FROM pairs_runs").fetchone()[0]
    return total


def run_ours(load, work, records, ratio, window, rate):
    store, ports = f"{work}/store", f"{work}/ports"
    daemon = Daemon([os.path.join(BUILD, "flowpair-collector"), "--listen",
                     "tcp://127.0.0.1:0", "--store", store, "--tables", "pairs,services",
                     "--port-file", ports, "--summary", "none"], f"{work}/ours.log")
    wait_for(ports, daemon)
    port = int(open(ports).read().strip().rsplit(":", 1)[1])
    send(load, "tcp", port, records, ratio, window, rate)
    time.sleep(0.5)
    cpu, peak = daemon.stop()
    if daemon.process.returncode != 0:
        sys.exit(f"bench: {open(daemon.log).read()}")
    flows = stored_flows(store)
    if flows != records:
        sys.exit(f"bench: {records} records sent, {flows} flows stored")
    shutil.rmtree(store)
    os.unlink(ports)
    return cpu * 1e6 / records, peak


def run_nfdump(load, work, records, ratio, window):
    """CPU of nfcapd and of nfdump -A behind it."""
    directory, port = f"{work}/nf", free_port(socket.SOCK_DGRAM)
    os.mkdir(directory)
    daemon = Daemon(["nfcapd", "-b", "127.0.0.1", "-p", str(port), "-w", directory, "-B",
                     "4000000", "-t", "3600"], f"{work}/nfcapd.log")
    time.sleep(1)
    send(load, "udp", port, records, ratio, window, UDP_RATE)
    time.sleep(1)
    capture, _ = daemon.stop()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    files = [f for f in os.listdir(directory) if f.startswith("nfcapd")]
    said = subprocess.run(["nfdump", "-r", f"{directory}/{files[0]}", "-A",
                           "srcip,dstip,srcport,dstport,proto", "-w", f"{work}/out"],
                          check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    reduce = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    count = subprocess.run(["nfdump", "-r", f"{directory}/{files[0]}", "-I"],
                           capture_output=True, text=True).stdout
    stored = [int(x.split(":")[1]) for x in count.splitlines() if x.startswith("Flows:")]
    if stored and stored[0] < records * 0.98:
        print(f"# nfcapd lost {records - stored[0]} of {records} records; it is charged "
              f"for what it kept: {said.stderr.strip()}")
        records = stored[0]
    shutil.rmtree(directory)
    os.unlink(f"{work}/out")
    return capture * 1e6 / records, reduce * 1e6 / records


def run_nfacctd(load, work, records, ratio, window):
    port = free_port(socket.SOCK_DGRAM)
    database = f"{work}/nfacctd.sqlite"
    with sqlite3.connect(database) as d:
        d.execute("CREATE TABLE acct (ip_src CHAR(45) NOT NULL, ip_dst CHAR(45) NOT NULL, "
                  "src_port INT NOT NULL, dst_port INT NOT NULL, ip_proto CHAR(20) NOT "
                  "NULL, packets INT NOT NULL, bytes BIGINT NOT NULL, flows INT NOT NULL, "
                  "stamp_inserted DATETIME, stamp_updated DATETIME)")
    with open(f"{work}/nfacctd.conf", "w") as f:
        f.write(f"daemonize: false\nnfacctd_ip: 127.0.0.1\nnfacctd_port: {port}\n"
                "plugins: sqlite3[s]\nplugin_pipe_zmq: true\nplugin_pipe_zmq_profile: "
                "xlarge\naggregate[s]: src_host,dst_host,src_port,dst_port,proto,flows\n"
                f"sql_db[s]: {database}\nsql_table[s]: acct\nsql_refresh_time[s]: 600\n"
                "sql_dont_try_update[s]: true\nsql_optimize_clauses[s]: true\n"
                f"sql_cache_entries[s]: {max(records // ratio * 2 + 1, 32771)}\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    daemon = Daemon(["nfacctd", "-f", f"{work}/nfacctd.conf"], f"{work}/nfacctd.log")
    time.sleep(2)
    middle = resource.getrusage(resource.RUSAGE_CHILDREN)
    send(load, "udp", port, records, ratio, window, 100000)
    sender = resource.getrusage(resource.RUSAGE_CHILDREN)
    time.sleep(2)
    daemon.process.send_signal(signal.SIGINT)
    daemon.process.wait(timeout=120)
    time.sleep(3)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime -
           (sender.ru_utime + sender.ru_stime - middle.ru_utime - middle.ru_stime))
    with sqlite3.connect(database) as d:
        flows = d.execute("SELECT sum(flows) FROM acct").fetchone()[0] or 0
    return cpu * 1e6 / max(flows, 1), flows


def measure(load, work, records, ratio, window, arguments, beside):
    """The least of each over rounds that take turns: the machine is not always as fast."""
    ours, theirs = [], []
    for _ in range(arguments.rounds):
        ours.append(run_ours(load, work, records, ratio, window, arguments.rate))
        if beside:
            theirs.append(run_nfdump(load, work, records, ratio, window))
    capture, reduce = min(theirs, key=sum) if theirs else (0, 0)
    return *min(ours), capture, reduce


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the load")
    parser.add_argument("--rate", type=int, default=0,
                        help="records a second over TCP; 0: as fast as they are taken")
    parser.add_argument("--rounds", type=int, default=2, help="the least of each counts")
    parser.add_argument("--ratio", type=int, action="append", help="only these ratios")
    parser.add_argument("--ours-only", action="store_true")
    arguments = parser.parse_args()
    records = 500000 if arguments.quick else 5000000
    os.makedirs(CACHE, exist_ok=True)
    load = compile_load()
    has_nfdump = shutil.which("nfcapd") and shutil.which("nfdump")
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        for ratio, part, limit in RATIOS:
            if arguments.ratio and ratio not in arguments.ratio:
                continue
            window = int(records * part)
            name = f"collector.nfdump_{ratio}_to_1"
            beside = has_nfdump and not arguments.ours_only
            ours, peak, capture, reduce = measure(
                load, work, records, ratio, window, arguments, beside)
            if not beside:
                print(f"{name} {ours:.3f} - - (peak {peak:.0f} MB)", flush=True)
                continue
            theirs = capture + reduce
            print(f"{name} {ours:.3f} {theirs:.3f} {ours / theirs:.3f} (limit {limit:.2f}; "
                  f"nfcapd {capture:.3f}, nfdump -A {reduce:.3f}; ours peak {peak:.0f} MB)",
                  flush=True)
            if ratio == 10 and shutil.which("nfacctd"):
                part_records = records // 10
                cpu, flows = run_nfacctd(load, work, part_records, ratio,
                                         part_records // 10)
                print(f"collector.nfacctd_sqlite_{ratio}_to_1 {ours:.3f} {cpu:.3f} "
                      f"{ours / cpu:.3f} (it kept {flows} of {part_records} records)",
                      flush=True)


if __name__ == "__main__":
    main()
