"""Datagrams over a link that is slower than the exporter, which then waits for room in its
socket and loses nothing: in a network namespace whose loopback carries 3 Mbit/s."""

import json
import shutil
import subprocess

import pytest

import chaos_world as chaos
from test_tls import identities  # noqa: F401  (fixture)

ROWS = 8000
SLOW = ("ip link set lo mtu 1500 up && "
        "tc qdisc add dev lo root tbf rate 3mbit burst 3000 limit 3000000")


@pytest.fixture(scope="module")
def slow_link():
    """Words in front of a command that runs it there."""
    if None in map(shutil.which, ("unshare", "ip", "tc")):
        pytest.skip("unshare, ip or tc is missing")
    inside = ["unshare", "--net", "bash", "-c", f'{SLOW} && exec bash -c "$0"']
    done = subprocess.run([*inside, "true"], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("this machine lets nobody make a slow link")
    return inside


@pytest.mark.parametrize("scheme", ["udp", "dtls+udp"])
def test_an_exporter_waits_for_a_slow_link(
        scheme, slow_link, programs, run, tmp_path, identities):
    (tmp_path / "trace.csv").write_text(
        chaos.HEADER + "".join(chaos.row(1, 1, i) for i in range(ROWS)))
    secured = scheme != "udp"
    ours, theirs = (" ".join(map(str, identities.options(side))) if secured else ""
                    for side in ("client", "server"))
    run(*slow_link, f"""
        {programs.collector} --listen {scheme}://127.0.0.1:0 --port-file {tmp_path}/port \\
            --store {tmp_path}/store --lateness 36500d --summary json {theirs} \\
            >{tmp_path}/collected &
        while [ ! -s {tmp_path}/port ]; do sleep 0.05; done
        {programs.exporter} --trace-csv {tmp_path}/trace.csv --summary json --give-up 30s \\
            --to "$(cat {tmp_path}/port)" {ours} >{tmp_path}/sent || status=$?
        sleep 2  # what the link still holds
        kill %1; wait %1; exit $status""")
    sent = json.loads((tmp_path / "sent").read_text())["sender"]
    assert (sent["records"], sent["dropped_records"]) == (ROWS, 0)
    collected = json.loads((tmp_path / "collected").read_text())
    assert (collected["records"], collected["lost"]) == (ROWS, 0)
