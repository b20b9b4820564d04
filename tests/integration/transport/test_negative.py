"""Everybody whom a collector must not take in, while an honest peer keeps sending and loses
nothing: each is refused with a reason of its own, which the summary and the metrics count.

The attackers are Python's ssl module, the openssl command line, and plain sockets."""

import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import warnings
from datetime import datetime, timedelta, timezone

import pytest

import metrics_text
from ipfix_bytes import ipfix_set, message, template

HONEST = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (2, 8), (1, 8), (150, 4))
PEERS = """
peers:
  - {identity: exporter.example, name: honest}
  - {identity: limited.example, name: limited, domains: [1, 5-9]}
  - address: 127.0.0.0/30
"""


def record(number):
    return (bytes([10, 1, number >> 8 & 255, number & 255]) + bytes([10, 2, 0, 1])
            + (1024).to_bytes(2, "big") + (443).to_bytes(2, "big") + bytes([6])
            + (3).to_bytes(8, "big") + (100).to_bytes(8, "big")
            + int(time.time()).to_bytes(4, "big"))


def with_template(number=0, domain=1):
    return message(ipfix_set(2, template(256, HONEST)), ipfix_set(256, record(number)),
                   domain=domain, sequence=number, time=int(time.time()))


@pytest.fixture(scope="module")
def papers(certificates):
    """Certificates of every unhappy kind, and the revocation list; made once."""
    kinds = {"stranger": certificates.sign("n-stranger", "DNS:exporter.example",
                                           authority=certificates.authority("n-ca")),
             "expired": certificates.sign("n-expired", "DNS:exporter.example", days=-1),
             "unlisted": certificates.sign("n-unlisted", "DNS:nobody.example"),
             "limited": certificates.sign("n-limited", "DNS:limited.example"),
             "revoked": certificates.sign("n-revoked", "DNS:exporter.example"),
             "early": early(certificates),
             "honest": (certificates.client, certificates.client_key)}
    certificates.revoke(kinds["revoked"][0])
    kinds["crl"] = certificates.folder / "n-crl.pem"
    shutil.copy(certificates.revoke(), kinds["crl"])
    return kinds


def early(certificates):
    """A certificate that will be valid tomorrow."""
    folder = certificates.folder
    certificate, key = certificates.sign("n-early", "DNS:exporter.example")
    (folder / "n-early.cnf").write_text(
        f"[ca]\ndefault_ca=test\n[test]\ndatabase={folder}/index.txt\nnew_certs_dir={folder}\n"
        f"default_md=sha256\nrand_serial=yes\npolicy=any\nunique_subject=no\n"
        "[any]\ncommonName=supplied\n")
    now = datetime.now(timezone.utc)
    subprocess.run(["openssl", "ca", "-batch", "-notext", "-config", folder / "n-early.cnf",
                    "-cert", certificates.ca, "-keyfile", certificates.ca_key, "-in",
                    folder / "n-early.csr", "-out", certificate, "-extfile",
                    folder / "n-early.ext", "-startdate",
                    (now + timedelta(days=1)).strftime("%Y%m%d%H%M%SZ"), "-enddate",
                    (now + timedelta(days=9)).strftime("%Y%m%d%H%M%SZ")],
                   check=True, capture_output=True, cwd=folder)
    return certificate, key


class Target:
    """A collector that knows whom it may take in."""

    def __init__(self, start, programs, folder, certificates, papers, *more):
        self.programs, self.certificates, self.papers = programs, certificates, papers
        self.store, self.metrics = folder / "store", folder / "flowpair.prom"
        (folder / "peers.yaml").write_text(PEERS)
        self.peers = folder / "peers.yaml"
        self.process = start(
            programs.collector, "--listen", "tls://127.0.0.1:0", "--listen",
            "tcp://127.0.0.1:0", "--store", self.store, "--summary", "json",
            "--sync-interval", "20ms", "--peers", self.peers, "--crl", papers["crl"],
            "--metrics-file", self.metrics, *certificates.options("server"), *more)
        self.tls, self.tcp = (int(self.process.wait_line(
            rf"listening on {scheme}://.*:(\d+)").group(1)) for scheme in ("tls", "tcp"))

    def context(self, name="honest", version=None):
        context = ssl.create_default_context(cafile=self.certificates.ca)
        if name is not None:
            context.load_cert_chain(*self.papers[name])
        if version is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
            context.set_ciphers("ALL:@SECLEVEL=0")
        return context

    def connect(self, name="honest", version=None):
        plain = socket.create_connection(("127.0.0.1", self.tls), timeout=20)
        try:
            return self.context(name, version).wrap_socket(plain,
                                                           server_hostname="localhost")
        except BaseException:
            plain.close()
            raise

    def is_refused(self, name, version=None):
        """Whether it is told so, in the handshake or, with TLS 1.3, after it."""
        try:
            with self.connect(name, version) as s:
                return s.recv(1) == b""
        except (ssl.SSLError, ConnectionError):
            return True

    def plain(self, port, sent, ends=True):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
            s.sendall(sent)
            if ends:
                s.shutdown(socket.SHUT_WR)
            try:
                while s.recv(4096):
                    pass
            except ConnectionError:
                pass

    def finish(self):
        """Stops it: (its summary, its metrics)."""
        self.process.stop()
        return (json.loads(self.process.stdout),
                metrics_text.read(self.metrics.read_text(encoding="utf-8")))

    def rows(self, run, table, *words):
        return json.loads(run(self.programs.query, "--store", self.store, table,
                              "--format", "json", *words).stdout)


class Honest(threading.Thread):
    """A peer that keeps sending, one record at a time, and ends in order."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target, self.sent, self.is_over = target, 0, threading.Event()
        self.trouble = None

    def run(self):
        try:
            with self.target.connect() as s:
                while not self.is_over.wait(0.005):
                    s.sendall(with_template(self.sent))
                    self.sent += 1
                s.unwrap()
        except OSError as trouble:
            self.trouble = trouble

    def finish(self):
        """Ends: how many records it sent."""
        self.is_over.set()
        self.join(30)
        assert self.trouble is None
        assert self.sent > 10
        return self.sent


@pytest.fixture
def target(start, programs, tmp_path, certificates, papers):
    def begin(*more):
        return Target(start, programs, tmp_path, certificates, papers, *more)
    return begin


def check_honest(target, run, sent):
    rows = target.rows(run, "exporters", "exporter=honest")
    assert sum(row["records"] for row in rows) == sent
    assert sum(row["lost"] for row in rows) == 0
    services = target.rows(run, "services", "exporter=honest")
    assert sum(row["flows"] for row in services) == sent


def agree(summary, metrics):
    """Summary and metrics are made of the same rows."""
    refused = metrics_text.by_label(metrics, "flowpair_collector_refused_total")
    dropped = metrics_text.by_label(metrics, "flowpair_collector_dropped_total")
    assert refused == summary["refused"]
    assert dropped == summary["dropped"]
    for name, key in (("connections", "connections"), ("messages", "messages"),
                      ("records", "records"), ("flushes", "flushes")):
        assert metrics[f"flowpair_collector_{name}_total"][()] == summary[key]


def said(reasons):
    return {reason: count for reason, count in reasons.items() if count}


def forbidden(target):
    """A peer that may use domains 1 and 5 to 9 sends in 1, 2 and 9."""
    with target.connect("limited") as s:
        for domain in (1, 2, 9):
            s.sendall(with_template(0, domain))
        s.unwrap()


def test_each_is_refused_for_its_own_reason_and_the_honest_lose_nothing(
        target, wait_for, run):
    t = target("--message-timeout", "1s", "--handshake-timeout", "2s")
    honest = Honest(t)
    honest.start()
    wait_for(lambda: honest.sent > 10 or honest.trouble, "the honest peer to send")
    for name in ("stranger", "expired", "early", "revoked", "unlisted", None):
        assert t.is_refused(name), name
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2):
        assert t.is_refused("honest", version), version
    # a server that is not who the client thinks
    context = t.context()
    with socket.create_connection(("127.0.0.1", t.tls), timeout=20) as plain, \
            pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(plain, server_hostname="somebody.else.example")
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    t.plain(t.tls, hello)                      # truncated
    t.plain(t.tls, b"")                        # nothing at all
    t.plain(t.tls, bytes(range(255, 0, -1)))   # garbage
    t.plain(t.tls, with_template())            # plain IPFIX to the TLS port
    t.plain(t.tcp, hello + bytes(64))          # TLS to the plain port
    t.plain(t.tls, hello, ends=False)          # never finishes its handshake
    t.plain(t.tcp, with_template()[:-1], ends=False)  # never finishes its message
    forbidden(t)
    sent = honest.finish()
    summary, metrics = t.finish()
    assert said(summary["refused"]) == {
        "unknown-ca": 1, "expired": 1, "not-yet-valid": 1, "revoked": 1, "identity": 1,
        "no-certificate": 1, "version": 3, "by-peer": 1, "cut-short": 2, "protocol": 2,
        "no-ipfix": 1, "no-handshake": 1, "slow": 1}
    assert said(summary["dropped"]) == {"forbidden-domain": 1}
    agree(summary, metrics)
    check_honest(t, run, sent)
    limited = t.rows(run, "exporters", "exporter=limited")
    assert {row["domain"]: row["records"] for row in limited} == {0: 0, 1: 1, 9: 1}


def test_renegotiation_is_refused_where_tls_1_2_is_allowed(target, run, wait_for):
    t = target("--tls12")
    honest = Honest(t)
    honest.start()
    wait_for(lambda: honest.sent > 10 or honest.trouble, "the honest peer to send")
    certificate, key = t.papers["honest"]
    client = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{t.tls}", "-tls1_2", "-cert",
         certificate, "-key", key, "-CAfile", t.certificates.ca],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    t.process.wait_line(r"connected by tls")
    client.stdin.write(b"R\n")
    client.stdin.flush()
    out, _ = client.communicate(timeout=20)
    assert b"no renegotiation" in out, out[-2000:]
    sent = honest.finish()
    summary, metrics = t.finish()
    assert said(summary["refused"]) == {"renegotiation": 1}
    agree(summary, metrics)
    check_honest(t, run, sent)


def test_a_thousand_half_open_connections_keep_nobody_out(target, run, wait_for):
    t = target("--handshake-timeout", "60s", "--max-handshakes", "100")
    honest = Honest(t)
    honest.start()
    wait_for(lambda: honest.sent > 10 or honest.trouble, "the honest peer to send")
    held = []
    try:
        for number in range(1000):
            s = socket.create_connection(("127.0.0.1", t.tls), timeout=20)
            s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            held.append(s)
            if number % 250 == 249:
                with t.connect("limited") as late:  # who comes now gets in
                    late.sendall(with_template(number // 250))
                    late.unwrap()
        sent = honest.finish()
        summary, metrics = t.finish()
    finally:
        for s in held:
            s.close()
    assert summary["connections"] == 1005
    assert 900 <= summary["refused"]["half-open"] <= 1000
    agree(summary, metrics)
    check_honest(t, run, sent)
    assert sum(row["records"] for row in t.rows(run, "exporters", "exporter=limited")) == 4


def test_an_address_with_too_many_connections_leaves_room_for_others(target, run):
    t = target("--max-peers-per-address", "5")
    held = []
    for number in range(5):
        held.append(t.connect())
        held[-1].sendall(with_template(number))
    with socket.create_connection(("127.0.0.1", t.tls), timeout=20) as s:
        assert s.recv(1) == b""
    with socket.create_connection(("127.0.0.1", t.tcp), timeout=20,
                                  source_address=("127.0.0.2", 0)) as s:
        s.sendall(with_template())
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1) == b""
    for s in held:
        s.unwrap()
        s.close()
    summary, _ = t.finish()
    assert said(summary["refused"]) == {"address-full": 1}
    assert summary["records"] == 6


def test_a_peer_of_nothing_but_mistakes_is_cut(target, run, wait_for):
    t = target("--max-errors", "20")
    honest = Honest(t)
    honest.start()
    wait_for(lambda: honest.sent > 10 or honest.trouble, "the honest peer to send")
    bad = message(ipfix_set(256, b"")[:2] + b"\x00\x02")
    with t.connect("limited") as s:
        with pytest.raises(OSError):
            for _ in range(3000):
                s.sendall(bad)
                time.sleep(0.005)
    sent = honest.finish()
    summary, metrics = t.finish()
    assert summary["refused"]["errors"] == 1
    assert summary["dropped"]["bad-message"] > 20
    agree(summary, metrics)
    check_honest(t, run, sent)


def test_addresses_without_a_certificate_are_judged_by_the_list(target, run):
    t = target()
    with socket.create_connection(("127.0.0.1", t.tcp), timeout=20,
                                  source_address=("127.0.0.9", 0)) as s:
        assert s.recv(1) == b""
    t.plain(t.tcp, with_template())
    summary, metrics = t.finish()
    assert said(summary["refused"]) == {"identity": 1}
    assert summary["records"] == 1
    agree(summary, metrics)


def test_expiry_is_told_and_measured(target):
    t = target()
    t.process.wait_line(r"the certificate in .*server.pem expires on 20.*, in \d+ days")
    wanted = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in",
                             t.certificates.server], check=True, capture_output=True,
                            text=True).stdout.strip().removeprefix("notAfter=")
    _, metrics = t.finish()
    ends = metrics_text.by_label(metrics, "flowpair_certificate_expiry_timestamp_seconds")
    assert set(ends) == {"certificate", "ca", "crl"}
    assert ends["certificate"] == ssl.cert_time_to_seconds(wanted)


def test_a_hangup_signal_renews_and_judges_anew_without_dropping_the_others(
        target, run, wait_for, certificates, tmp_path):
    t = target()
    honest = Honest(t)
    honest.start()
    wait_for(lambda: honest.sent > 10 or honest.trouble, "the honest peer to send")
    with t.connect("limited") as limited:
        limited.sendall(with_template())
        t.process.wait_line(r"limited.example\) connected")
        before = limited.getpeercert()["serialNumber"]
        kept = certificates.server.read_bytes(), certificates.server_key.read_bytes()
        certificates.sign("server", "DNS:localhost,IP:127.0.0.1,IP:::1")
        try:
            t.peers.write_text("peers: [{identity: exporter.example, name: honest}]\n")
            t.process.process.send_signal(signal.SIGHUP)
            t.process.wait_line("reloaded certificates")
            assert limited.recv(1) == b""  # whom the file has no longer
            assert t.is_refused("limited")
            with t.connect() as fresh:
                assert fresh.getpeercert()["serialNumber"] != before
            t.peers.write_text("peers: [{identity: exporter.example, nam: honest}]\n")
            t.process.process.send_signal(signal.SIGHUP)
            t.process.wait_line("did you mean 'name'.*keeping the previous")
        finally:
            certificates.server.write_bytes(kept[0])
            certificates.server_key.write_bytes(kept[1])
    sent = honest.finish()
    summary, _ = t.finish()
    assert said(summary["refused"]) == {"identity": 1, "no-longer-permitted": 1}
    check_honest(t, run, sent)


def test_an_exporter_reads_its_renewed_certificate_before_it_connects_again(
        target, run, start, programs, papers, tmp_path):
    t = target()
    shown = tmp_path / "shown.pem", tmp_path / "shown.key"
    for path, paper in zip(shown, papers["expired"]):
        shutil.copy(paper, path)
    trace = tmp_path / "trace.csv"
    trace.write_text(
        "Source.IP,Source.Port,Destination.IP,Destination.Port,Protocol,Timestamp,"
        "Flow.Duration,Total.Fwd.Packets,Total.Backward.Packets,"
        "Total.Length.of.Fwd.Packets,Total.Length.of.Bwd.Packets\n" + "".join(
            f"10.1.0.{i + 1},1024,10.2.0.1,443,6,26/04/201711:11:{i:02},100,3,4,500,600\n"
            for i in range(50)))
    metrics = tmp_path / "exporter.prom"
    exporter = start(programs.exporter, "--trace-csv", trace, "--to",
                     f"tls://localhost:{t.tls}", "--ca", t.certificates.ca, "--certificate",
                     shown[0], "--key", shown[1], "--give-up", "60s", "--summary", "json",
                     "--metrics-file", metrics)
    exporter.wait_line("the certificate in .*shown.pem expired on")
    t.process.wait_line("expired on")
    fresh = tmp_path / "fresh"
    for path, paper in reversed(list(zip(shown, papers["honest"]))):
        shutil.copy(paper, fresh)
        fresh.rename(path)
    exporter.wait(timeout=60)
    counted = json.loads(exporter.stdout)
    written = metrics_text.read(metrics.read_text(encoding="utf-8"))
    assert metrics_text.by_label(written, "flowpair_exporter_delivered_records_total") == {
        f"tls://localhost:{t.tls}": 50}
    assert written["flowpair_exporter_records_total"][()] == counted["records"]
    assert metrics_text.by_label(written, "flowpair_exporter_failures_total")[
        f"tls://localhost:{t.tls}"] >= 1
    summary, _ = t.finish()
    assert summary["refused"]["expired"] >= 1
    assert len(t.rows(run, "conversations", "exporter=honest")) == 50


def test_the_example_of_a_peers_file_is_one(programs, repository, run, tmp_path):
    run(programs.collector, "--check", "--peers", repository / "deploy/peers.yaml")
    wrong = tmp_path / "peers.yaml"
    wrong.write_text("peers:\n  - {identity: a.example, domain: 1}\n")
    said_so = run(programs.collector, "--check", "--peers", wrong, status=2).stderr
    assert "peers.yaml:2:27: unknown key 'domain'; did you mean 'domains'?" in said_so


def test_datagrams_of_addresses_that_are_not_listed_are_counted_and_dropped(
        start, programs, run, tmp_path, wait_for):
    (tmp_path / "peers.yaml").write_text(
        "peers: [{address: 127.0.0.1, name: router, domains: 1}]\n")
    metrics = tmp_path / "flowpair.prom"
    process = start(programs.collector, "--listen", "udp://127.0.0.1:0", "--store",
                    tmp_path / "store", "--peers", tmp_path / "peers.yaml", "--summary",
                    "json", "--metrics-file", metrics)
    port = int(process.wait_line(r"listening on .*:(\d+)").group(1))
    for address, domain in (("127.0.0.9", 1), ("127.0.0.1", 1), ("127.0.0.1", 2)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((address, 0))
            s.sendto(with_template(0, domain), ("127.0.0.1", port))
    process.wait_line("127.0.0.1:.* sends to")
    process.stop()
    summary = json.loads(process.stdout)
    assert summary["udp"][0]["refused"]["identity"] == 1
    assert said(summary["dropped"]) == {"forbidden-domain": 1}
    assert summary["records"] == 1
    counted = metrics_text.read(metrics.read_text(encoding="utf-8"))
    uri = f"udp://127.0.0.1:{port}"
    assert metrics_text.by_label(
        counted, "flowpair_collector_udp_not_permitted_total") == {uri: 1}


def test_a_hangup_signal_ends_datagram_sessions_of_addresses_that_are_not_listed_any_more(
        start, programs, run, tmp_path):
    peers = tmp_path / "peers.yaml"
    peers.write_text("peers: [{address: 127.0.0.1, domains: 1}, {address: 127.0.0.2}, "
                     "{address: 127.0.0.3}]\n")
    process = start(programs.collector, "--listen", "udp://127.0.0.1:0", "--store",
                    tmp_path / "store", "--peers", peers, "--summary", "json")
    port = int(process.wait_line(r"listening on .*:(\d+)").group(1))
    with contextlib.ExitStack() as stack:
        routers = []
        for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            s = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            s.bind((address, 0))
            s.connect(("127.0.0.1", port))
            routers.append(s)

        def send(sequence, domain):
            for s in routers:
                s.send(with_template(sequence, domain))

        send(0, 1)
        for address in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            process.wait_line(rf"{address}:\d+ sends to")
        peers.write_text("peers: [{address: 127.0.0.1, domains: 2}, {address: 127.0.0.3}]\n")
        process.process.send_signal(signal.SIGHUP)
        process.wait_line("reloaded certificates")
        send(1, 2)
        process.stop()
    summary = json.loads(process.stdout)
    assert said(summary["refused"]) == {"no-longer-permitted": 2}
    assert summary["udp"][0]["refused"]["identity"] == 1  # the second one's second message
    # The first one came again, on its new terms; the third one never ended.
    assert summary["udp"][0]["sources"] == 4
    assert said(summary["dropped"]) == {}
    assert summary["records"] == 5
