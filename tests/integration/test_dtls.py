"""DTLS over UDP, and over SCTP in user space, through the real programs: who may deliver, and
who hears why not.  Kernel SCTP: test_sctp.py."""

import collections
import json
import shlex
import socket

import pytest

from test_sctp import ROWS, chunks, kernel, query  # noqa: F401  (fixtures)
from test_tls import Collector, identities, trace  # noqa: F401  (fixtures)


def test_datagrams_of_nobody_are_counted(collector, identities, export, run, scheme):
    if scheme.name != "dtls+udp":
        pytest.skip("sctp counts its own")
    c = collector("--summary", "json")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for datagram in b"", b"no DTLS", bytes(2000):
            s.sendto(datagram, ("127.0.0.1", c.port))
        run(*export(identities, c.port))
    c.process.stop()
    udp, = json.loads(c.process.stdout)["udp"]
    assert udp["uri"].startswith("dtls+udp://127.0.0.1:")
    assert udp["refused"]["not-ipfix"] == 3
    assert udp["sources"] == 1 and udp["kernel_drops"] == 0
    assert udp["datagrams"] > 3


class Scheme:
    """dtls+udp, or dtls+sctp with UDP ports of its own."""

    def __init__(self, name):
        self.name = name
        self.listening = self.dialling = ""
        if name == "dtls+sctp":
            ours, theirs = free_port(), free_port()
            self.listening = f"?encapsulation=udp&udp-port={ours}"
            self.dialling = f"?encapsulation=udp&udp-port={ours}&local-udp-port={theirs}"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(params=["dtls+udp", "dtls+sctp"])
def scheme(request, run, programs):
    if request.param == "dtls+sctp" and (
            "libusrsctp" not in run("ldd", programs.exporter).stdout):
        pytest.skip("the programs were built without libusrsctp")
    return Scheme(request.param)


@pytest.fixture
def collector(start, programs, tmp_path, identities, scheme):
    def begin(*options, side="server"):
        return Collector(start, programs, tmp_path, *identities.options(side), *options,
                         listen=f"{scheme.name}://127.0.0.1:0{scheme.listening}")
    return begin


@pytest.fixture
def export(programs, trace, scheme):
    """Command line of an exporter that sends the trace as this identity."""
    def words(certificates, port, name="client", give_up="1s"):
        shown = [] if name is None else ["--certificate", certificates.folder / f"{name}.pem",
                                         "--key", certificates.folder / f"{name}.key"]
        return [programs.exporter, "--trace-csv", trace, "--to",
                f"{scheme.name}://localhost:{port}{scheme.dialling}", "--ca", certificates.ca, *shown,
                "--give-up", give_up, "--summary", "none"]
    return words


def test_mutual_certificates_carry_every_row(collector, identities, export, run):
    c = collector()
    run(*export(identities, c.port))
    assert len(c.rows(run, "conversations")) == 3000
    peers = c.rows(run, "exporters")
    assert {row["identity"] for row in peers} == {"exporter.example"}
    assert sum(row["records"] for row in peers) == 3000
    assert sum(row["lost"] for row in peers) == 0


@pytest.mark.parametrize("name, collector_says, exporter_says", [
    (None, "showed no certificate", "wants a certificate and we showed none"),
    ("stranger", "issued by flowpair test strange-ca", "does not know the CA of our"),
    ("expired", r"expired on \d{4}-\d\d-\d\d", "our certificate has expired"),
    ("revoked", "was revoked by flowpair test ca", "our certificate was revoked"),
])
def test_a_client_that_is_refused_hears_why_and_leaves_nothing(
        collector, identities, export, run, name, collector_says, exporter_says):
    c = collector("--crl", identities.crl)
    said = run(*export(identities, c.port, name), status=None)
    assert said.returncode == 1
    assert exporter_says in said.stderr
    c.process.wait_line(r"refused 127\.0\.0\.1:\d+: .*" + collector_says)
    assert c.rows(run, "conversations") == []


def pairs_came_twice(query):
    """Every row of the trace, from two runs of one exporter, as its certificate says."""
    rows = query("pairs", "--columns", "src_ip,flows,fwd_packets,bwd_packets", "--top", "100000")
    assert len(rows) == ROWS
    assert {(row["flows"], row["fwd_packets"], row["bwd_packets"]) for row in rows} == {(2, 6, 8)}


def test_dtls_over_the_kernels_sctp_is_authenticated_throughout(
        kernel, query, chunks, identities, tmp_path):
    """With a capture as the judge: DTLS in every DATA chunk, every one of them behind an AUTH
    chunk, under the empty key first and then under the session's."""
    words = {side: " ".join(shlex.quote(str(word)) for word in identities.options(side))
             for side in ("server", "client")}
    done = kernel(f"""
capture sctp
collect --listen 'dtls+sctp://*:4740' {words["server"]}
export_to dtls+sctp://127.0.0.1 one {words["client"]} 2>"$OUT/one.log"
export_to 'dtls+sctp://[::1]?heartbeat=5' two {words["client"]} 2>"$OUT/two.log"
finish
""")
    pairs_came_twice(query)
    for name in "one", "two":
        summary = json.loads((tmp_path / f"{name}.json").read_text())
        assert summary["sender"]["dropped_records"] == 0
        assert "goodbye" not in (tmp_path / f"{name}.log").read_text()
    peers = query("exporters")
    assert {(row["transport"], row["identity"]) for row in peers} == {
        ("dtls+sctp", "exporter.example")}
    assert sum(row["lost"] for row in peers) == 0
    keys = collections.Counter()
    for packet in chunks("sctp.data_payload_proto_id", "sctp.shared_key_id", "sctp.data_sid"):
        if packet["sctp.data_payload_proto_id"]:
            assert set(packet["sctp.data_payload_proto_id"]) == {"47"}
            assert "15" in packet["type"][:packet["type"].index("0")]  # AUTH before DATA
            assert {int(sid, 0) for sid in packet["sctp.data_sid"]} == {0}
            keys.update(packet["sctp.shared_key_id"])
    assert set(keys) == {"0", "1"} and keys["1"] > keys["0"] > 0
    assert done.returncode == 0


def test_dtls_over_user_space_sctp_and_the_kernels_understand_each_other(
        kernel, run, programs, query, identities):
    if "libusrsctp" not in run("ldd", programs.exporter).stdout:
        pytest.skip("the programs were built without libusrsctp")
    words = {side: " ".join(shlex.quote(str(word)) for word in identities.options(side))
             for side in ("server", "client")}
    kernel(f"""
capture udp
echo 9899 >/proc/sys/net/sctp/udp_port
collect --listen 'dtls+sctp://*:4740' {words["server"]}
export_to 'dtls+sctp://127.0.0.1?encapsulation=udp' one {words["client"]}
stop_collector
echo 9900 >/proc/sys/net/sctp/encap_port
collect --listen 'dtls+sctp://*:4740?encapsulation=udp&udp-port=9900' {words["server"]}
export_to 'dtls+sctp://127.0.0.1' two {words["client"]}
finish
""")
    pairs_came_twice(query)
    assert sum(row["records"] for row in query("exporters")) == 2 * ROWS
