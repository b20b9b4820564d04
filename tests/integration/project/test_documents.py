"""What the documents show is what the programs take."""

import pathlib
import re
import shutil

import pytest


def example(page, first_word):
    """The text between .nf and .fi that begins with this word."""
    for text in re.findall(r"^\.nf\n(.*?)^\.fi", page.read_text(), re.M | re.S):
        if text.startswith(first_word):
            return text.replace("\\-", "-")
    raise AssertionError(f"{page} has no example that begins with {first_word}")


def test_the_tables_and_records_of_the_manual_are_valid(repository, programs, run, tmp_path):
    page = repository / "schemas" / "flowpair-schema.5"
    schemas = tmp_path / "schemas"
    shutil.copytree(repository / "schemas", schemas)
    (schemas / "tables" / "talkers.yaml").write_text(example(page, "table:"))
    run(programs.collector, "--check", "--schemas", schemas)
    explained = run(programs.collector, "--explain", "--schemas", schemas,
                    "--tables", "talkers").stdout
    assert "payload_mean" in explained
    record = example(page, "record:").replace("record: conversation", "record: shown")
    (schemas / "records" / "shown.yaml").write_text(record)
    (schemas / "tables" / "shown.yaml").write_text(
        "table: shown\nfrom: shown\npartition: day\nstorage: append\n"
        "values: { src_ip: sourceAddress, packets: forward.packets, n: flows }\n")
    run(programs.collector, "--check", "--schemas", schemas)


def test_every_program_prints_a_manual_that_man_reads(programs, run, tmp_path):
    for program in (programs.exporter, programs.collector, programs.query):
        page = tmp_path / f"{program.name}.1"
        page.write_text(run(program, "--print-manual").stdout)
        shown = run("man", "-l", "--warnings", page, env={"PATH": "/usr/bin:/bin",
                                                          "MANWIDTH": "80"})
        assert not shown.stderr
        assert "SYNOPSIS" in shown.stdout and "--config" in shown.stdout
        assert shown.stdout.count("EXIT STATUS") == 1


def test_options_that_the_readme_names_exist(repository, programs, run):
    text = (repository / "README.md").read_text()
    known = "".join(run(program, "--help").stdout
                    for program in (programs.exporter, programs.collector, programs.query))
    for script in "certificates", "quickstart":
        known += (repository / "deploy" / script).read_text()
    known += "adduser --system --group systemctl --now"
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)):
        assert option in known, option


def test_example_configurations_are_understood(repository, programs, run):
    for program in (programs.exporter, programs.collector):
        example = repository / "deploy" / (program.name.removeprefix("flowpair-") + ".yaml")
        uncommented = re.sub(r"(?m)^(\s*)# (?=(- |[a-z-]+: )\S+( #.*)?$)", r"\1", example.read_text())
        for text in (example.read_text(), uncommented):
            run(program, "--config", "/dev/stdin", "--print-config", input=text)


def test_units_start_what_is_installed(repository, programs, run, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for program in (programs.exporter, programs.collector):
        unit = (repository / "deploy/systemd" / f"{program.name}.service").read_text()
        assert f"ExecStart=/usr/local/bin/{program.name} --config" in unit
        here = tmp_path / f"{program.name}.service"
        here.write_text(unit.replace("/usr/local/bin/", f"{program.parent}/"))
        checked = run("systemd-analyze", "verify", "--man=no", here)
        assert not checked.stderr


def test_links_of_the_documents_lead_somewhere(repository):
    for page in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", (repository / page).read_text()):
            assert (repository / pathlib.PurePath(link)).exists(), link


def test_what_the_architecture_names_exists(repository):
    page = (repository / "ARCHITECTURE.md").read_text()
    sources = [path for room in ("common", "exporter", "collector")
               for path in (repository / room).rglob("*.[ch]")]
    code = "".join(path.read_text() for path in sources)
    for function in set(re.findall(r"`([a-z]\w+)\(\)`", page)):
        assert re.search(rf"^{function}\(", code, re.M), function
    for name in set(re.findall(r"`([a-z][\w/]*\.[ch])`", page)):
        assert (repository / name).exists() or any(
            str(path).endswith("/" + name) for path in sources), name
    for room in set(re.findall(r"^\| `((?:exporter|collector|common)/\w+)`", page, re.M)):
        assert (repository / room).is_dir(), room


def test_tests_that_the_documents_name_exist(repository):
    named = re.findall(r"make check \[?T=([\w/]+)", "".join(
        (repository / name).read_text() for name in ("CONTRIBUTING.md", "Makefile")))
    assert len(named) >= 3
    for name in named:
        assert any((repository / "tests").glob(f"**/{name}_test.c")), name


def test_a_test_that_is_not_there_does_not_pass(repository, run):
    done = run("make", "-s", "-C", repository, "check", "T=common/nothing", status=None)
    assert done.returncode != 0 and "no such test" in done.stderr
