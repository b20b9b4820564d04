"""What README.md shows works as it stands there."""

import os
import pathlib
import subprocess

import pytest

# Folders of the machine that the commands write into: empty ones cover them meanwhile.
COVERED = ("/etc/flowpair", "/var/lib/flowpair", "/var/spool", "/usr/local")

PREPARE = """
set -eu
mount --make-rprivate /
for folder in $COVERED; do
	mount -t tmpfs tmpfs "$folder"
done
mount --bind "$HOME/hosts" /etc/hosts
ip link set lo up
ip link add eth0 type veth peer name far
ip link set far up
ip addr add 192.0.2.1/24 dev eth0
ip link set eth0 up
ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev eth0
exec /usr/bin/python3 tests/integration/readme_commands.py
"""


@pytest.fixture
def covered():
    """The folders exist while the test runs."""
    made = [folder for folder in COVERED if not os.path.exists(folder)]
    for folder in made:
        os.mkdir(folder)
    yield
    for folder in made:
        os.rmdir(folder)


@pytest.fixture
def namespaces():
    """The words that start a command in namespaces of its own."""
    words = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child",
             "--mount-proc"]
    if os.geteuid() != 0 or subprocess.run(
            [*words, "sh", "-c", "ip link add eth0 type veth && mount -t tmpfs tmpfs /mnt"],
            capture_output=True).returncode != 0:
        pytest.skip("only root may make namespaces and devices in them here")
    return words


def test_every_command_of_the_readme_works(repository, programs, namespaces, covered, run, tmp_path):
    if programs.folder != repository / "build" / "release":
        pytest.skip("README.md installs what is in build/release")
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n127.0.0.1 collector.example\n")
    run(*namespaces, "sh", "-c", PREPARE, cwd=repository, timeout=600, env={
        "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "COVERED": " ".join(COVERED),
        "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(pathlib.Path(__file__).parents[1])})
