"""DTLS over UDP, and over SCTP in user space, through the real programs: who may deliver, and
who hears why not.  Kernel SCTP: test_sctp.py."""

import json
import shlex
import socket

import pytest

from test_tls import (  # noqa: F401  (fixtures)
    Collector, identities, revoked_while_connected, trace)


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
    assert "goodbye" not in run(*export(identities, c.port)).stderr
    assert len(c.rows(run, "conversations")) == 3000
    peers = c.rows(run, "exporters")
    assert {row["identity"] for row in peers} == {"exporter.example"}
    assert sum(row["records"] for row in peers) == 3000
    assert sum(row["lost"] for row in peers) == 0


@pytest.mark.parametrize("name, collector_says, exporter_says", [
    (None, "presented no certificate", "requires a certificate and we presented none"),
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
    last = [line for line in said.stderr.splitlines() if "gave up delivering" in line][-1]
    assert last.count(f"localhost:{c.port}") == 1
    c.process.wait_line(r"refused 127\.0\.0\.1:\d+: .*" + collector_says)
    assert c.rows(run, "conversations") == []


def test_a_peer_that_is_revoked_loses_its_connection_and_the_others_go_on(
        collector, identities, export, start, run, tmp_path, trace, scheme):
    def exporter(certificates, port, name):
        words = export(certificates, port, name)
        if scheme.name == "dtls+sctp":  # each has a UDP port of its own
            at = words.index("--to") + 1
            words[at] = words[at].split("&local")[0]
        return words

    c = revoked_while_connected(collector, identities, exporter, start, tmp_path, trace)
    records = {row["identity"]: row["records"] for row in c.rows(run, "exporters")
               if row["records"]}
    assert records["exporter.example"] == 3000
    assert json.loads(c.process.stdout)["refused"]["no-longer-permitted"] == 1


def test_unit_tests_on_a_kernel_with_sctp(uml, programs):
    test = programs.folder / "tests/unit/common/sctp/transport_dtls_sctp_test"
    if not test.exists():
        pytest.skip("unit tests are not built: make check builds them")
    done = uml(shlex.quote(str(test)) + " 2>&1", status=None)
    assert done.returncode == 0, done.stdout
