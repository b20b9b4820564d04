"""DTLS over UDP through the real programs: who may deliver, what is lost and how it shows,
and what a collector's restart does to sessions."""

import socket

import pytest

from test_tls import Collector, identities, trace  # noqa: F401  (fixtures)


@pytest.fixture
def collector(start, programs, tmp_path, identities):
    def begin(*options, side="server", port=0):
        return Collector(start, programs, tmp_path, *identities.options(side), *options,
                         listen=f"dtls+udp://127.0.0.1:{port}")
    return begin


@pytest.fixture
def export(programs, trace):
    """Command line of an exporter that sends the trace as this identity."""
    def words(certificates, port, name="client", give_up="3s"):
        shown = [] if name is None else ["--certificate", certificates.folder / f"{name}.pem",
                                         "--key", certificates.folder / f"{name}.key"]
        return [programs.exporter, "--trace-csv", trace, "--to", f"dtls+udp://localhost:{port}",
                "--ca", certificates.ca, *shown, "--give-up", give_up, "--summary", "none"]
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
