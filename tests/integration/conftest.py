"""What the integration tests share: the built programs, processes that end with their
test, certificates, the folder of shared test data.

Programs come from $FLOWPAIR_BUILD, else build/release.  Shared data (captures, exports of
routers) come from $FLOWPAIR_SHARED, else from the folder `shared` beside the repository;
tests that need them are skipped where there are none."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# Tests of one folder use what those of another have.
sys.path.extend(str(path) for path in pathlib.Path(__file__).parent.iterdir() if path.is_dir())
PATIENCE = 60  # seconds that anything may take on a slow, busy machine


class Programs:
    """Paths of the three programs; a test that needs one which is not built fails."""

    def __init__(self, folder):
        self.folder = folder

    def _find(self, name):
        program = self.folder / f"flowpair-{name}"
        if not program.exists():
            pytest.fail(f"{program} is not built: run make first")
        return program

    exporter = property(lambda self: self._find("exporter"))
    collector = property(lambda self: self._find("collector"))
    query = property(lambda self: self._find("query"))


@pytest.fixture(scope="session")
def repository():
    return REPOSITORY


@pytest.fixture(scope="session")
def programs():
    folder = pathlib.Path(os.environ.get("FLOWPAIR_BUILD", "build/release"))
    return Programs(REPOSITORY / folder)


@pytest.fixture(scope="session")
def shared():
    """The folder of shared test data."""
    folder = pathlib.Path(os.environ.get("FLOWPAIR_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "corpora").is_dir():
        pytest.skip(f"no shared test data in {folder} (FLOWPAIR_SHARED names another place)")
    return folder


def run(*command, status=0, timeout=PATIENCE, text=True, **more):
    """Runs a command to its end.  status: the exit status that is right; None: any."""
    more.setdefault("stdin", subprocess.DEVNULL if "input" not in more else None)
    if more["stdin"] is None:
        del more["stdin"]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=text, timeout=timeout, **more)
    if status is not None and done.returncode != status:
        pytest.fail(f"{' '.join(map(str, command))}\nended with {done.returncode}, "
                    f"expected {status}\nstdout: {done.stdout}\nstderr: {done.stderr}")
    return done


@pytest.fixture(name="run")
def run_fixture():
    return run


@pytest.fixture
def uml():
    """uml(command) runs a shell command on a kernel of its own (tests/uml/run)."""
    def in_kernel(command, status=0, seconds=60):
        done = run(REPOSITORY / "tests/uml/run", "--seconds", seconds, command, status=None,
                   cwd=REPOSITORY, timeout=seconds + 90)
        if done.returncode == 77:
            pytest.skip(done.stderr.strip().splitlines()[-1])
        if status is not None and done.returncode != status:
            pytest.fail(f"{command}\nended with {done.returncode}, expected {status}\n"
                        f"stdout: {done.stdout}\nstderr: {done.stderr}")
        return done

    return in_kernel


def free_port():
    """A TCP port on loopback that nobody uses at this moment."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(name="free_port")
def free_port_fixture():
    return free_port


def wait_for(condition, what, timeout=PATIENCE):
    """Waits until condition() is true, and returns what it said."""
    deadline = time.monotonic() + timeout
    while True:
        said = condition()
        if said:
            return said
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: did not happen within {timeout} s")
        time.sleep(0.02)


@pytest.fixture(name="wait_for")
def wait_for_fixture():
    return wait_for


class Process:
    """A running program whose standard error is collected line by line."""

    def __init__(self, command, **more):
        self.command = [str(word) for word in command]
        self.lines, self.output = [], []
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, errors="replace", **more)
        self._threads = [
            threading.Thread(target=self._collect, args=(stream, kept), daemon=True)
            for stream, kept in ((self.process.stderr, self.lines),
                                 (self.process.stdout, self.output))]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _collect(stream, kept):
        for line in stream:
            kept.append(line.rstrip("\n"))

    @property
    def pid(self):
        return self.process.pid

    @property
    def stderr(self):
        return "\n".join(self.lines)

    @property
    def stdout(self):
        return "\n".join(self.output)

    def is_running(self):
        return self.process.poll() is None

    def wait_line(self, pattern, timeout=PATIENCE):
        """Waits for a line of standard error that matches; returns the match."""
        def look():
            ended = not self.is_running()
            if ended:
                for thread in self._threads:
                    thread.join(PATIENCE)
            for line in list(self.lines):
                found = re.search(pattern, line)
                if found:
                    return found
            if ended:
                pytest.fail(f"{' '.join(self.command)}\nended with "
                            f"{self.process.returncode} before saying {pattern!r}:\n"
                            f"{self.stderr}")
            return None
        return wait_for(look, f"{pattern!r} from {self.command[0]}\n{self.stderr}", timeout)

    def wait(self, status=0, timeout=PATIENCE):
        """Waits for the end; status: the exit status that is right, None: any."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"{' '.join(self.command)}\ndid not end within {timeout} s\n"
                        f"{self.stderr}")
        for thread in self._threads:
            thread.join(timeout)
        if status is not None and code != status:
            pytest.fail(f"{' '.join(self.command)}\nended with {code}, expected {status}\n"
                        f"{self.stderr}")
        return code

    def stop(self, number=signal.SIGTERM, status=0, timeout=PATIENCE):
        """Sends a signal and waits for the end."""
        if self.is_running():
            self.process.send_signal(number)
        return self.wait(status, timeout)

    def kill(self):
        """kill -9, as a crash."""
        return self.stop(signal.SIGKILL, status=None)


@pytest.fixture
def start():
    """start(command...) runs a program in the background; it ends with the test."""
    started = []

    def begin(*command, **more):
        started.append(Process(command, **more))
        return started[-1]

    yield begin
    for process in started:
        if process.is_running():
            process.kill()


class Certificates:
    """A test authority, made with the openssl command line, and what it signs."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "index.txt").touch()
        (folder / "crl.cnf").write_text(
            "[ca]\ndefault_ca=test\n[test]\n"
            f"database={folder}/index.txt\ndefault_md=sha256\ndefault_crl_days=30\n")
        self.ca, self.ca_key = self._authority("ca")
        self.server, self.server_key = self.sign(
            "server", "DNS:localhost,IP:127.0.0.1,IP:::1")
        self.client, self.client_key = self.sign("client", "DNS:exporter.example")

    def _openssl(self, *words):
        run("openssl", *words, cwd=self.folder)

    def _authority(self, name):
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
                      certificate, "-subj", f"/CN=flowpair test {name}", "-days", "30",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        key.chmod(0o600)
        return certificate, key

    def authority(self, name):
        """Another authority that nobody knows: (certificate, key)."""
        return self._authority(name)

    def sign(self, name, san, days=30, authority=None):
        """A certificate for these subjectAltNames: (certificate, key).  days may be
        negative: expired."""
        ca, ca_key = authority or (self.ca, self.ca_key)
        key, request = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        certificate, extensions = self.folder / f"{name}.pem", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={san}\nkeyUsage=critical,digitalSignature\n"
                              "extendedKeyUsage=serverAuth,clientAuth\n")
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
                      request, "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key,
                      "-CAcreateserial", "-days", days, "-out", certificate, "-extfile",
                      extensions)
        key.chmod(0o600)
        return certificate, key

    def revoke(self, *certificates):
        """The authority's revocation list with these certificates on it: its path."""
        crl = self.folder / "crl.pem"
        sign = ("ca", "-config", "crl.cnf", "-cert", self.ca, "-keyfile", self.ca_key)
        for certificate in certificates:
            self._openssl(*sign, "-revoke", certificate)
        self._openssl(*sign, "-gencrl", "-out", crl)
        return crl

    def options(self, side):
        """What the programs take: --certificate, --key and --ca of "server" or "client"."""
        return ["--certificate", self.folder / f"{side}.pem",
                "--key", self.folder / f"{side}.key", "--ca", self.ca]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.fail("the openssl command line is missing")
    return Certificates(tmp_path_factory.mktemp("certificates"))
