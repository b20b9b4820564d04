"""What other exporters send (shared test data), counted by the collector as its index
counts it: messages, templates, records, options records of every file."""

import csv

import pytest

from stores import Store

# Files that the index counts although their message header claims more bytes than there
# are: no length in them can be believed, and nothing of them is taken.
NOT_MESSAGES = {
    "bad-length-in-set.ipfix", "bad-length-in-set-very-long.ipfix",
    "bad_length_in_set.ipfix.pcap", "bad_length_in_set_very_long.ipfix.pcap",
    "incorrect_message_length.ipfix", "incorrect_message_length.ipfix.pcap",
}


def indexed(shared):
    """Files of IPFIX alone with what the index says: (messages, templates, records,
    options records)."""
    with open(shared / "corpora" / "INDEX.tsv", newline="", encoding="utf-8") as f:
        for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
            versions = row["versions"]
            if row["class"] != "routers" or not versions.startswith("ipfix:"):
                continue
            if "," in versions or " " in versions:
                continue
            count = {name: int(row[name] or 0) for name in (
                "messages", "templates", "options_templates", "data_records",
                "options_records")}
            yield shared / "corpora" / row["path"], (
                count["messages"], count["templates"] + count["options_templates"],
                count["data_records"], count["options_records"])


def counted(path, programs, run, folder):
    """The same from the table of exporters."""
    run(programs.collector, "-r", path, "--store", folder)
    rows = Store(programs, run, folder).rows("exporters")
    return tuple(sum(row[name] for row in rows)
                 for name in ("messages", "templates", "records", "option_records"))


def test_every_file_is_counted_as_the_index_counts_it(shared, programs, run, tmp_path):
    files = list(indexed(shared))
    if not files:
        pytest.skip("the shared test data has no files of IPFIX alone")
    wrong = {}
    for number, (path, wanted) in enumerate(files):
        if path.name in NOT_MESSAGES:
            continue
        got = counted(path, programs, run, tmp_path / str(number))
        if got != wanted:
            wrong[path.name] = (got, wanted)
    assert not wrong
