"""A store that flowpair-collector wrote, and ways to fill one: for tests that look at
tables."""

import contextlib
import csv
import io
import json
import re
import subprocess

PAIR = ("src_ip", "src_port", "dst_ip", "dst_port", "protocol")


def typed(text):
    """A CSV field as the number it is, the text it is, or None."""
    if text == "":
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


class Store:
    def __init__(self, programs, run, folder):
        self.programs, self.run, self.folder = programs, run, folder

    def ask(self, *words, status=0):
        """flowpair-query on this store."""
        return self.run(self.programs.query, "--store", self.folder, *words,
                        status=status)

    def rows(self, *words):
        """Its answer as a list of dicts."""
        text = self.ask(*words, "--format", "csv").stdout
        return [{name: typed(value) for name, value in row.items()}
                for row in csv.DictReader(io.StringIO(text, newline=""))]

    def columns(self, table, names, *words):
        """Its answer as a list of tuples of these columns."""
        names = names.split(",") if isinstance(names, str) else list(names)
        rows = self.rows(table, "--columns", ",".join(names), *words)
        return [tuple(row[name] for name in names) for row in rows]

    def json(self, *words):
        return json.loads(self.ask(*words, "--format", "json").stdout)

    def listing(self):
        return {row["table"]: row for row in self.rows()}

    def records(self):
        """Records whose rows are all there: table `exporters` is written last."""
        done = self.ask("exporters", "--columns", "records", "--format", "csv", status=None)
        return sum(map(int, re.findall(r"^(\d+)\r?$", done.stdout, re.M)))

    def read_ipfix(self, *files, **more):
        """The collector's import of IPFIX files."""
        words = [word for name in files for word in ("-r", name)]
        return self.run(self.programs.collector, *words, "--store", self.folder, **more)


class Collector:
    """A collector that listens on loopback, and its store.  Exporters with a certificate
    may send captures of any age; so that those over plain TCP may, too, lateness is long."""

    def __init__(self, programs, run, start, folder, uri, options, more=()):
        self.store = Store(programs, run, folder / "store")
        self.programs, self.run = programs, run
        lateness = ["--lateness", "36500d"] if uri.startswith("tcp://") else []
        self.process = start(programs.collector, "--listen", uri, "--store",
                             self.store.folder, "--journal", folder / "journal",
                             *lateness, "--flush-interval", "300ms", *options, *more)
        found = self.process.wait_line(r"listening on (\S+):(\d+)")
        self.port = int(found[2])

    def export(self, *words, uri, options, **more):
        """Runs an exporter against it to its end."""
        return self.run(self.programs.exporter, *words, "--to", uri, *options, **more)

    def stop(self):
        self.process.stop()


@contextlib.contextmanager
def reading(folder, file, sql, times):
    """Runs the sqlite3 command line over and over while the body runs; yields the list of
    its answers."""
    answers = []
    processes = [subprocess.Popen(
        ["sh", "-c", f"i=0; while [ $i -lt {times} ]; do "
         f"sqlite3 -readonly '{folder}/{file}' \"{sql}\" || exit 1; i=$((i+1)); "
         "sleep 0.05; done"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)]
    yield answers
    for process in processes:
        out, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint
        answers.extend(out.split())
