"""What operators get wrong: one sentence that says what and where, status 1 or 2, and
nothing else."""

import re
import struct
import subprocess

import pytest

EMPTY_CAPTURE = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)


@pytest.fixture(scope="module")
def place(tmp_path_factory, certificates, repository):
    """A folder with everything that can be got wrong."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "good.pcap").write_bytes(EMPTY_CAPTURE)
    (folder / "text.txt").write_text("neither a capture nor a certificate\n")
    (folder / "bad.yaml").write_text("idle-timeout: [15s\n")
    (folder / "unknown.yaml").write_text("idel-timeout: 15s\n")
    (folder / "not-a-folder").write_text("")
    (folder / "folder").mkdir()
    for name, source in (("c.pem", certificates.client), ("k.pem", certificates.client_key),
                         ("other.pem", certificates.server), ("ca.pem", certificates.ca)):
        (folder / name).write_bytes(source.read_bytes())
        (folder / name).chmod(0o600)
    (folder / "open.pem").write_bytes(certificates.client_key.read_bytes())
    (folder / "open.pem").chmod(0o644)
    (folder / "locked/lock").mkdir(parents=True)
    for name in "tables", "records":
        (folder / "empty" / name).mkdir(parents=True)
    (folder / "empty/elements.xml").write_bytes(
        (repository / "schemas/elements.xml").read_bytes())
    schemas = folder / "schemas"
    schemas.mkdir()
    (schemas / "elements.xml").write_text("<registry><record><name>\n")
    return folder


def complain(run, place, program, words, pattern):
    done = run(program, *words.split(), status=None, cwd=place)
    assert done.returncode in (1, 2), done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"{program.name}: error: ")
    assert re.search(pattern, lines[0]), lines[0]
    assert done.stdout == ""


EXPORTER = [
    ("-r nosuch.pcap --to file:o", "nosuch.pcap: No such file"),
    ("-r text.txt --to file:o", "text.txt: not a pcap or pcapng capture file"),
    ("-r folder --to file:o", "folder: is a directory"),
    ("-r good.pcap --to file:nosuch/o", "cannot write nosuch/o: No such file"),
    ("-r good.pcap --to file:folder", "cannot write folder: Is a directory"),
    ("-r good.pcap --to http://x", "unknown transport \"http\" .expected tcp://"),
    ("-r good.pcap --to 127.0.0.1:4739", "unknown transport \"127.0.0.1\" .expected tcp://"),
    ("-r good.pcap --to tcp://:99999", "invalid port \"99999\" .expected 1 to 65535."),
    ("-r good.pcap", "--to file:PATH"),
    ("-r good.pcap -i lo --to file:o", "exclude each other"),
    ("-i lo -i any -i lo --to file:o", "-i lo is given twice"),
    ("-r good.pcap --to file:./good.pcap", "would overwrite good.pcap"),
    ("--trace-csv text.txt --to file:text.txt", "would overwrite text.txt"),
    ("-i nosuch0 --to file:o", "no interface \"nosuch0\""),
    ("-r good.pcap --to file:o --filter prot", "invalid filter \"prot\""),
    ("-r good.pcap --to tls://127.0.0.1:1 --certificate nosuch --key k.pem",
     "certificate in PEM form from nosuch: No such file"),
    ("-r good.pcap --to tls://127.0.0.1:1 --certificate c.pem", "the key is missing"),
    ("-r good.pcap --to tls://127.0.0.1:1 --certificate c.pem --key open.pem",
     "chmod 600 open.pem"),
    ("-r good.pcap --to tls://127.0.0.1:1 --certificate other.pem --key k.pem",
     "k.pem"),
    ("-r good.pcap --to tls://127.0.0.1:1 --certificate c.pem --key k.pem --ca text.txt",
     "CA certificates in PEM form from text.txt"),
    ("--trace-csv text.txt --to file:o", "line 1 has no column"),
    ("--trace-csv nosuch.csv --to file:o", "nosuch.csv: No such file"),
    ("-r good.pcap --to file:o --idle-timeout 15x", "--idle-timeout: invalid duration '15x'"),
    ("-r good.pcap --to file:o --idel-timeout 15s", "did you mean --idle-timeout"),
    ("-r good.pcap --to file:o --max-conversations 0", "0 is too small"),
    ("-r good.pcap --to file:o --own-pen 6871", "6871 belongs to CERT's elements"),
    ("-r good.pcap --to file:o --templates text.txt", "text.txt"),
    ("-r good.pcap --to file:o --schemas folder", "no elements.xml"),
    ("-r good.pcap --to file:o --schemas schemas", "elements.xml"),
    ("-r good.pcap --to file:o --config bad.yaml", "bad.yaml:2:1: "),
    ("-r good.pcap --to file:o --config unknown.yaml", "unknown.yaml.*idle-timeout"),
]


@pytest.mark.parametrize("words,pattern", EXPORTER, ids=lambda v: v.replace("/", "_"))
def test_the_exporter_complains_once(words, pattern, place, programs, run):
    complain(run, place, programs.exporter, words, pattern)


def test_an_exporter_that_cannot_write_says_so_and_fails(place, programs, run):
    done = run(programs.exporter, "-r", "good.pcap", "--to", "file:/dev/full", cwd=place,
               status=1)
    assert re.fullmatch(r"flowpair-exporter: error: cannot write /dev/full: "
                        r"No space left on device\n", done.stderr)


LISTEN = "--listen tcp://127.0.0.1:0 --store s"
LISTEN_TLS = "--listen tls://127.0.0.1:0 --store s"
COLLECTOR = [
    ("", "nothing to do: give --listen URI or -r FILE"),
    ("-r good.pcap", "no store: give --store DIR"),
    ("-r good.pcap --store /proc/x", "/proc/x: cannot create the store"),
    ("-r good.pcap --store nosuch/s",
     "nosuch/s: cannot create the store: .*create the directory above it first"),
    ("-r good.pcap --store locked", "locked/lock: cannot write to the store: Is a dir"),
    ("-r good.pcap --store s --schemas empty", r"contains no schemas \(\*.yaml\)"),
    ("-r good.pcap --store not-a-folder", "not-a-folder: not a directory"),
    ("-r good.pcap --store sqlite:", "the store needs a directory"),
    ("-r good.pcap --store mysql://x", "unknown kind of store 'mysql'"),
    ("-r good.pcap --store s --schemas folder", "no elements.xml"),
    ("-r good.pcap --store s --schemas schemas", "elements.xml"),
    ("-r good.pcap --store s --tables pair", "unknown table 'pair'; did you mean 'pairs'"),
    ("-r good.pcap --store s --tables pairs,pairs", "--tables names pairs twice"),
    ("-r good.pcap --store s --own-pen 29305", "29305 belongs to reverse elements"),
    ("-r good.pcap --listen tcp://127.0.0.1:0 --store s", "exclude each other"),
    ("-r good.pcap --store s --peers nosuch", "--peers is only for --listen"),
    ("-r good.pcap --store s --user nosuchuser", "no such user"),
    ("--listen tcp://127.0.0.1:99999 --store s", "invalid port \"99999\" .expected 1 to 65535."),
    ("--listen tcp://192.0.2.1:4739 --store s", "cannot listen at tcp://192.0.2.1:4739"),
    (LISTEN_TLS, "needs --certificate and --key"),
    (LISTEN_TLS + " --certificate c.pem --key k.pem", "needs --ca"),
    (LISTEN_TLS + " --certificate c.pem --key open.pem --ca ca.pem", "chmod 600 open.pem"),
    (LISTEN_TLS + " --certificate c.pem --key nosuch --ca ca.pem", "nosuch"),
    (LISTEN_TLS + " --certificate c.pem --key k.pem --ca ca.pem --crl text.txt",
     "text.txt"),
    (LISTEN + " --segment-size 1MiB", "--segment-size: 1MiB is too small"),
    (LISTEN + " --journal-size 16MiB", "must hold at least four segments"),
    (LISTEN + " --journal not-a-folder", "not-a-folder"),
    (LISTEN + " --port-file nosuch/p", "cannot write --port-file nosuch/p"),
    (LISTEN + " --user nosuchuser", "no such user"),
    (LISTEN + " --config bad.yaml", "bad.yaml:2:1: "),
]


@pytest.mark.parametrize("words,pattern", COLLECTOR, ids=lambda v: v.replace("/", "_"))
def test_the_collector_complains_once(words, pattern, place, programs, run):
    complain(run, place, programs.collector, words, pattern)


def test_an_output_that_is_the_input_leaves_it_as_it_was(place, programs, run):
    (place / "kept.pcap").write_bytes(EMPTY_CAPTURE)
    (place / "link.pcap").hardlink_to(place / "kept.pcap")
    run(programs.exporter, "-r", "kept.pcap", "--to", "file:link.pcap", cwd=place, status=2)
    assert (place / "kept.pcap").read_bytes() == EMPTY_CAPTURE


def test_certificates_that_protect_nothing_are_told(place, programs, run):
    done = run(programs.exporter, "-r", "good.pcap", "--to", "tcp://127.0.0.1:1",
               "--certificate", "c.pem", "--key", "k.pem", "--give-up", "100ms", cwd=place,
               status=None)
    assert "warning: --certificate has no effect: no --to is encrypted" in done.stderr
    done = run(programs.collector, "--check", "--listen", "tcp://127.0.0.1:0",
               "--ca", "ca.pem", cwd=place)
    assert "warning: --ca has no effect: no --listen is encrypted" in done.stderr


def test_who_imports_packets_instead_of_exports_hears_whose_they_are(place, programs, run):
    frame = bytes(12) + b"\x08\x06" + bytes(28)  # ARP
    (place / "traffic.pcap").write_bytes(
        EMPTY_CAPTURE + struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
    done = run(programs.collector, "-r", "traffic.pcap", "-r", "good.pcap", "--store", "s",
               cwd=place)
    told, = [line for line in done.stderr.splitlines() if "warning" in line]
    assert told.startswith("flowpair-collector: warning: traffic.pcap: no packet carries")
    assert told.endswith("use flowpair-exporter -r")


@pytest.fixture(name="busy", scope="module")
def busy_fixture(place, programs):
    """A collector that has the store `busy`; its URI."""
    process = subprocess.Popen(
        [programs.collector, "--listen", "tcp://127.0.0.1:0", "--store", "busy"],
        cwd=place, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    uri = re.search(r"listening on (\S+)", process.stderr.readline())[1]
    yield uri
    process.terminate()
    process.communicate(timeout=60)


def test_a_second_collector_on_a_store_is_told_who_has_it(busy, place, programs, run):
    assert busy
    complain(run, place, programs.collector, "-r good.pcap --store busy",
             r"busy: another collector, process \d+ is writing to this store")


def test_a_second_collector_on_a_journal_is_refused(busy, place, programs, run):
    assert busy
    complain(run, place, programs.collector, LISTEN + " --journal busy/journal",
             "busy/journal is in use by another collector")


def test_a_second_collector_on_a_port_is_refused(busy, place, programs, run):
    complain(run, place, programs.collector, f"--listen {busy} --store s2",
             f"cannot listen at {busy}: Address already in use")


QUERY = [
    ("", "--store is missing"),
    ("--store nosuch", "no flowpair store here"),
    ("--store folder", "no flowpair store here"),
    ("--store not-a-folder", "not-a-folder: is a file; name the directory"),
    ("--store busy pair", "the nearest is \"pairs\""),
    ("--store busy pairs --where src_ip_eq", "invalid condition"),
    ("--store busy pairs src_op_eq=1", "the nearest is \"src_ip\""),
    ("--store busy pairs src_ip_eq=300.1.1.1", "invalid address"),
    ("--store busy pairs --by nosuch", "no column \"nosuch\"; it has"),
    ("--store busy pairs --columns src_pi", "the nearest is \"src_ip\""),
    ("--store busy pairs --from tomorrow", "invalid time .*-2h"),
    ("--store busy pairs --from -2weeks", "invalid time .* before now"),
    ("--store busy pairs dst_port>=1024", "write dst_port_ge=1024"),
    ("--store busy pairs dst_port<1024", "write dst_port_lt=1024"),
    ("--store busy pairs --format xml", "expected table, csv or json"),
    ("--store busy pairs --top -1", "--top: invalid number '-1'"),
    ("--store busy pairs --sort octet", "no column \"octet\""),
    ("--store busy pairs dst_port=010", "ambiguous number '010'"),
    ("--store busy pairs dst_port=65536", "out of range .expected 0 to 65535"),
    ("--store busy pairs --to 2300-01-01", "2300-01-01 is too late"),
    ("--store busy pairs protocol_in=", "unknown protocol"),
]


@pytest.mark.parametrize("words,pattern", QUERY, ids=lambda v: v.replace("/", "_"))
def test_the_query_complains_once(words, pattern, busy, place, programs, run):
    assert busy
    complain(run, place, programs.query, words, pattern)


@pytest.mark.parametrize("words", ["--timeout 0", "--timeout 999999d", "--top 99999999999G"])
def test_a_number_out_of_range_is_the_operators_mistake(words, busy, place, programs, run):
    assert busy
    run(programs.query, "--store", "busy", "pairs", *words.split(), cwd=place, status=2)
