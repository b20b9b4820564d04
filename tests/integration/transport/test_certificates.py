"""deploy/certificates: what it makes is what the programs need, and may be made again."""

import stat


def made(run, repository, *words, status=0):
    return run(repository / "deploy" / "certificates", *words, status=status)


def names(run, certificate):
    return run("openssl", "x509", "-in", certificate, "-noout", "-ext",
               "subjectAltName").stdout


def test_a_first_run_makes_an_authority_and_both_sides(run, repository, tmp_path):
    made(run, repository, tmp_path / "tls", "collector.example", "192.0.2.7")
    for side in ("collector", "exporter"):
        run("openssl", "verify", "-CAfile", tmp_path / "tls/ca.pem",
            tmp_path / f"tls/{side}.pem")
    said = names(run, tmp_path / "tls/collector.pem")
    for name in ("DNS:collector.example", "IP Address:192.0.2.7", "DNS:localhost",
                 "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1"):
        assert name in said


def test_keys_are_for_their_owner_alone(run, repository, tmp_path):
    made(run, repository, tmp_path / "tls")
    for key in (tmp_path / "tls").glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_second_run_keeps_what_is_good(run, repository, tmp_path):
    made(run, repository, tmp_path / "tls")
    before = {f.name: f.read_bytes() for f in (tmp_path / "tls").iterdir()}
    said = made(run, repository, tmp_path / "tls").stderr
    assert said.count("kept") == 3
    assert before == {f.name: f.read_bytes() for f in (tmp_path / "tls").iterdir()}


def test_a_new_name_renews_the_collector_under_the_same_authority(run, repository, tmp_path):
    made(run, repository, tmp_path / "tls")
    authority = (tmp_path / "tls/ca.pem").read_bytes()
    made(run, repository, "--exporter", "probe.example", tmp_path / "tls", "new.example")
    assert (tmp_path / "tls/ca.pem").read_bytes() == authority
    assert "DNS:new.example" in names(run, tmp_path / "tls/collector.pem")
    assert names(run, tmp_path / "tls/probe.example.pem").strip().endswith("DNS:probe.example")


def test_an_authority_without_its_key_is_not_replaced(run, repository, tmp_path):
    made(run, repository, tmp_path / "tls")
    (tmp_path / "tls/ca.key").unlink()
    said = made(run, repository, tmp_path / "tls", status=1).stderr
    assert "ca.key is missing" in said


def test_what_is_no_name_is_refused(run, repository, tmp_path):
    assert "invalid name" in made(
        run, repository, tmp_path / "tls", "a,DNS:b", status=2).stderr
    assert "missing directory" in made(run, repository, status=2).stderr
    assert not (tmp_path / "tls").exists()
