"""Exporter and collector over real kernel SCTP, on a kernel that has it (tests/uml/run), with
tshark to judge what went over the wire.

Each test is one boot of that kernel, and checks all that can be seen in it."""

import collections
import json
import shlex
import socket

import pytest

ROW = ("Source.IP,Source.Port,Destination.IP,Destination.Port,Protocol,Timestamp,"
       "Flow.Duration,Total.Fwd.Packets,Total.Backward.Packets,"
       "Total.Length.of.Fwd.Packets,Total.Length.of.Bwd.Packets\n")
ROWS = 3000

# Functions of the scripts that run there.  $OUT: this test's folder; $CLIENT, $SERVER: options
# with certificates.
SCRIPT = """
set -u
wait_for() { # FILE PATTERN
	tries=0
	until grep -q "$2" "$1"; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || { echo "$1 never said $2:"; cat "$1"; exit 1; } >&2
		sleep 0.1
	done
}
capture() {
	tcpdump -Z root -i lo -U -w "$OUT/capture.pcap" "$@" 2>"$OUT/tcpdump.log" &
	tcpdump=$!
	wait_for "$OUT/tcpdump.log" 'listening on'
}
collect() {
	# shellcheck disable=SC2086
	"$COLLECTOR" --store "$OUT/store" --sync-interval 20ms "$@" $SERVER 2>"$OUT/collector.log" &
	collector=$!
	wait_for "$OUT/collector.log" 'listening on'
}
export_to() { # URI NAME
	# shellcheck disable=SC2086
	"$EXPORTER" --trace-csv "$OUT/trace.csv" --to "$1" --give-up 20s --summary json $CLIENT \\
		>"$OUT/$2.json" || exit 1
}
stop_collector() {
	kill -TERM $collector
	wait $collector || exit 1
}
finish() {
	stop_collector
	sleep 0.2
	kill -TERM $tcpdump
	wait $tcpdump
}
"""


@pytest.fixture
def kernel(uml, programs, certificates, tmp_path):
    """kernel(script) runs a script with the functions above; the output is in tmp_path."""
    (tmp_path / "trace.csv").write_text(ROW + "".join(
        f"10.1.{i // 250}.{i % 250 + 1},{1024 + i},10.2.0.1,443,6,26/04/2017"
        f"11:11:{i % 60:02},100,3,4,500,600\n" for i in range(ROWS)))
    words = {"OUT": tmp_path, "COLLECTOR": programs.collector, "EXPORTER": programs.exporter}

    def run_there(script, is_secured=False):
        for name, side in ("CLIENT", "client"), ("SERVER", "server"):
            options = certificates.options(side) if is_secured else []
            words[name] = " ".join(map(str, options))
        variables = "".join(f"{name}={shlex.quote(str(value))}\n"
                            for name, value in words.items())
        return uml(variables + SCRIPT + script)
    return run_there


@pytest.fixture
def query(run, programs, tmp_path):
    def ask(table, *words):
        return json.loads(run(programs.query, "--store", tmp_path / "store", table,
                              "--format", "json", *words).stdout)
    return ask


@pytest.fixture
def chunks(run, tmp_path):
    """chunks(field...) reads these fields of each chunk in the capture: lists of dicts, one
    list for each packet."""
    def read(*fields):
        words = [word for field in ("sctp.chunk_type", *fields) for word in ("-e", field)]
        lines = run("tshark", "-r", tmp_path / "capture.pcap", "-T", "fields", *words).stdout
        packets = []
        for line in lines.splitlines():
            packets.append({field: value.split(",") if value else [] for field, value in
                            zip(("type", *fields), line.split("\t"))})
        return packets
    return read


def pairs_are_whole(query, exporters):
    """Every row of the trace, once from each of so many exporters."""
    rows = query("pairs", "--columns", "exporter,src_ip,flows,fwd_packets,bwd_packets",
                 "--top", "100000")
    assert len(rows) == len({(row["exporter"], row["src_ip"]) for row in rows})
    assert len(rows) == ROWS * exporters
    assert {(row["flows"], row["fwd_packets"], row["bwd_packets"]) for row in rows} == {(1, 3, 4)}


@pytest.mark.parametrize("scheme", ["sctp", "dtls+sctp"])
def test_a_kernel_without_sctp_is_an_operators_error_that_says_what_helps(
        run, programs, certificates, tmp_path, scheme):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
        pytest.skip("this kernel has SCTP")
    except OSError:
        pass
    trace = tmp_path / "trace.csv"
    trace.write_text(ROW)
    for command in (
            [programs.exporter, "--trace-csv", trace, "--to", f"{scheme}://127.0.0.1",
             *certificates.options("client")],
            [programs.collector, "--store", tmp_path / "store", "--listen",
             f"{scheme}://127.0.0.1", *certificates.options("server")]):
        said = run(*command, status=2).stderr
        assert f"{scheme}://127.0.0.1: this kernel has no SCTP; load it (modprobe sctp)" in said


def test_unit_tests_on_a_kernel_with_sctp(uml, programs):
    test = programs.folder / "tests/unit/common/sctp/transport_sctp_test"
    if not test.exists():
        pytest.skip("unit tests are not built: make check builds them")
    done = uml(shlex.quote(str(test)) + " 2>&1", status=None)
    assert done.returncode == 0, done.stdout
    assert "[       OK ] messages_keep_their_bounds_and_their_streams" in done.stdout


def test_plain_sctp_over_ipv4_and_ipv6(kernel, query, chunks, tmp_path):
    kernel("""
capture sctp
collect --listen 'sctp://*:4739'
export_to sctp://127.0.0.1 one
export_to 'sctp://[::1]?streams=3&heartbeat=5' two
finish
""")
    pairs_are_whole(query, 2)
    for name in "one", "two":
        summary = json.loads((tmp_path / f"{name}.json").read_text())
        assert summary["records"] == ROWS and summary["sender"]["dropped_records"] == 0
    peers = query("exporters")
    assert sorted(row["peer"] for row in peers) == ["127.0.0.1", "::1"]
    assert {row["transport"] for row in peers} == {"sctp"}
    assert [row["lost"] for row in peers] == [0, 0]
    protocols, versions = collections.Counter(), collections.Counter()
    streams = {"4": set(), "6": set()}
    for packet in chunks("sctp.data_payload_proto_id", "sctp.data_sid", "ip.version",
                         "ipv6.version"):
        version = (packet["ip.version"] + packet["ipv6.version"])[0]
        protocols.update(packet["sctp.data_payload_proto_id"])
        versions[version] += 1
        streams[version].update(int(sid, 16) for sid in packet["sctp.data_sid"])
    assert set(protocols) == {"0"}
    assert streams == {"4": {0}, "6": {0, 1, 2}}
    assert versions["4"] > 10 and versions["6"] > 10


def test_dtls_over_sctp_is_authenticated_chunk_by_chunk_over_ipv4_and_ipv6(
        kernel, query, chunks, tmp_path):
    kernel("""
capture sctp
echo 0 >/proc/sys/net/sctp/auth_enable
collect --listen 'dtls+sctp://*:4740'
export_to dtls+sctp://127.0.0.1 one
export_to 'dtls+sctp://[::1]' two
finish
""", is_secured=True)
    rows = query("exporters")
    assert sorted((row["peer"], row["transport"], row["identity"], row["records"], row["lost"])
                  for row in rows) == [
        (peer, "dtls+sctp", "exporter.example", ROWS, 0) for peer in ("127.0.0.1", "::1")]
    protocols, versions, keys = set(), collections.Counter(), set()
    for packet in chunks("sctp.data_payload_proto_id", "ip.version", "ipv6.version",
                         "sctp.shared_key_id"):
        if "0" in packet["type"]:
            assert "15" in packet["type"][:packet["type"].index("0")], packet
            versions.update(packet["ip.version"] + packet["ipv6.version"])
            protocols.update(packet["sctp.data_payload_proto_id"])
            keys.update(int(key, 0) for key in packet["sctp.shared_key_id"])
    assert protocols == {"47"}
    assert keys == {0, 1}  # of the handshake, and what was agreed on in it
    assert versions["4"] > 10 and versions["6"] > 10


@pytest.mark.parametrize("scheme", ["sctp", "dtls+sctp"])
def test_sctp_in_user_space_and_the_kernels_understand_each_other(
        kernel, run, programs, query, tmp_path, scheme):
    if "libusrsctp" not in run("ldd", programs.exporter).stdout:
        pytest.skip("the programs were built without libusrsctp")
    kernel(f"scheme={scheme}" """
capture udp port 9899 or udp port 9900
echo 9899 >/proc/sys/net/sctp/udp_port
collect --listen "$scheme://*:4739"
export_to "$scheme://127.0.0.1:4739?encapsulation=udp" one
export_to "$scheme://[::1]:4739?encapsulation=udp" two
stop_collector
echo 9900 >/proc/sys/net/sctp/encap_port
collect --listen "$scheme://*:4739?encapsulation=udp&udp-port=9900"
export_to "$scheme://127.0.0.1:4739" three
export_to "$scheme://[::1]:4739" four
finish
""", is_secured=scheme != "sctp")
    rows = query("exporters")
    assert sum(row["records"] for row in rows) == 4 * ROWS
    assert {row["lost"] for row in rows} == {0}
    seen = run("tshark", "-r", tmp_path / "capture.pcap", "-d", "udp.port==9899,sctp",
               "-d", "udp.port==9900,sctp", "-T", "fields", "-e", "udp.dstport", "-e",
               "sctp.chunk_type").stdout
    assert "9899\t1\n" in seen and "9900\t1\n" in seen  # both directions began by INIT


def test_data_that_is_given_up_is_counted_as_lost_and_templates_arrive(
        kernel, query, tmp_path):
    kernel("""
modprobe -d /run/modules sch_netem || exit 1
collect --listen 'sctp://*:4739'
tc qdisc add dev lo root netem loss 10% || exit 1
mkfifo /run/rows
"$EXPORTER" --trace-csv /run/rows --to 'sctp://127.0.0.1?streams=2&reliability=attempts:0' \
	--message-size 1400 --give-up 40s --summary none 2>"$OUT/exporter.log" &
exporter=$!
exec 3>/run/rows
head -n 2501 "$OUT/trace.csv" >&3
wait_for "$OUT/exporter.log" 'connected to'
sleep 2
tc qdisc del dev lo root
sleep 3 # what is on its way is settled: the end is to arrive
tail -n 500 "$OUT/trace.csv" >&3
exec 3>&-
wait $exporter || exit 1
stop_collector
""")
    (row,) = query("exporters")
    # How much the network takes is chance, now and then nothing; and of the last message,
    # of about 22 rows, nothing after it tells that it was given up.
    assert 0 <= ROWS - row["records"] - row["lost"] <= 44
    assert row["dropped_no_template"] == 0


def test_a_path_that_breaks_is_left_for_the_other_address(kernel, query, tmp_path):
    kernel("""
ip netns add there
for path in 1 2; do
	ip link add "near$path" type veth peer name "far$path" netns there
	ip addr add "10.$path.0.2/24" dev "near$path"
	ip link set "near$path" up
	ip -n there addr add "10.$path.0.1/24" dev "far$path"
	ip -n there link set "far$path" up
done
mkfifo /run/rows
ip netns exec there "$COLLECTOR" --store "$OUT/store" \
	--listen 'sctp://10.1.0.1?addresses=10.2.0.1' 2>"$OUT/collector.log" &
collector=$!
wait_for "$OUT/collector.log" 'listening on'
"$EXPORTER" --trace-csv /run/rows --to sctp://10.1.0.1 --give-up 40s --summary none \
	2>"$OUT/exporter.log" &
exporter=$!
exec 3>/run/rows
head -n 1501 "$OUT/trace.csv" >&3
wait_for "$OUT/exporter.log" 'connected to'
ip -n there link set far1 down
tail -n 1500 "$OUT/trace.csv" >&3
exec 3>&-
wait $exporter || exit 1
stop_collector
""")
    assert [(row["peer"], row["records"], row["lost"]) for row in query("exporters")] == [
        ("10.1.0.2", ROWS, 0)]


def test_the_quickstart_takes_the_kernels_sctp_where_there_is_one(
        uml, programs, repository, tmp_path):
    if programs.folder.resolve() != (repository / "build/release").resolve():
        pytest.skip("the quickstart shows build/release")
    done = uml(f"TMPDIR={shlex.quote(str(tmp_path))} deploy/quickstart --transport dtls+sctp")
    assert "transport: dtls+sctp, on the kernel's SCTP\n" in done.stderr
    assert " dtls+sctp " in done.stdout
