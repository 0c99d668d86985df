#!/usr/bin/python3
"""Checks mqtt5.md: each statement has something said of it, what is named is there, and numbers follow each other.

    mqtt_table.py mqtt5.md mqtt_*.mqtt
"""
import os
import re
import sys

import mqtt
from script import parse_file

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDERS = ("../unit", "../system", "../interop", "../fuzz")
FIRST = {"2.2.1": 2}  # where the standard's numbers don't begin with 1
STATEMENTS = 251


def titles(paths, versions):
    return {versions.sub("", title) for path in paths for title, _, _ in parse_file(path)}


def read(name):
    """The text of a file of tests, by its name alone."""
    for folder in FOLDERS:
        path = os.path.join(HERE, folder, name)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                return f.read()
    return None


def is_there(name, known):
    found = re.match(r"(\w+\.(?:c|py)):(.*)$", name)
    if not found:
        return name in known
    text = read(found.group(1))
    return text is not None and found.group(2) in text


def wrong_with(row, known):
    number, said, tested = row
    if not said or not tested:
        yield "%s is empty" % number
    for name in re.findall(r"`([^`]+)`", tested):
        if not is_there(name, known):
            yield "%s names '%s', which isn't there" % (number, name)
    for path in re.findall(r"(?<!`)\.\./[\w/.]+\w", tested):
        if not os.path.exists(os.path.join(HERE, path)):
            yield "%s names %s, which isn't there" % (number, path)


def wrong_numbers(rows, statements):
    last = {}
    for number, _, _ in rows:
        section, n = number.rsplit("-", 1)
        if int(n) != last.get(section, FIRST.get(section, 1) - 1) + 1:
            yield "%s doesn't follow the one before" % number
        last[section] = int(n)
    if len(rows) != statements:
        yield "%d statements, the standard has %d" % (len(rows), statements)


def check(number, versions, statements):
    """number: as statements have it; versions: the end of a title; prints what is wrong, and ends."""
    with open(sys.argv[1], encoding="utf-8") as f:
        rows = re.findall(r"^\| (%s-\d+) \|\s*(.*?)\s*\|\s*(.*?)\s*\|$" % number, f.read(), re.M)
    known = titles(sys.argv[2:], versions)
    wrong = [line for row in rows for line in wrong_with(row, known)] + list(wrong_numbers(rows, statements))
    for line in wrong:
        print(line)
    print("%d statements, %d conversations, %d wrong" % (len(rows), len(known), len(wrong)))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    check(r"\d[\d.]*", mqtt.VERSIONS, STATEMENTS)
