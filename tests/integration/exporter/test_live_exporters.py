"""What others export of live traffic, beside what our exporter saw at the same place: the
same packets and octets of every conversation, in each direction."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import switch_world
from stores import Store

NAMES = (*switch_world.SOFTFLOWD, *switch_world.NFPROBE, *switch_world.SWITCH)
ONLY_IPV4 = {"softflowd-v5", "nfprobe-v5", "switch-v5"}
# softflowd numbers its IPFIX messages after their records, Open vSwitch counts messages of
# NetFlow v5 instead of flows; and in IPFIX a record of options from another domain along.
MISNUMBERED = {"softflowd-ipfix", "softflowd-biflow", "switch-v5"}
COUNTS_OPTIONS = {"switch-ipfix", "switch-flow-ipfix"}
ICMP = {1, 58}
ADDRESSES = {address for end in switch_world.ENDS.values() for address in end[:2]}
COLUMNS = ("src_ip", "src_port", "dst_ip", "dst_port", "protocol", "fwd_packets", "fwd_octets",
           "bwd_packets", "bwd_octets")
ETHERNET = 14  # octets of its header


def alone():
    """The command that gives another one namespaces of its own, all of whose processes end
    with it; skips where there can be none."""
    own = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    for command in (own[:1] + ["--user", "--map-root-user"] + own[1:],
                    *([own] if os.geteuid() == 0 else [])):
        probe = subprocess.run(
            [*command, "sh", "-c", "mount -t tmpfs tmpfs /run && ip link set lo up && "
             "ip link add name left type veth peer name right"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if probe.returncode == 0:
            return command
    pytest.skip(f"no network namespaces with veth here: {probe.stdout.strip()}")
    return None


@pytest.fixture(scope="module")
def world(programs, repository, tmp_path_factory):
    """The folder of the world after its end."""
    if None in (shutil.which("unshare"), shutil.which("nsenter"), shutil.which("ip")):
        pytest.skip("unshare, nsenter or ip is missing")
    folder = tmp_path_factory.mktemp("world")
    shutil.copytree(repository / "schemas", folder / "entering")
    with open(folder / "entering/tables/pairs.yaml", "a", encoding="utf-8") as f:
        f.write("where: { flowDirection: 0 } # ingress\n")
    done = subprocess.run(
        [*alone(), sys.executable, switch_world.__file__, pathlib.Path.cwd() / programs.folder,
         folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=4 * switch_world.PATIENCE, check=False)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def store(world, programs, run):
    """store(name): of one exporter's collector."""
    def find(name):
        reason = json.loads((world / "world.json").read_text()).get(name)
        if reason is not None:
            pytest.skip(reason)
        return Store(programs, run, world / name)
    return find


def directed(store):
    """(packets, octets) by (source, port, destination, port, protocol)."""
    sums = {}
    for (src, src_port, dst, dst_port, protocol, packets, octets, back_packets,
         back_octets) in store.columns("pairs", COLUMNS):
        if not {src, dst} <= ADDRESSES:
            continue
        if protocol in ICMP:  # both directions of an echo have types of their own
            src_port = dst_port = 0
        for key, more in (((src, src_port, dst, dst_port, protocol), (packets, octets)),
                          ((dst, dst_port, src, src_port, protocol),
                           (back_packets, back_octets))):
            if more[0]:
                before = sums.get(key, (0, 0))
                sums[key] = (before[0] + more[0], before[1] + more[1])
    return sums


@pytest.fixture
def seen(store):
    """What our exporter saw."""
    return directed(store("own"))


def test_our_exporter_saw_all_of_it(seen):
    assert {key[4] for key in seen} == {1, 6, 17, 58}
    assert sum(key[4] == 6 for key in seen) == 2 * 36
    assert sum(key[4] == 17 for key in seen) == 2 * 36
    assert [packets for key, (packets, _) in seen.items() if key[4] in ICMP] == 4 * [5]


@pytest.mark.parametrize("name", NAMES)
def test_packets_and_octets_are_what_our_exporter_saw(name, store, seen):
    """Octets are those of IP; only NetFlow v5 of Open vSwitch counts the frame's (without
    its checksum), against what the format says (layer 3)."""
    rows = directed(store(name))
    wanted = {key: sums for key, sums in seen.items()
              if name not in ONLY_IPV4 or ":" not in key[0]}
    if name == "switch-v5":
        wanted = {key: (packets, octets + ETHERNET * packets)
                  for key, (packets, octets) in wanted.items()}
    assert rows == wanted


@pytest.mark.parametrize("name", ("own", *NAMES))
def test_echo_requests_have_their_type_and_code_where_ports_would_be(name, store):
    """Also where they are sent as elements of their own: by softflowd and the switch."""
    rows = store(name).columns("pairs", "src_ip,protocol,dst_port,fwd_packets")
    found = [{(protocol, port) for source, protocol, port, packets in rows
              if source == end and protocol in ICMP and packets > 0}
             for end in switch_world.ENDS["left"][:2]]
    assert found == [{(1, 8 << 8)}, set() if name in ONLY_IPV4 else {(58, 128 << 8)}]


@pytest.mark.parametrize("name", ("own", *NAMES))
def test_nothing_is_dropped(name, store):
    """Nor seems lost, where exporters number as they should."""
    rows = store(name).rows("exporters")
    assert sum(row["records"] for row in rows) > 0
    for row in rows:
        dropped = {column: row[column] for column in row if column.startswith("dropped")}
        assert not any(dropped.values()), dropped
        assert row["last_error"] is None
    if name not in MISNUMBERED:
        assert sum(row["lost"] for row in rows) == (name in COUNTS_OPTIONS)
