"""A network of two hosts with a switch between them, and everything that exports what passes
one of the switch's ports: the switch itself (Open vSwitch, user-space datapath), softflowd,
pmacctd's nfprobe, and our exporter.  Each has a collector of its own, the bridge's IPFIX one
with the schemas in FOLDER/entering.

usage: switch_world.py PROGRAMS FOLDER

Runs as the first process of a process namespace, with network and mount namespaces of its
own: whatever ends it, nothing of it stays.  PROGRAMS holds ours; FOLDER gets stores, summaries
and logs by exporter, and `world.json`: what could not run, and why."""

import array
import fcntl
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

PORT = "left"  # of the switch: where everything captures
ENDS = {"left": ("10.1.0.1", "fd00:1::1", "02:00:00:00:00:01"),
        "right": ("10.1.0.2", "fd00:1::2", "02:00:00:00:00:02")}
SOFTFLOWD = {"softflowd-v5": ("-v", "5"), "softflowd-v9": ("-v", "9"),
             "softflowd-ipfix": ("-v", "10"), "softflowd-biflow": ("-v", "10", "-b")}
NFPROBE = {"nfprobe-v5": 5, "nfprobe-v9": 9, "nfprobe-ipfix": 10}
SWITCH = ("switch-ipfix", "switch-flow-ipfix", "switch-sflow", "switch-v5")
RING_FRAMES = 4000  # of more than 128 bytes with their headers; blocks are 256 KiB
PATIENCE = 60  # seconds


def do(*command, **more):
    return subprocess.run([str(word) for word in command], check=True, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **more).stdout


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE
    while True:
        said = condition()
        if said:
            return said
        if time.monotonic() > deadline:
            sys.exit(f"{what}: did not happen within {PATIENCE} s")
        time.sleep(0.02)


class Program:
    """A program in the background with its log in the folder."""

    def __init__(self, folder, name, *command):
        self.name, self.log = name, folder / f"{name}.log"
        with open(folder / f"{name}.out", "w") as out, open(self.log, "w") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdout=out,
                                            stderr=log, stdin=subprocess.DEVNULL)
        self.pid = self.process.pid

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(PATIENCE)

    def has_ended(self):
        return self.process.poll() is not None

    def wait_for(self, condition, what):
        """The same, while it runs."""
        wait_for(lambda: self.has_ended() or condition(), what)
        if self.has_ended():
            sys.exit(f"{self.name} ended before {what}:\n{self.log.read_text()}")


# --- the network ---

ETHTOOL = 0x8946  # SIOCETHTOOL
OFF = (0x15, 0x17, 0x1f, 0x22, 0x24, 0x2c)  # checksums both ways, TSO, UFO, GSO, GRO


def whole_packets(interface):
    """Every packet passes as it is on a wire: not merged, checksums filled in."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for command in OFF:
            value = array.array("I", (command, 0))
            try:
                fcntl.ioctl(s, ETHTOOL, struct.pack(
                    "16sP", interface.encode(), value.buffer_info()[0]))
            except OSError:
                pass  # kernels have lost some of these


def settle(address, bits, peer, peer_address, interface, inside=lambda *words: words):
    """An address, and the other end's: nobody has to ask for it."""
    nodad = ("nodad",) if ":" in address else ()
    do(*inside("ip", "addr", "add", f"{address}/{bits}", "dev", interface, *nodad))
    do(*inside("ip", "neigh", "replace", peer, "lladdr", peer_address, "dev", interface,
               "nud", "permanent"))


class Host:
    """One end: a network namespace with an interface that leads to the switch."""

    def __init__(self, name):
        self.name = name
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", str(10 * PATIENCE)],
                                       stdin=subprocess.DEVNULL)
        own = os.readlink("/proc/self/ns/net")
        wait_for(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != own, "a namespace")
        do("ip", "link", "add", "name", name, "type", "veth", "peer", "name", "eth0",
           "address", ENDS[name][2], "netns", self.holder.pid)

    def inside(self, *words):
        return ("nsenter", "--net", "--target", str(self.holder.pid), *map(str, words))

    def begin(self):
        other = ENDS["right" if self.name == "left" else "left"]
        whole_packets(self.name)
        do("ip", "link", "set", self.name, "up")
        do(*self.inside("ip", "link", "set", "lo", "up"))
        do(*self.inside(sys.executable, __file__, "whole_packets"))
        do(*self.inside("ip", "link", "set", "eth0", "up"))
        for address, bits, peer in ((ENDS[self.name][0], 24, other[0]),
                                    (ENDS[self.name][1], 64, other[1])):
            settle(address, bits, peer, other[2], "eth0", self.inside)


# --- traffic ---

def serve():
    """The right end: port 7000 answers in TCP with as much as it is asked for, 7001 in UDP
    with half of what it gets.  Says so when it can."""
    def answer(server):
        while True:
            with server.accept()[0] as connection:
                connection.sendall(bytes(int(connection.makefile("rb").readline())))

    def echo(s):
        while True:
            data, peer = s.recvfrom(2048)
            s.sendto(data[:len(data) // 2], peer)

    for family, address in ((socket.AF_INET, ENDS["right"][0]),
                            (socket.AF_INET6, ENDS["right"][1])):
        server = socket.create_server((address, 7000), family=family)
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.bind((address, 7001))
        for what, of in ((answer, server), (echo, s)):
            threading.Thread(target=what, args=(of,), daemon=True).start()
    print("ready", flush=True)
    time.sleep(2 * PATIENCE)


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ping(family, address, number, size):
    """Echo requests, each answered before the next."""
    is_6 = family == socket.AF_INET6
    kind, protocol = (128, socket.IPPROTO_ICMPV6) if is_6 else (8, socket.IPPROTO_ICMP)
    with socket.socket(family, socket.SOCK_RAW, protocol) as s:
        s.settimeout(PATIENCE)
        s.connect((address, 0))
        for sequence in range(5):
            packet = struct.pack(">BBHHH", kind, 0, 0, number, sequence) + bytes(size)
            if not is_6:  # for IPv6 the kernel fills it in
                packet = packet[:2] + struct.pack(">H", checksum(packet)) + packet[4:]
            s.send(packet)
            while True:
                got = s.recv(4096)
                got = got if is_6 else got[20:]
                if got[0] == (129 if is_6 else 0):
                    break


def ask():
    """The left end: so many conversations, one after the other."""
    chance = random.Random(4)
    for family, address, count in ((socket.AF_INET, ENDS["right"][0], 24),
                                   (socket.AF_INET6, ENDS["right"][1], 12)):
        for number in range(count):
            with socket.socket(family, socket.SOCK_STREAM) as s:
                s.settimeout(PATIENCE)
                s.connect((address, 7000))
                s.sendall(b"%d\n" % chance.randrange(30000))
                while s.recv(65536):
                    pass
            with socket.socket(family, socket.SOCK_DGRAM) as s:
                s.settimeout(PATIENCE)
                s.connect((address, 7001))
                for _ in range(chance.randrange(1, 9)):
                    s.send(bytes(chance.randrange(1400)))
                    s.recv(2048)
        ping(family, address, 77, chance.randrange(20, 60) * 2)


# --- the switch ---

class Switch:
    """Open vSwitch between the two ends.  Its files are in /run, which is the world's."""

    def __init__(self, folder):
        os.mkdir("/run/openvswitch")
        do("ovsdb-tool", "create", "/run/openvswitch/conf.db",
           "/usr/share/openvswitch/vswitch.ovsschema")
        socket_path = "/run/openvswitch/db.sock"
        self.database = Program(folder, "ovsdb-server", "ovsdb-server",
                                "/run/openvswitch/conf.db", f"--remote=punix:{socket_path}")
        self.database.wait_for(lambda: os.path.exists(socket_path), "listening")
        do("ovs-vsctl", "--no-wait", "init")
        self.daemon = Program(folder, "ovs-vswitchd", "ovs-vswitchd", f"unix:{socket_path}")
        self.set("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        for name in ENDS:
            self.set("add-port", "br0", name)
        self.daemon.wait_for(lambda: all(captures(name) for name in ENDS), "having ports")

    @staticmethod
    def set(*words):
        do("ovs-vsctl", f"--timeout={PATIENCE}", *words)

    def export(self, ports):
        """The bridge keeps conversations and tells each packet twice, where it enters and
        where it leaves (flowDirection).  Samples of flows come packet by packet, once."""
        self.set(
            "--", "--id=@i", "create", "ipfix", f'targets="127.0.0.1:{ports["switch-ipfix"]}"',
            "sampling=1", "obs_domain_id=7", "obs_point_id=8", "cache_active_timeout=60",
            "cache_max_flows=4096",
            "--", "set", "bridge", "br0", "ipfix=@i")
        self.set(
            "--", "--id=@b", "get", "bridge", "br0",
            "--", "--id=@i", "create", "ipfix",
            f'targets="127.0.0.1:{ports["switch-flow-ipfix"]}"',
            "--", "create", "Flow_Sample_Collector_Set", "id=1", "bridge=@b", "ipfix=@i")
        do("ovs-ofctl", "add-flow", "br0",
           "actions=sample(probability=65535,collector_set_id=1,obs_domain_id=9,"
           "obs_point_id=10),NORMAL")
        self.set(
            "--", "--id=@s", "create", "sflow", "agent=lo",
            f'target="127.0.0.1:{ports["switch-sflow"]}"', "sampling=1", "header=128",
            "polling=0", "--", "set", "bridge", "br0", "sflow=@s")
        self.set(
            "--", "--id=@n", "create", "netflow", f'targets="127.0.0.1:{ports["switch-v5"]}"',
            "active_timeout=1", "--", "set", "bridge", "br0", "netflow=@n")

    def end(self):
        """What it keeps goes out first."""
        do("ovs-ofctl", "del-flows", "br0")
        time.sleep(2)  # sFlow's and NetFlow's seconds
        self.set("clear", "bridge", "br0", "ipfix", "--", "clear", "bridge", "br0", "sflow",
                 "--", "clear", "bridge", "br0", "netflow",
                 "--", "destroy", "Flow_Sample_Collector_Set", ".")
        self.daemon.end()
        self.database.end()


def captures(interface):
    """How many packet sockets are bound to an interface."""
    index = socket.if_nametoindex(interface)
    with open("/proc/net/packet") as f:
        return sum(line.split()[4] == str(index) for line in f.readlines()[1:])


# --- exporters and collectors ---

class Collector:
    def __init__(self, programs, folder, name):
        self.store = folder / name
        ports = folder / f"{name}.port"
        schemas = ("--schemas", folder / "entering") if name == "switch-ipfix" else ()
        self.program = Program(
            folder, f"{name}-collector", programs / "flowpair-collector", "--listen",
            "udp://127.0.0.1:0", "--store", self.store, "--port-file", ports, "--summary",
            "json", "--udp-buffer", "4MiB", *schemas)
        self.program.wait_for(lambda: ports.exists() and ports.read_text().strip(), "listening")
        self.port = int(re.search(r":(\d+)$", ports.read_text().strip())[1])


def start_nfprobe(folder, name, version, port):
    configuration = folder / f"{name}.conf"
    configuration.write_text(
        f"daemonize: false\npcap_interface: {PORT}\nplugins: nfprobe[x]\n"
        "aggregate[x]: src_host,dst_host,src_port,dst_port,proto,tos\n"
        f"nfprobe_receiver[x]: 127.0.0.1:{port}\nnfprobe_version[x]: {version}\n")
    return Program(folder, name, "pmacctd", "-f", configuration)


def start_exporters(programs, folder, ports):
    """All that are installed: name -> (program, signal that ends it)."""
    started = {"own": (Program(
        folder, "own", programs / "flowpair-exporter", "-i", PORT, "--to",
        f"udp://127.0.0.1:{ports['own']}", "--summary", "json"), signal.SIGTERM)}
    for name, words in SOFTFLOWD.items():
        if name in ports:
            started[name] = (Program(
                folder, name, "softflowd", "-i", PORT, *words, "-n",
                f"127.0.0.1:{ports[name]}", "-d", "-c", f"/run/{name}", "-p",
                folder / f"{name}.pid"), None)
    for name, version in NFPROBE.items():
        if name in ports:
            started[name] = (start_nfprobe(folder, name, version, ports[name]),
                             signal.SIGINT)
    return started


def fill_rings():
    """Some read a block of their ring only when it is full (libpcap without a time-out):
    frames of no protocol, which the switch does not take, fill it behind the traffic."""
    frame = bytes.fromhex(ENDS[PORT][2].replace(":", "") + "02000000000388b5") + bytes(100)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((PORT, 0))
        for _ in range(RING_FRAMES):
            s.send(frame)


def missing():
    """What cannot run here: name -> sentence."""
    absent = {name: f"{program} is not installed" for program, names in (
        ("softflowd", SOFTFLOWD), ("pmacctd", NFPROBE), ("ovs-vswitchd", SWITCH))
        if shutil.which(program) is None for name in names}
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as e:
        absent.update({name: f"Open vSwitch needs /dev/net/tun: {e.strerror}"
                       for name in SWITCH})
    return absent


def without_switch():
    """The world itself is the right end."""
    do("ip", "link", "set", PORT, "address", ENDS["right"][2])
    for address, bits, peer in ((ENDS["right"][0], 24, ENDS["left"][0]),
                                (ENDS["right"][1], 64, ENDS["left"][1])):
        settle(address, bits, peer, ENDS["left"][2], PORT)


def main(programs, folder):
    do("mount", "-t", "tmpfs", "tmpfs", "/run")
    do("ip", "link", "set", "lo", "up")
    absent = missing()
    has_switch = "switch-ipfix" not in absent
    collectors = {name: Collector(programs, folder, name)
                  for name in ("own", *SOFTFLOWD, *NFPROBE, *SWITCH) if name not in absent}
    ports = {name: collector.port for name, collector in collectors.items()}
    hosts = {name: Host(name) for name in (ENDS if has_switch else (PORT,))}
    for host in hosts.values():
        host.begin()
    if has_switch:
        switch = Switch(folder)
        switch.export(ports)
    else:
        without_switch()
    before = captures(PORT)
    exporters = start_exporters(programs, folder, ports)
    wait_for(lambda: captures(PORT) == before + len(exporters), "capturing by all")
    serve_command = (sys.executable, __file__, "serve")
    right = Program(folder, "right", *(
        hosts["right"].inside(*serve_command) if has_switch else serve_command))
    right.wait_for(lambda: (folder / "right.out").read_text(), "listening")
    do(*hosts["left"].inside(sys.executable, __file__, "ask"), timeout=PATIENCE)
    right.end(signal.SIGKILL)
    fill_rings()
    time.sleep(2)  # those with a time-out read once a second
    for name, (program, number) in exporters.items():
        program.wait_for(lambda: True, "its end")
        if number is None:
            do("softflowctl", "-c", f"/run/{name}", "shutdown")
            program.process.wait(PATIENCE)
        else:
            program.end(number)
    if has_switch:
        switch.end()
    for collector in collectors.values():
        collector.program.end()
    (folder / "world.json").write_text(json.dumps(absent))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    elif sys.argv[1] == "ask":
        ask()
    elif sys.argv[1] == "whole_packets":
        whole_packets("eth0")
    else:
        main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
