"""Links that are slow, and one that breaks, in a network namespace of their own.  Datagrams
over one that carries 3 Mbit/s: the exporter waits for room in its socket and loses nothing.
One over which nothing comes back any more: the exporter notices long before TCP does."""

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


# The collector's end is in a namespace of its own, $there, which can be made dumb: it hears
# all and answers nothing.
TWO_ENDS = """
    ip link set lo up
    unshare --net sleep 300 & there=$!
    at() { nsenter -t $there -n "$@"; }
    while [ "$(readlink /proc/$there/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do
        sleep 0.05
    done
    ip link add name near type veth peer name far netns $there &&
    ip addr add 10.77.0.1/24 dev near && ip link set near up &&
    at ip addr add 10.77.0.2/24 dev far && at ip link set far up || exit 77
"""


def test_a_collector_that_is_gone_without_a_word_is_noticed_and_found_again(
        programs, run, certificates, tmp_path):
    if None in map(shutil.which, ("unshare", "nsenter", "ip")):
        pytest.skip("unshare, nsenter or ip is missing")
    (tmp_path / "trace.csv").write_text(
        chaos.HEADER + "".join(chaos.row(1, 1, i) for i in range(ROWS)))
    ours = " ".join(map(str, certificates.options("client")))
    certificate, key = certificates.sign("far", "IP:10.77.0.2")
    theirs = f"--certificate {certificate} --key {key} --ca {certificates.ca}"
    done = run("unshare", "--net", "--pid", "--fork", "--kill-child",
               "--mount-proc", "bash", "-c", f"""
        cd {tmp_path}
        exporter={programs.exporter} collector={programs.collector}
        {TWO_ENDS}
        nsenter -t $there -n $collector --listen tls://10.77.0.2:4740 --port-file port --store store \
            --lateness 36500d --summary json {theirs} >collected & catcher=$!
        while [ ! -s port ]; do sleep 0.05; done
        mkfifo rows
        $exporter --trace-csv rows --summary json --to tls://10.77.0.2 {ours} \
            >sent 2>said & sender=$!
        exec 9>rows
        head -n {ROWS // 2} trace.csv >&9
        for try in $(seq 300); do
            grep -q acknowledges said && break
            sleep 0.1
        done
        at ip route add blackhole 10.77.0.1
        tail -n +{ROWS // 2 + 1} trace.csv >&9
        for try in $(seq 700); do
            grep -q 'no answer after' said && break
            sleep 0.1
        done
        at ip route del blackhole 10.77.0.1
        exec 9>&-
        wait $sender || status=$?
        kill $catcher; wait $catcher
        kill $there
        exit $status""", status=None, timeout=200)
    if done.returncode == 77 or not (tmp_path / "said").exists():
        pytest.skip(f"no network namespaces with veth here: {done.stderr}")
    assert "no answer after" in (tmp_path / "said").read_text()
    assert done.returncode == 0, done.stderr
    sent = json.loads((tmp_path / "sent").read_text())["sender"]
    assert (sent["records"], sent["dropped_records"]) == (ROWS, 0)
    collected = json.loads((tmp_path / "collected").read_text())
    assert (collected["records"], collected["lost"]) == (ROWS, 0)
