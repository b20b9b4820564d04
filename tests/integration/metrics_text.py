"""A strict reader of Prometheus' text format 0.0.4, for what the programs write."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ([0-9]+(?:\.[0-9]+)?)")


def unescape(text):
    return re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), text)


def read(text):
    """{name: {labels as a tuple of pairs: value}}; raises ValueError where it is wrong."""
    families, helped, family = {}, set(), None
    if not text.endswith("\n"):
        raise ValueError("the last line is not whole")
    for number, line in enumerate(text[:-1].split("\n"), 1):
        comment = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (\S.*)", line)
        if comment and comment[1] == "HELP":
            if comment[2] in helped:
                raise ValueError(f"line {number}: {comment[2]} begins twice")
            if re.search(r"\\[^\\n]|\\$", comment[3].replace("\\\\", "")):
                raise ValueError(f"line {number}: wrong escape")
            helped.add(comment[2])
            family = None
            continue
        if comment:
            family = comment[2]
            if comment[3] not in ("counter", "gauge"):
                raise ValueError(f"line {number}: type {comment[3]}")
            if family in families or family not in helped:
                raise ValueError(f"line {number}: {family} is typed twice or unexplained")
            if (comment[3] == "counter") != family.endswith("_total"):
                raise ValueError(f"line {number}: {family} is a {comment[3]}")
            families[family] = {}
            continue
        sample = SAMPLE.fullmatch(line)
        if not sample or sample[1] != family:
            raise ValueError(f"line {number}: {line!r} in family {family}")
        labels = tuple((name, unescape(value))
                       for name, value in re.findall(LABEL, sample[2] or ""))
        if labels in families[family]:
            raise ValueError(f"line {number}: {labels} twice")
        families[family][labels] = float(sample[len(sample.groups())])
    return families


def by_label(families, name):
    """{value of the only label: number}"""
    return {labels[0][1]: int(value) for labels, value in families[name].items()}
