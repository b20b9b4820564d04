"""Structured data (RFC 6313) in tables: lists that libfixbuf wrote, and lists of other
exporters (shared test data), equal to what ipfixDump and tshark read in the same bytes."""

import ipaddress
import json
import pathlib
import re
import shutil
import socket
import struct
import xml.etree.ElementTree

import pytest

from ipfix_bytes import ipfix_set, message, template
from stores import Store

SOURCES = pathlib.Path(__file__).parents[1]
CERT_REGISTRY = pathlib.Path("/usr/share/libfixbuf/cert_ipfix.xml")
TABLE = """\
table: listed
from: conversation
partition: day
storage: append
values:
  src: sourceAddress
  basic: basicList
  sub: subTemplateList
  multi: subTemplateMultiList
"""
# Options of YAF with an element of its own that is a subTemplateList.
TOMBSTONE_RECORD = """\
record: tombstone
options: true
requires: [tombstoneAccessList]
fields:
  process: { from: [exportingProcessId] }
"""
TOMBSTONES = """\
table: tombstones
from: tombstone
partition: none
storage: upsert
key: { process: process }
values:
  seen: { lastWriteWins: tombstoneAccessList }
"""
RECORDS = 60


def with_table(repository, tmp_path):
    schemas = tmp_path / "schemas"
    shutil.copytree(repository / "schemas", schemas)
    (schemas / "tables" / "listed.yaml").write_text(TABLE, encoding="utf-8")
    return schemas


@pytest.fixture
def lists(programs, run, repository, tmp_path):
    """lists(FILE...): the store of a collector whose table `listed` has their lists."""
    def read(*files, tables="listed,exporters", more=()):
        schemas = with_table(repository, tmp_path)
        if "tombstones" in tables:
            (schemas / "records" / "tombstone.yaml").write_text(TOMBSTONE_RECORD)
            (schemas / "tables" / "tombstones.yaml").write_text(TOMBSTONES)
        words = [word for file in files for word in ("-r", file)]
        store = Store(programs, run, tmp_path / "store")
        run(programs.collector, *words, "--schemas", schemas, "--tables",
            tables, "--store", store.folder, *more)
        return store
    return read


@pytest.fixture
def written(run, tmp_path):
    """A file that libfixbuf wrote."""
    if None in (shutil.which("gcc"), shutil.which("pkg-config")):
        pytest.skip("no compiler")
    flags = run("pkg-config", "--cflags", "--libs", "libfixbuf").stdout.split()
    run("gcc", "-o", tmp_path / "fixbuf_lists", SOURCES / "fixbuf_lists.c", *flags)
    run(tmp_path / "fixbuf_lists", tmp_path / "lists.ipfix", RECORDS)
    return tmp_path / "lists.ipfix"


def parsed(store):
    """Rows with their lists as Python's, in the order of their sources."""
    rows = store.json("listed", "--limit", "1000")
    rows.sort(key=lambda row: ipaddress.ip_address(row["src"]))
    return [{name: value if name == "src" or value is None else json.loads(value)
             for name, value in row.items()} for row in rows]


def basic(semantic, element, values):
    return {"semantic": semantic, "element": element, "values": values}


def named(i, k):
    return {"applicationName": f"host {i}.{k}",
            "flowStartNanoseconds": f"2017-04-26T11:{(17 + i) // 60 + 11:02}:"
                                    f"{(17 + i) % 60:02}.500Z",
            "octetDeltaCount": 2 ** 64 - 1 - k, "sourceIPv4Address": f"192.0.2.{k}",
            "tcpControlBits": 0x12, "dataRecordsReliability": k % 2 == 0,
            "protocolIdentifier": 17}


def listed(i, k):
    addresses = [str(ipaddress.ip_address((0x20010db8 << 96) + 256 * i + n))
                 for n in range(k + 1)]
    return {"basicList": basic("exactlyOneOf", "sourceIPv6Address", addresses),
            "sourceMacAddress": f"02:00:00:00:00:{k:02x}", "vlanId": 7}


def expected(i):
    """What tests/integration/fixbuf_lists.c put into record i."""
    return {
        "src": f"10.0.0.{i}",
        "basic": [
            basic("allOf", "sourceTransportPort",
                  [(1000 * i + k) % 65536 for k in range(i)]),
            basic("ordered", "applicationName",
                  [f"name {k}" for k in range(i)] + [f'\ufffd "{i}\\']),
        ],
        "sub": {"semantic": "noneOf", "template": 301,
                "records": [named(i, k) for k in range(i % 3)]},
        "multi": {"semantic": "oneOrMoreOf", "templates": [
            {"template": 301, "records": [named(i, 5)]},
            {"template": 302, "records": [listed(i, k) for k in range(2)]}]},
    }


def test_lists_of_libfixbuf_are_stored_value_by_value(lists, written):
    store = lists(written)
    assert parsed(store) == [expected(i) for i in range(1, RECORDS + 1)]
    assert store.columns("exporters", "records,bad_lists,lists_without_template,"
                         "long_lists,last_error") == [(RECORDS, 0, 0, 0, None)]


# --- tshark: lists of one template ---

def tshark_records(path, run):
    """[[name, octets, source], ...] for each subTemplateList in the file."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    out = run("tshark", "-r", path, "-T", "pdml", text=False).stdout
    for found in xml.etree.ElementTree.fromstring(out).iter("field"):
        if found.get("name") == "cflow.subtemplate_list":
            yield [[item.find(f"field[@name='cflow.{name}']").get("show")
                    for name in ("appl_name", "octets", "srcaddr")]
                   for item in found if item.get("show", "").startswith("List Item")]


def test_tshark_reads_the_same_sub_templates(lists, written, run):
    ours = [[[record["applicationName"], str(record["octetDeltaCount"]),
              record["sourceIPv4Address"]] for record in row["sub"]["records"]]
            for row in parsed(lists(written))]
    assert list(tshark_records(written, run)) == ours
    assert sum(map(len, ours)) == RECORDS


# --- ipfixDump: every list, in text ---

def depth_of(line):
    return len(line) - len(line.lstrip("\t"))


class Dump:
    """Lists in the text of ipfixDump, as the JSON in tables has them."""

    def __init__(self, text):
        self.lines = [line for line in text.splitlines() if line.strip()]
        self.at = 0

    def lists(self):
        while self.at < len(self.lines):
            if "+++ " in self.lines[self.at]:
                yield self.list()
            else:
                self.at += 1

    def take(self, pattern):
        found = re.search(pattern, self.lines[self.at])
        assert found, (pattern, self.lines[self.at])
        self.at += 1
        return found.groups()

    def list(self):
        depth = depth_of(self.lines[self.at])
        kind, = self.take(r"\+\+\+ (\w+) \+\+\+")
        count, semantic, rest = self.take(r"count: (\d+) +semantic: \d+-(\w+) *(.*)")
        if kind == "basicList":
            name = re.fullmatch(r"ie: \([\d/]+\) (\w+)", rest).group(1)
            return basic(semantic, name, [self.value(self.take(r"^\s*\d+ *: (.*)")[0])
                                          for _ in range(int(count))])
        if kind == "subTemplateList":
            return {"semantic": semantic, **self.records(depth, int(count), rest)}
        parts = []
        for _ in range(int(count)):
            self.take(r"\+\+\+ (subTemplateMultiListEntry) \d+ \+\+\+")
            records, rest = self.take(r"count: (\d+) +(tid:.*)")
            parts.append(self.records(depth, int(records), rest))
        return {"semantic": semantic, "templates": parts}

    def records(self, depth, count, rest):
        records = []
        for _ in range(count):
            self.take("--- data record")
            while not self.lines[self.at].strip() == "fields:":
                self.at += 1
            self.at += 1
            records.append(self.record(depth + 1))
        return {"template": re.match(r"tid: +(\d+)", rest).group(1),
                "records": records}

    def record(self, depth):
        record = {}
        while self.at < len(self.lines) and depth_of(self.lines[self.at]) == depth and \
                self.lines[self.at].lstrip().startswith("("):
            name, value = self.take(r"^\s*\([\d/]+\) +(\w+) : ?(.*)")
            record[name] = self.list() if value == "" else self.value(value)
        return record

    @staticmethod
    def value(text):
        return re.sub(r"^\(len: \d+\) ", "", text)


def as_text(value, name=None):
    """Values as ipfixDump writes them; of times, which it rounds, the seconds."""
    if isinstance(value, dict):
        return {key: as_text(item, value.get("element") if key == "values" else key)
                for key, item in value.items()}
    if isinstance(value, list):
        return [as_text(item, name) for item in value]
    text = str({True: 1, False: 2}[value] if isinstance(value, bool) else value)
    if "IPv6" in (name or ""):
        return str(ipaddress.ip_address(re.sub(r"\b0+(?=\w)", "", text)))
    if "Seconds" in (name or "") or "seconds" in (name or ""):
        return text.replace("T", " ")[:19]
    return text


def dumped(path, run, *more):
    if shutil.which("ipfixDump") is None:
        pytest.skip("ipfixDump is not installed")
    out = run("ipfixDump", "-i", path, *more, text=False).stdout
    return [as_text(found) for found in Dump(out.decode(errors="replace")).lists()]


def all_lists(rows):
    for row in rows:
        for value in (row["basic"], row["sub"], row["multi"]):
            yield from value if isinstance(value, list) else [] if value is None else [value]


def test_ipfixdump_reads_the_same_lists(lists, written, run):
    found = [as_text(value) for value in all_lists(parsed(lists(written)))]
    assert len(found) == 4 * RECORDS
    assert dumped(written, run) == found


YAF = {
    "telegraf": ("influxdata+telegraf/plugins/inputs/netflow/testcases/ipfix_example/"
                 "ipfix_?.bin",),
    "logstash": ("logstash-plugins+logstash-codec-netflow/spec/codecs/"
                 "ipfix_test_yaf_tpls_option_tpl.dat",
                 "logstash-plugins+logstash-codec-netflow/spec/codecs/"
                 "ipfix_test_yaf_data*.dat"),
}


@pytest.mark.parametrize("case, count, tombstones", (("telegraf", 29, 1), ("logstash", 1, 0)))
def test_lists_of_yaf_are_those_that_ipfixdump_reads(
        lists, run, shared, tmp_path, case, count, tombstones):
    folder = shared / "corpora" / "routers"
    files = [path for pattern in YAF[case] for path in sorted(folder.glob(pattern))]
    if not files or not CERT_REGISTRY.exists():
        pytest.skip("no exports of YAF, or no registry of CERT's elements")
    stream = tmp_path / "yaf.ipfix"
    stream.write_bytes(b"".join(path.read_bytes() for path in files))
    store = lists(stream, tables="listed,exporters,tombstones",
                  more=("--elements", CERT_REGISTRY))
    found = list(all_lists(parsed(store)))
    options = [json.loads(row["seen"]) for row in store.json("tombstones")]
    assert (len(found), len(options)) == (count, tombstones)

    def by_text(value):
        return json.dumps(value, sort_keys=True)
    assert sorted(map(as_text, found + options), key=by_text) == sorted(
        dumped(stream, run, "-e", CERT_REGISTRY), key=by_text)
    assert store.columns("exporters", "bad_lists,lists_without_template") == [(0, 0)]


# --- what is wrong with lists ---

FLOW = template(300, [(152, 8), (8, 4), (12, 4), (2, 8), (291, 65535), (292, 65535)])


def flow(i, one, other):
    def field(value):
        return struct.pack(">B", len(value)) + value
    return struct.pack(">QIIQ", 1700000000000 + i, 0x0a000000 + i, 0xc0000201, 1) + \
        field(one) + field(other)


def test_a_malformed_list_is_said_where_it_was_and_the_record_is_kept(lists, tmp_path):
    path = tmp_path / "bad.ipfix"
    path.write_bytes(message(
        ipfix_set(2, FLOW + template(301, [(7, 2)])),
        ipfix_set(300, flow(1, b"\3\0\7\0\2\0\x50\0", b"\3\1\x2d\0\x50") +
                  flow(2, b"\3\0\7\0\2\0\x50", b"\4\3\xe7abc") +
                  flow(3, b"", b"\3"))))
    store = lists(path)
    good = {"semantic": "allOf", "template": 301, "records": [{"sourceTransportPort": 80}]}
    assert [(row["basic"], row["sub"]) for row in parsed(store)] == [
        ({"malformed": "a value runs over its end", "length": 8}, good),
        (basic("allOf", "sourceTransportPort", [80]),
         {"semantic": "ordered", "template": 999, "length": 3}),
        ({}, {"malformed": "its header is cut short", "length": 1})]
    assert store.columns("exporters", "records,lost,bad_lists,lists_without_template,"
                         "last_error") == [
        (3, 0, 2, 1, "a list in a record whose template never came")]


def test_lists_are_read_by_templates_from_before_the_collector_was_killed(
        programs, run, start, repository, tmp_path, free_port, wait_for):
    schemas = with_table(repository, tmp_path)
    store = Store(programs, run, tmp_path / "store")
    port = free_port()

    def collector():
        process = start(
            programs.collector, "--listen", f"udp://127.0.0.1:{port}", "--store",
            store.folder, "--schemas", schemas, "--tables", "listed,exporters",
            "--lateness", "36500d", "--skew", "36500d", "--flush-interval", "200ms")
        process.wait_line(r"listening on ")
        return process

    def subs(count):
        done = store.ask("listed", "--columns", "sub", "--format", "json", status=None)
        rows = json.loads(done.stdout) if done.returncode == 0 else []
        return len(rows) == count and [json.loads(row["sub"]) for row in rows]

    process = collector()
    exporter = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    exporter.connect(("127.0.0.1", port))
    exporter.send(message(ipfix_set(2, FLOW + template(301, [(7, 2)])),
                          ipfix_set(300, flow(1, b"", b"\3\1\x2d\0\x50"))))
    before, = wait_for(lambda: subs(1), "the first record")
    process.kill()
    collector()
    exporter.send(message(ipfix_set(300, flow(2, b"", b"\3\1\x2d\0\x50")), sequence=1))
    assert wait_for(lambda: subs(2), "the second record") == [before, before]
    assert before["records"] == [{"sourceTransportPort": 80}]
