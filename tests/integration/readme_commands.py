"""Runs every command of README.md, literally and in order, and checks what comes of it.

test_readme.py starts this in namespaces of its own, where eth0 and collector.example exist and
nothing it writes outlives it."""

import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

from netflow_bytes import v5, v5_record

PATIENCE = 60
README = pathlib.Path("README.md").read_text()


def check(holds, what):
    if not holds:
        sys.exit(f"README.md: {what}")


def blocks():
    """(commands of a block, the sample of an answer that follows it)"""
    for block, sample in re.findall(r"```sh\n(.*?)```\n(?:\n((?:    [^\n]*\n)+))?", README, re.S):
        commands = block.replace("\\\n", " ").strip().split("\n")
        yield commands, sample


def run(command):
    print("$", command, flush=True)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)
    print(done.stdout + done.stderr, flush=True)
    check(done.returncode == 0, f"{command}\nended with {done.returncode}")
    return done.stdout


class Service:
    """A command that runs until it is stopped."""

    def __init__(self, command, ready):
        print("$", command, flush=True)
        self.command = command
        self.log = pathlib.Path(f"/var/spool/flowpair-{time.monotonic_ns()}.log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(["bash", "-c", "exec " + command], stderr=log)
        self.wait(ready)

    def wait(self, pattern):
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.log.read_text()):
            check(self.process.poll() is None and time.monotonic() < deadline,
                  f"{self.command}\ndid not say {pattern!r}:\n{self.log.read_text()}")
            time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        print(self.log.read_text(), flush=True)
        check(status == 0, f"{self.command}\nended with {status}")


def send(address, payload, count=1):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _ in range(count):
            s.sendto(payload, address)


def exporters():
    answer = run("flowpair-query --store /var/lib/flowpair exporters --format csv "
                 "--columns exporter,records,lost")
    return {line.split(",")[0]: line.split(",")[1:] for line in answer.split()[1:]}


def main():
    services = []
    for commands, sample in blocks():
        for command in commands:
            if command.startswith("flowpair-collector --listen"):
                while services:
                    services.pop().stop()
                services.append(Service(command, "listening on"))
            elif command.startswith("flowpair-exporter -i"):
                exporter = Service(command, "capturing on")
                send(("192.0.2.2", 9), b"over eth0", 3)
                time.sleep(0.5)  # the kernel hands packets over in blocks
                exporter.stop()
            else:
                answer = run(command)
                if sample:
                    check(answer.split("\n")[0].split() == sample.split("\n")[0].split(),
                          f"{command}\ndoes not answer with the columns that are shown")
                    check(len(answer.split("\n")) > 1, f"{command}\nfinds nothing")
    send(("127.0.0.1", 4739), v5(v5_record(b"\xc0\0\2\7", b"\xc0\0\2\x08", 7, 700)))
    time.sleep(0.5)  # datagrams have no answer to wait for
    while services:
        services.pop().stop()
    seen = exporters()
    check("web1" in seen and int(seen["web1"][0]) >= 1, f"web1 sent nothing: {seen}")
    check("127.0.0.1" in seen and seen["127.0.0.1"][0] == "1", f"the router is missing: {seen}")


main()
