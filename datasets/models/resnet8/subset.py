#!/usr/bin/env python3
"""Takes the images of a list out of a CIFAR-10 binary, such as the 200 of MLPerf Tiny's image classification benchmark.

    subset.py cifar10_test.bin names.csv ic01.csv --out ic01.bin

names.csv has one line a record of the binary, its image's name first (CIFAR-10's Python version calls them `filenames`);
the list has one line an image: name, classes, label. A label that is not the record's is an error.
"""

import argparse
import csv
import pathlib
import sys

RECORD = 1 + 3 * 32 * 32


def stem(name: str) -> str:
    return name.rsplit(".", 1)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("names", type=pathlib.Path)
    parser.add_argument("list", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()

    data = arguments.binary.read_bytes()
    names = [stem(line[0]) for line in csv.reader(arguments.names.open()) if line]
    if len(data) != len(names) * RECORD:
        sys.exit(f"expected {len(names)} records of {RECORD} bytes in {arguments.binary}, found {len(data)} bytes")
    place = {name: index for index, name in enumerate(names)}
    records = []
    for name, _, label in csv.reader(arguments.list.open()):
        index = place.get(stem(name))
        if index is None:
            sys.exit(f"{arguments.list}: {name} is not among the names in {arguments.names}")
        record = data[index * RECORD : (index + 1) * RECORD]
        if record[0] != int(label):
            sys.exit(f"{arguments.list}: {name} has label {label}, the record says {record[0]}")
        records.append(record)
    arguments.out.write_bytes(b"".join(records))
    print(f"{len(records)} images: {arguments.out}")


if __name__ == "__main__":
    main()
