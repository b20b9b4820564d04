"""The world that the chaos tests break: exporters that read endless flow traces, a network
between (a proxy that cuts and holds), small disks, a clock that steps."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import threading
import time

HEADER = ("Source.IP,Source.Port,Destination.IP,Destination.Port,Protocol,Timestamp,"
          "Flow.Duration,Total.Fwd.Packets,Total.Backward.Packets,"
          "Total.Length.of.Fwd.Packets,Total.Length.of.Bwd.Packets\n")


def row(exporter, run, index):
    """The index-th row of a run: no other row of the test has its key."""
    return (f"10.{exporter}.{run >> 8}.{run & 255},{2000 + exporter},"
            f"192.168.{index >> 8 & 255}.{index & 255},{1024 + (index >> 16)},6,"
            f"26/04/201711:11:{index % 60:02},{index % 1000},{packets(index)},1,"
            f"{octets(index)},40\n")


def packets(index):
    return 1 + index % 7


def octets(index):
    return 100 + index % 1000


def place(source, destination, port):
    """(exporter, run, index) of a stored row."""
    _, exporter, high, low = map(int, source.split("."))
    _, _, top, bottom = map(int, destination.split("."))
    return exporter, high << 8 | low, (port - 1024) << 16 | top << 8 | bottom


class Trace(threading.Thread):
    """Writes rows of one run into a named pipe until it is told to end, or nobody reads."""

    def __init__(self, path, exporter, run, rate):
        super().__init__(daemon=True)
        self.path, self.exporter, self.number, self.rate = path, exporter, run, rate
        self.written, self.is_ending = 0, False
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path)

    def run(self):
        try:
            with open(self.path, "w", buffering=1 << 16) as pipe:
                pipe.write(HEADER)
                while not self.is_ending:
                    for _ in range(10):
                        pipe.write(row(self.exporter, self.number, self.written))
                        self.written += 1
                    pipe.flush()
                    time.sleep(10 / self.rate)
        except BrokenPipeError:
            pass


class Network(threading.Thread):
    """Carries connections to a port on loopback; can cut them anywhere, and hold them."""

    def __init__(self, to_port):
        super().__init__(daemon=True)
        self.to_port = to_port
        self.door = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.door.getsockname()[1]
        self.passes = threading.Event()
        self.passes.set()
        self.lock = threading.Lock()
        self.pairs, self.connections = set(), 0
        self.cut_after = None  # bytes towards the collector

    def run(self):
        while True:
            try:
                near, _ = self.door.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.to_port), timeout=5)
            except OSError:
                self.reset(near)
                continue
            far.settimeout(None)
            pair = (near, far)
            with self.lock:
                self.pairs.add(pair)
                self.connections += 1
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(pair, source, sink),
                                 daemon=True).start()

    def carry(self, pair, source, sink):
        try:
            while True:
                piece = source.recv(1 << 14)
                self.passes.wait()
                if source is pair[0] and self.cut_after is not None:
                    with self.lock:
                        allowed, self.cut_after = self.cut_after, None
                    sink.sendall(piece[:allowed])
                    if len(piece) >= allowed:
                        self.drop(pair)
                        return
                    with self.lock:
                        self.cut_after = allowed - len(piece)
                    continue
                if not piece:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(piece)
        except OSError:
            self.drop(pair)

    @staticmethod
    def reset(end):
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RD)
        with contextlib.suppress(OSError):
            end.close()

    def drop(self, pair):
        with self.lock:
            self.pairs.discard(pair)
        for end in pair:
            self.reset(end)

    def cut(self, after=0):
        """Resets the connections once so many more bytes went to the collector."""
        self.cut_after = after

    def cut_all(self):
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            self.drop(pair)

    def hold(self):
        self.passes.clear()

    def release(self):
        self.passes.set()

    def close(self):
        self.door.close()
        self.passes.set()
        self.cut_all()


class SmallDisk:
    """A file system of a few megabytes; None is full(): this machine lets nobody mount."""

    def __init__(self, folder, size):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs",
                               str(self.folder)], capture_output=True)
        self.is_mounted = done.returncode == 0
        self.filler = self.folder / "filler"

    def fill(self):
        with contextlib.suppress(OSError), open(self.filler, "wb", buffering=0) as out:
            while True:
                out.write(bytes(1 << 16))

    def clear(self):
        with contextlib.suppress(FileNotFoundError):
            self.filler.unlink()

    def close(self):
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)


class Clock:
    """The wall clock of the programs, which steps; their monotonic clock does not."""

    def __init__(self, folder):
        self.file = folder / "clock"
        self.step(0)
        found = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        self.library = found[0] if found else None

    def step(self, seconds):
        """So many seconds ahead of the machine's clock from now on."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(self.file)

    @property
    def environment(self):
        more = dict(os.environ)
        if self.library is not None:
            more.update(LD_PRELOAD=str(self.library), FAKETIME_NO_CACHE="1",
                        FAKETIME_TIMESTAMP_FILE=str(self.file),
                        FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1")
        return more


class Renewals:
    """Certificates made beforehand, which take the place of those in use."""

    def __init__(self, certificates, folder, names, count):
        self.folder, self.names, self.used = folder, names, 0
        folder.mkdir()
        self.made = {
            name: [certificates.sign(f"{name}-{i}", san) for i in range(count)]
            for name, san in names.items()}
        for name in names:
            self.renew(name)

    def renew(self, name):
        certificate, key = self.made[name][self.used % len(self.made[name])]
        self.used += 1
        for source, target in ((certificate, f"{name}.pem"), (key, f"{name}.key")):
            fresh = self.folder / f"{target}.new"
            shutil.copy(source, fresh)
            fresh.chmod(0o600)
            fresh.rename(self.folder / target)

    def options(self, name, ca):
        return ["--certificate", self.folder / f"{name}.pem",
                "--key", self.folder / f"{name}.key", "--ca", ca]


def ledger(programs, run, spool):
    """What the exporter says of its spool: its own total survives everything."""
    done = run(programs.exporter, "--spool", spool, "--spool-status", "--summary", "json")
    return json.loads(done.stdout)
