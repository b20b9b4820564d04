"""What `make install` puts where, whether it works from there, and `make uninstall`."""

import os

import pytest

PARTS = """bin/flowpair-collector bin/flowpair-exporter bin/flowpair-query
share/flowpair/elements.xml share/flowpair/templates.yaml
share/man/man1/flowpair-collector.1 share/man/man1/flowpair-exporter.1
share/man/man1/flowpair-query.1 share/man/man5/flowpair-schema.5""".split()


@pytest.fixture
def make(run, repository, tmp_path):
    """make(target): with a DESTDIR that is this test's own."""
    if os.environ.get("FLOWPAIR_BUILD", "build/release") != "build/release":
        pytest.skip("`make install` installs what is in build/release")
    return lambda target: run("make", "-s", "-C", repository, target,
                              f"DESTDIR={tmp_path}/root", timeout=600)


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_what_is_installed_works_from_there_and_can_be_taken_away(
        make, run, repository, tmp_path):
    make("install")
    place = tmp_path / "root/usr/local"
    schemas = {f"share/flowpair/{kind}/{path.name}" for kind in ("tables", "records")
               for path in (repository / "schemas" / kind).glob("*.yaml")}
    assert files_below(place) == set(PARTS) | schemas
    explained = run(place / "bin/flowpair-collector", "--explain", cwd=tmp_path).stdout
    assert 'CREATE TABLE "services"' in explained
    assert "packetDeltaCount" in run(place / "bin/flowpair-exporter", "--list-elements",
                                     cwd=tmp_path).stdout
    make("uninstall")
    assert not files_below(tmp_path / "root")


def test_a_program_by_itself_looks_where_it_was_to_be_installed(make, run, tmp_path):
    make("install")
    alone = tmp_path / "flowpair-exporter"
    (tmp_path / "root/usr/local/bin/flowpair-exporter").rename(alone)
    if os.path.exists("/usr/local/share/flowpair"):
        pytest.skip("flowpair is installed here")
    said = run(alone, "-r", "/dev/null", "--to", f"file:{tmp_path}/x", status=2).stderr
    assert "not installed in /usr/local/share/flowpair" in said
