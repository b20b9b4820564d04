"""What all three programs do with options alike: help, manual, configuration, refusals."""

import re
import shutil

import pytest

NAMES = ("exporter", "collector", "query")


@pytest.fixture(params=NAMES)
def program(request, programs):
    return getattr(programs, request.param)


def test_help_fits_80_columns_and_goes_to_standard_output(program, run):
    done = run(program, "--help")
    assert done.stdout.startswith(f"Usage: {program.name} ")
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    assert done.stderr == ""


def test_version_is_program_and_version(program, run):
    assert re.fullmatch(rf"{program.name} \d+\.\d+\.\d+\n", run(program, "--version").stdout)


def test_manual_formats_without_a_warning(program, run):
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    page = run(program, "--print-manual").stdout
    done = run("groff", "-man", "-Tutf8", "-ww", "-z", input=page)
    assert done.stderr == ""


def test_manual_has_the_usual_sections(program, run):
    headings = re.findall(r"^\.SH (.*)$", run(program, "--print-manual").stdout, re.M)
    assert headings[:4] == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"]
    assert headings[-1] == "EXIT STATUS" or "EXIT STATUS" in headings


def test_manual_and_help_name_the_same_options(program, run):
    in_help = re.findall(r"^ {2}(?:-\w, | {4})--([\w-]+)", run(program, "--help").stdout, re.M)
    page = run(program, "--print-manual").stdout.replace("\\-", "-")
    in_manual = re.findall(r"^\.TP\n.*\\fB--([\w-]+)\\fR", page, re.M)
    assert in_help == in_manual and len(in_help) == len(set(in_help))


def test_printed_configuration_reads_back_the_same(program, run, tmp_path):
    first = run(program, "--print-config").stdout
    file = tmp_path / "options.yaml"
    file.write_text(first)
    assert run(program, "--config", file, "--print-config").stdout == first


def test_a_wrong_option_is_named_by_the_program_that_refuses_it(program, run):
    done = run(program, "--log-level=loud", status=2)
    assert done.stderr.startswith(f"{program.name}: error: --log-level")


def test_unknown_option_is_refused_with_status_2_and_a_hint(program, run):
    done = run(program, "--log-levle=debug", status=2)
    assert "--log-levle" in done.stderr and "--log-level" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_wrong_configuration_file_is_refused_with_its_place(program, run, tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("log-level: debug\nlog-levle: debug\n")
    done = run(program, "--config", file, status=2)
    assert f"{file}:2:1: " in done.stderr


def test_missing_configuration_file_is_refused(program, run, tmp_path):
    done = run(program, "--config", tmp_path / "none.yaml", status=2)
    assert f"{tmp_path / 'none.yaml'}: No such file or directory" in done.stderr


def test_manual_has_its_whole_text(program, run):
    page = run(program, "--print-manual").stdout
    assert "@" not in re.sub(r"@SECONDS", "", page)
    assert page.index(".SH DESCRIPTION") < page.index(".SH OPTIONS") < page.index(".SH EXAMPLES")
    assert (".SH SCTP\n" in page) == (program.name != "flowpair-query")
