"""Who may deliver to whom over TLS, through the real programs: refusals name their cause on
both sides, strangers cost honest peers nothing, and other implementations are understood.

The other implementation is Python's ssl module."""

import contextlib
import json
import os
import signal
import socket
import ssl
import struct
import threading
import time

import pytest

ROW = ("Source.IP,Source.Port,Destination.IP,Destination.Port,Protocol,Timestamp,"
       "Flow.Duration,Total.Fwd.Packets,Total.Backward.Packets,"
       "Total.Length.of.Fwd.Packets,Total.Length.of.Bwd.Packets\n")


@pytest.fixture
def trace(tmp_path):
    """A flow trace of 3000 rows, each a pair of its own."""
    path = tmp_path / "trace.csv"
    path.write_text(ROW + "".join(
        f"10.1.{i // 250}.{i % 250 + 1},{1024 + i},10.2.0.1,443,6,26/04/2017"
        f"11:11:{i % 60:02},100,3,4,500,600\n" for i in range(3000)))
    return path


@pytest.fixture
def identities(certificates):
    """Further certificates of the test authority, and of a strange one; made once."""
    if not hasattr(certificates, "extra"):
        strange = certificates.authority("strange-ca")
        local = "DNS:localhost,IP:127.0.0.1"
        certificates.extra = {
            "stranger": certificates.sign("stranger", local, authority=strange),
            "expired": certificates.sign("expired", local, days=-1),
            "misnamed": certificates.sign("misnamed", "DNS:foo.example,DNS:bar.example"),
            "revoked": certificates.sign("revoked", "DNS:revoked.example"),
        }
        certificates.crl = certificates.revoke(certificates.extra["revoked"][0])
    return certificates


class Collector:
    """A running collector with its store."""

    def __init__(self, start, programs, folder, *options, listen="tls://127.0.0.1:0"):
        self.store = folder / "store"
        self.programs = programs
        self.process = start(programs.collector, "--listen", listen, "--store", self.store,
                             "--sync-interval", "20ms", *options)
        self.port = int(self.process.wait_line(r"listening on .*:(\d+)").group(1))

    def rows(self, run, table, *words):
        """Stops the collector and reads a table of its store."""
        self.process.stop()
        return json.loads(run(self.programs.query, "--store", self.store, table,
                              "--format", "json", *words).stdout)


@pytest.fixture
def collector(start, programs, tmp_path, identities):
    def begin(*options, side="server"):
        return Collector(start, programs, tmp_path, *identities.options(side), *options)
    return begin


@pytest.fixture
def export(programs, trace):
    """Command line of an exporter that sends the trace as this identity."""
    def words(certificates, port, name="client", host="localhost", give_up="2s"):
        shown = [] if name is None else ["--certificate", certificates.folder / f"{name}.pem",
                                         "--key", certificates.folder / f"{name}.key"]
        return [programs.exporter, "--trace-csv", trace, "--to", f"tls://{host}:{port}",
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
    (None, "presented no certificate", "it requires a certificate and we presented none"),
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


@pytest.mark.parametrize("name, exporter_says", [
    ("misnamed", "the certificate is for foo.example, bar.example; expected localhost"),
    ("stranger", "issued by flowpair test strange-ca, which no CA given here vouches for"),
    ("expired", "expired on"),
])
def test_a_collector_that_cannot_be_trusted_gets_nothing(
        start, programs, tmp_path, identities, export, run, name, exporter_says):
    c = Collector(start, programs, tmp_path, *identities.options(name))
    said = run(*export(identities, c.port), status=None)
    assert said.returncode == 1
    assert exporter_says in said.stderr
    c.process.wait_line("the peer refused us")
    assert c.rows(run, "conversations") == []


def test_without_a_ca_it_is_the_systems_that_are_asked_and_the_option_is_named(
        collector, identities, export, run):
    c = collector()
    words = export(identities, c.port)
    at = words.index("--ca")
    said = run(*words[:at], *words[at + 2:], status=1)
    assert "which none of the system's CAs vouches for (name others with --ca)" in said.stderr


def test_a_collector_without_tls_is_suspected_of_it(
        start, programs, tmp_path, identities, export, run):
    c = Collector(start, programs, tmp_path, listen="tcp://127.0.0.1:0")
    said = run(*export(identities, c.port, host="127.0.0.1"), status=1)
    assert "without answering: it may not speak TLS" in said.stderr
    c.process.wait_line("not IPFIX: unexpected bytes 1603")


def test_it_is_the_collector_that_is_named_even_where_it_shows_its_authority(
        start, programs, tmp_path, identities, export, run):
    other = identities.authority("shown-ca")
    certificate, key = identities.sign("shown", "DNS:localhost", authority=other)
    certificate.write_text(certificate.read_text() + other[0].read_text())
    c = Collector(start, programs, tmp_path, "--certificate", certificate, "--key", key,
                  "--ca", identities.ca)
    said = run(*export(identities, c.port), status=None)
    assert "the certificate of localhost was issued by flowpair test shown-ca" in said.stderr


def test_a_revoked_collector_is_refused_by_an_exporter_with_a_crl(
        start, programs, tmp_path, identities, export, run):
    certificate, key = identities.sign("gone", "DNS:localhost")
    crl = identities.revoke(certificate)
    c = Collector(start, programs, tmp_path, "--certificate", certificate, "--key", key,
                  "--ca", identities.ca)
    said = run(*export(identities, c.port), "--crl", crl, status=None)
    assert said.returncode == 1
    assert "was revoked by flowpair test ca" in said.stderr


def test_a_hangup_signal_reads_revocation_lists_anew(
        collector, identities, export, run, tmp_path):
    certificate, _ = identities.sign("leaver", "DNS:leaver.example")
    crl = tmp_path / "crl.pem"
    crl.write_bytes(identities.revoke().read_bytes())
    c = collector("--crl", crl)
    run(*export(identities, c.port, "leaver"))
    crl.write_text("nonsense")
    c.process.process.send_signal(signal.SIGHUP)
    c.process.wait_line("revocation lists in PEM form.*keeping the previous")
    run(*export(identities, c.port, "leaver"))
    crl.write_bytes(identities.revoke(certificate).read_bytes())
    c.process.process.send_signal(signal.SIGHUP)
    c.process.wait_line("reloaded certificates")
    said = run(*export(identities, c.port, "leaver"), status=1)
    assert "our certificate was revoked" in said.stderr


def revoked_while_connected(collector, identities, export, start, tmp_path, trace):
    """Two exporters are connected, each reading from a pipe; one is revoked.  The collector,
    and what the other one sent."""
    leaver, _ = identities.sign("leaver", "DNS:leaver.example")
    crl = tmp_path / "crl.pem"
    crl.write_bytes(identities.revoke().read_bytes())
    c = collector("--crl", crl, "--summary", "json")
    rows = trace.read_text().splitlines(keepends=True)
    exporters, pipes = [], []
    for name in ("leaver", "client"):
        pipe = tmp_path / f"{name}.pipe"
        os.mkfifo(pipe)
        words = export(identities, c.port, name)
        words[words.index("--trace-csv") + 1] = pipe
        exporters.append(start(*words))
        pipes.append(open(pipe, "w"))
        pipes[-1].writelines(rows[:3])
        pipes[-1].flush()
        exporters[-1].wait_line("connected to")
    c.process.wait_line(r"leaver.example\) connected")
    c.process.wait_line(r"exporter.example\) connected")
    crl.write_bytes(identities.revoke(leaver).read_bytes())
    c.process.process.send_signal(signal.SIGHUP)
    c.process.wait_line("lost .* the certificate of leaver.example was revoked")
    exporters[0].kill()
    pipes[1].writelines(rows[3:])
    for pipe in pipes:
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
    exporters[1].wait()
    return c


def test_a_peer_that_is_revoked_loses_its_connection_and_the_others_go_on(
        collector, identities, export, start, run, tmp_path, trace):
    c = revoked_while_connected(collector, identities, export, start, tmp_path, trace)
    records = {row["identity"]: row["records"] for row in c.rows(run, "exporters")
               if row["records"]}
    assert records["exporter.example"] == 3000
    assert json.loads(c.process.stdout)["refused"]["no-longer-permitted"] == 1


def test_strangers_are_welcome_where_that_is_spelled_out(collector, identities, export, run):
    c = collector("--insecure-no-client-auth")
    run(*export(identities, c.port, None))
    assert len(c.rows(run, "conversations")) == 3000


def test_operator_mistakes_are_one_sentence_and_status_2(
        programs, identities, export, run, tmp_path):
    open_key = tmp_path / "open.key"
    open_key.write_bytes(identities.client_key.read_bytes())
    open_key.chmod(0o644)
    words = export(identities, 4740)
    words[words.index("--key") + 1] = open_key
    said = run(*words, status=2).stderr
    assert "can be read by others (mode 0644)" in said and "chmod 600" in said
    words[words.index("--key") + 1] = identities.server_key
    assert "does not fit the certificate" in run(*words, status=2).stderr
    said = run(programs.collector, "--listen", "tls://127.0.0.1:0", "--store",
               tmp_path / "store", "--certificate", identities.server, "--key",
               identities.server_key, status=2).stderr
    assert "needs --ca" in said


def client_context(certificates, version=None, name="client"):
    context = ssl.create_default_context(cafile=certificates.ca)
    context.load_cert_chain(certificates.folder / f"{name}.pem",
                            certificates.folder / f"{name}.key")
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def message(sequence=0):
    """An IPFIX message: a template (id 256: sourceIPv4Address) and one record of it."""
    template = struct.pack(">HHHHHH", 2, 12, 256, 1, 8, 4)
    data = struct.pack(">HHI", 256, 8, 0x0a000001)
    return struct.pack(">HHIII", 10, 16 + len(template) + len(data), int(time.time()),
                       sequence, 1) + template + data


def test_an_exporter_of_tls_1_2_is_refused_unless_allowed(collector, identities, run):
    c = collector()
    context = client_context(identities, ssl.TLSVersion.TLSv1_2)
    with pytest.raises((ssl.SSLError, ConnectionError)), \
            socket.create_connection(("127.0.0.1", c.port)) as s:
        context.wrap_socket(s, server_hostname="localhost")
    c.process.wait_line("none of our TLS versions")
    c.process.stop()


def test_an_exporter_of_tls_1_2_is_served_where_allowed(collector, identities, run):
    c = collector("--tls12")
    context = client_context(identities, ssl.TLSVersion.TLSv1_2)
    with socket.create_connection(("127.0.0.1", c.port)) as plain, \
            context.wrap_socket(plain, server_hostname="localhost") as s:
        assert s.version() == "TLSv1.2"
        s.sendall(message())
        s.unwrap()
    assert sum(row["records"] for row in c.rows(run, "exporters")) == 1


def test_another_implementation_that_sends_byte_by_byte_is_understood(
        collector, identities, run):
    c = collector()
    with socket.create_connection(("127.0.0.1", c.port)) as plain, \
            client_context(identities).wrap_socket(plain, server_hostname="localhost") as s:
        for i in range(20):
            for byte in message(i):
                s.sendall(bytes([byte]))
        s.unwrap()
    rows = c.rows(run, "exporters")
    assert sum(row["records"] for row in rows) == 20
    assert sum(row["lost"] for row in rows) == 0


@pytest.mark.parametrize("sent, says", [
    (b"GET / HTTP/1.1\r\n\r\n", "does not speak TLS"),
    (message(), r"refused 127\.0\.0\.1:\d+"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "during the handshake"),
    (b"", "during the handshake"),
], ids=["http", "ipfix", "cut", "nothing"])
def test_what_is_no_handshake_is_refused_and_named(collector, sent, says):
    c = collector()
    with socket.create_connection(("127.0.0.1", c.port)) as s:
        s.sendall(sent)
        s.shutdown(socket.SHUT_WR)
    c.process.wait_line(says)
    c.process.stop()


def test_half_open_connections_cost_an_honest_exporter_nothing(
        collector, identities, export, run):
    c = collector("--handshake-timeout", "2s")
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    strangers = []
    try:
        for i in range(200):
            strangers.append(socket.create_connection(("127.0.0.1", c.port)))
            strangers[-1].sendall(hello[:i % len(hello)])
        run(*export(identities, c.port, give_up="30s"))
        for s in strangers:  # every one of them is closed in the end
            s.settimeout(60)
            try:
                assert s.recv(1) == b""
            except ConnectionResetError:
                pass
    finally:
        for s in strangers:
            s.close()
    assert len(c.rows(run, "conversations")) == 3000


def test_a_peer_cut_off_without_close_notify_is_told_and_keeps_what_came(
        collector, identities, run):
    c = collector()
    plain = socket.create_connection(("127.0.0.1", c.port))
    s = client_context(identities).wrap_socket(plain, server_hostname="localhost")
    s.sendall(message())
    s.settimeout(2)
    with pytest.raises(TimeoutError):
        s.recv(1)  # takes the ticket, which unread would make the close a reset
    s.close()  # no unwrap
    c.process.wait_line("ended without a TLS close_notify")
    assert sum(row["records"] for row in c.rows(run, "exporters")) == 1


class Server(threading.Thread):
    """A foreign TLS collector: reads one connection to its end."""

    def __init__(self, certificates):
        super().__init__(daemon=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates.server, certificates.server_key)
        self.context.load_verify_locations(certificates.ca)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.received = b""

    def run(self):
        plain, _ = self.socket.accept()
        with self.context.wrap_socket(plain, server_side=True,
                                      suppress_ragged_eofs=False) as s:
            while True:
                got = s.recv(65536)
                if not got:
                    break
                self.received += got


def test_another_implementation_receives_whole_messages(identities, export, run):
    server = Server(identities)
    server.start()
    said = run(*export(identities, server.port)).stderr
    server.join(60)
    assert "without a TLS close_notify" in said  # it only closes the connection
    at = sequences = 0
    while at < len(server.received):
        version, length = struct.unpack_from(">HH", server.received, at)
        assert version == 10
        at += length
        sequences += 1
    assert at == len(server.received) and sequences > 1


def test_an_exporter_waits_for_a_collector_that_comes_later(
        start, programs, tmp_path, identities, export, run, free_port):
    port = free_port()
    exporter = start(*export(identities, port, give_up="60s"))
    exporter.wait_line("cannot connect to tls://localhost")
    c = Collector(start, programs, tmp_path, *identities.options("server"),
                  listen=f"tls://127.0.0.1:{port}")
    exporter.wait()
    assert len(c.rows(run, "conversations")) == 3000


def test_a_hangup_checks_the_exporters_certificates_and_disturbs_nothing(
        collector, certificates, start, programs, run, trace, tmp_path):
    """The trace comes through a pipe, half before the signals and half after them."""
    c = collector()
    pipe, mine, key = (tmp_path / name for name in ("pipe", "mine.pem", "mine.key"))
    os.mkfifo(pipe)
    key.write_bytes((certificates.folder / "client.key").read_bytes())
    key.chmod(0o600)
    good = (certificates.folder / "client.pem").read_bytes()
    mine.write_bytes(good)
    rows = trace.read_text().splitlines(keepends=True)
    exporter = start(programs.exporter, "--trace-csv", pipe, "--to", f"tls://localhost:{c.port}",
                     "--certificate", mine, "--key", key,
                     "--ca", certificates.ca, "--summary", "json")
    with open(pipe, "w") as source:
        source.writelines(rows[:1501])
        source.flush()
        exporter.wait_line("connected to tls://localhost")
        exporter.process.send_signal(signal.SIGHUP)
        exporter.wait_line("certificate, key, authorities and revocation lists are valid; "
                           "every new connection uses them .the certificate expires on 20")
        mine.write_bytes(good[:200])
        exporter.process.send_signal(signal.SIGHUP)
        exporter.wait_line("error: .*mine.pem.*; using the files read before")
        for old, copy in zip(certificates.sign("ended", "DNS:ended", days=-1), (mine, key)):
            copy.write_bytes(old.read_bytes())
        exporter.process.send_signal(signal.SIGHUP)
        exporter.wait_line("the certificate in .*mine.pem expired on .*: renew it")
        source.writelines(rows[1501:])
    exporter.wait()
    sender = json.loads(exporter.stdout)["sender"]
    assert (sender["connects"], sender["records"]) == (1, 3000)
    assert len(c.rows(run, "conversations")) == 3000


def test_a_hangup_without_certificates_is_no_end(start, programs, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    exporter = start(programs.exporter, "--trace-csv", pipe, "--to",
                     f"file:{tmp_path / 'out.ipfix'}", "--summary", "json")
    with open(pipe, "w") as source:
        source.write(ROW)
        source.flush()
        exporter.process.send_signal(signal.SIGHUP)
        exporter.wait_line("nothing to reload")
        source.write("10.1.0.1,1024,10.2.0.1,443,6,26/04/201711:11:11,100,3,4,500,600\n")
    exporter.wait()
    assert json.loads(exporter.stdout)["sender"]["records"] == 1
