"""tests/layers fails on an include, a call or a circle that the arrows forbid."""

import shutil
import subprocess

import pytest

ROOMS = ("common", "exporter", "collector")


@pytest.fixture
def house(repository, programs, tmp_path):
    """A copy of the sources, with the objects of the build beside them."""
    if not (programs.folder / "common/base/err.o").exists():
        pytest.skip(f"{programs.folder} holds programs only, no objects")
    for room in ROOMS:
        shutil.copytree(repository / room, tmp_path / room)
        for built in (programs.folder / room).rglob("*.o"):
            link = tmp_path / "build" / built.relative_to(programs.folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(built)
    return tmp_path


@pytest.fixture
def layers(repository, house):
    def run():
        return subprocess.run(
            [repository / "tests/layers", "build"], cwd=house, capture_output=True, text=True
        )

    return run


def add(house, name, text):
    """Adds a source, built."""
    source = house / name
    source.write_text(text)
    target = (house / "build" / name).with_suffix(".o")
    subprocess.run(["gcc", "-w", "-c", "-o", target, source], check=True)


def test_the_house_is_in_order(layers):
    done = layers()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(" 0 circles")


def test_an_include_against_the_arrows_fails(house, layers):
    packet = house / "exporter/decode/packet.c"
    packet.write_text('#include "exporter/sender/sender.h"\n' + packet.read_text())
    done = layers()
    assert done.returncode == 1
    assert "exporter/decode/packet.c:1: may not include exporter/sender/sender.h" in done.stderr


def test_a_call_against_the_arrows_fails_without_any_include(house, layers):
    add(house, "exporter/decode/wrong.c", "int wrong(void) { return sender_push(); }\n")
    done = layers()
    assert done.returncode == 1
    assert "exporter/decode/wrong.c: may not call sender_push()" in done.stderr


def test_two_units_that_call_each_other_are_a_circle(house, layers):
    add(house, "common/base/one.c", "int one(void) { return two(); }\n")
    add(house, "common/base/two.c", "int two(void) { return one(); }\n")
    done = layers()
    assert done.returncode == 1
    assert "circle: common/base/one.c common/base/two.c" in done.stderr
    assert done.stdout.splitlines()[-1].endswith(" 1 circle")


def test_a_library_has_one_door(house, layers):
    add(house, "common/base/one.c", "#include <zlib.h>\n")
    done = layers()
    assert done.returncode == 1
    assert "only common/capture/compressed.c may include <zlib.h>" in done.stderr
