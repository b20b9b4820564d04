"""What other exporters send (shared test data), counted by the collector as its index
counts it: messages, templates, options templates, records and options records of every
file."""

import csv
import re

import pytest

from netflow_bytes import write_capture
from stores import Store

COLUMNS = ("messages", "templates", "options_templates", "data_records", "options_records")
VERSIONS = {"ipfix", "v9", "v5", "sflow5"}

TOO_LONG = ("the header claims more bytes than there are: no length in it can be believed, "
            "and nothing of it is taken")
ENDLESS = ("templates whose fields are all of length 0 are refused, as a set of such records "
           "would never end; what an earlier template of that id says holds on")
NO_ROOM = "the UDP header says that the datagram is as short as its agent's address type"
HELD = "data that comes before its template is held and counted; the index skips it"

# Where an own decode differs from the index: what is counted instead, and why.
DIFFERENT = {
    "bad-length-in-set.ipfix": ((0, 0, 0, 0, 0), TOO_LONG),
    "bad-length-in-set-very-long.ipfix": ((0, 0, 0, 0, 0), TOO_LONG),
    "bad_length_in_set.ipfix.pcap": ((0, 0, 0, 0, 0), TOO_LONG),
    "bad_length_in_set_very_long.ipfix.pcap": ((0, 0, 0, 0, 0), TOO_LONG),
    "incorrect_message_length.ipfix": ((0, 0, 0, 0, 0), TOO_LONG),
    "incorrect_message_length.ipfix.pcap": ((0, 0, 0, 0, 0), TOO_LONG),
    "malformed_2.pcap": ((16, 0, 16, 0, 12), ENDLESS),
    "malformed_3.pcap": ((1, 0, 0, 0, 0), ENDLESS),
    "IPFIX_Netscaler_with_variable_length_fields.pcap": ((4, 14, 0, 6, 0), HELD),
    "sflow_print-segv.pcap": ((0, 0, 0, 0, 0), NO_ROOM),
    "pcap_processing/ipfix-vmware.pcap": ((1159, 64, 0, 1317, 0), HELD),
}


@pytest.fixture(scope="module")
def index(shared):
    """The index's rows about router exports."""
    with open(shared / "corpora" / "INDEX.tsv", newline="", encoding="utf-8") as f:
        rows = [row for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)
                if row["class"] == "routers"]
    for row in rows:
        row["file"] = shared / "corpora" / row["path"]
    if not any(row["file"].exists() for row in rows):
        pytest.skip("the shared test data has no exports of routers")
    return rows


def versions(text):
    """{"v9"} of "v9:12"."""
    return {word.split(":")[0] for word in re.split("[, ]", text) if word}


def counted(path, programs, run, folder):
    """What the table of exporters has of a file, in the order of COLUMNS, and how many
    samples of counters."""
    run(programs.collector, "-r", path, "--store", folder, "--tables", "exporters",
        status=None)
    if not (folder / "flowpair.sqlite").exists():
        return (0,) * (len(COLUMNS) + 1)
    rows = Store(programs, run, folder).rows("exporters")
    return (sum(row["messages"] for row in rows),
            sum(row["templates"] - row["option_templates"] for row in rows),
            sum(row["option_templates"] for row in rows),
            sum(row["records"] for row in rows),
            sum(row["option_records"] for row in rows),
            sum(row["counter_samples"] for row in rows))


def test_every_file_is_counted_as_the_index_counts_it(index, programs, run, tmp_path):
    wrong = {}
    for number, row in enumerate(index):
        if not row["versions"] or not versions(row["versions"]) <= VERSIONS:
            continue
        name = row["file"].name
        wanted = tuple(int(row[column] or 0) for column in COLUMNS)
        for path, (own, _) in DIFFERENT.items():
            wanted = own if row["path"].endswith("/" + path) else wanted
        *got, counters = counted(row["file"], programs, run, tmp_path / str(number))
        got[3] += counters  # records in the index
        got = tuple(got)
        if got != wanted:
            wrong[name] = (got, wanted)
    assert not wrong


def cases(index):
    """Exports that are spread over several files, a datagram each: the files, templates
    first, and what the index says of them together."""
    found = {}
    for row in index:
        said = re.match(
            r"case=(.*?) (?:ipfix|v9|v5):\d+ msgs=(\d+) tmpl=(\d+) otmpl=(\d+) data=(\d+) "
            r"odata=(\d+) ", row["note"])
        if said and row["kind"] == "flow-export":
            found.setdefault(said[1], []).append((row, tuple(map(int, said.groups()[1:]))))
    for name, rows in found.items():
        if all(row["versions"] for row, _ in rows):
            continue  # counted file by file
        files = sorted((row["file"] for row, _ in rows),
                       key=lambda file: ("tpl" not in file.name, file.name))
        yield name, files, rows[0][1]


def test_data_before_its_template_is_counted_all_the_same(index, programs, run, tmp_path):
    cases_seen = 0
    for number, (name, files, wanted) in enumerate(cases(index)):
        capture = tmp_path / f"{number}.pcap"
        write_capture(capture, (file.read_bytes() for file in reversed(files)))
        *got, _ = counted(capture, programs, run, tmp_path / str(number))
        got = tuple(got)
        assert got[:3] == wanted[:3], name
        assert got[3:] == wanted[3:], name
        cases_seen += 1
    assert cases_seen > 5


def test_exports_in_several_files_are_counted_as_the_index_counts_them(
        index, programs, run, tmp_path):
    wrong, seen = {}, 0
    for number, (name, files, wanted) in enumerate(cases(index)):
        capture = tmp_path / f"{number}.pcap"
        write_capture(capture, (file.read_bytes() for file in files))
        *got, _ = counted(capture, programs, run, tmp_path / str(number))
        got = tuple(got)
        seen += 1
        if got != wanted:
            wrong[name] = (got, wanted)
    assert seen > 5
    assert not wrong
