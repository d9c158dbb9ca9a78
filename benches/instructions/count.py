"""Counts the instructions that the gateway executes for each request, and compares them with baseline.json.

    make bench-instructions             exits with 1 if a case needs over 3 % more than the baseline
    UPDATE=1 make bench-instructions    writes the counts into baseline.json

GATEWAY_BINARY names the binary to count, by default target/release/logout-gateway. CONTRIBUTING.md says how to read the result.
It is a Python script because Debian's python3 has all that it needs: a Rust client would have to be built first.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cases
from servers import Gateway, Mock

ROOT = Path(__file__).resolve().parents[2]
BASELINE = Path(__file__).with_name("baseline.json")
OUTPUT = ROOT / "target" / "bench-instructions"
ALLOWED_PERCENT = 3


def main():
    binary = Path(os.environ.get("GATEWAY_BINARY") or ROOT / "target/release/logout-gateway").resolve()
    check_machine()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    with Mock(binary, OUTPUT) as mock, Gateway(binary, OUTPUT, mock) as gateway:
        counts = cases.count_all(gateway, mock, OUTPUT)
    made_with = tools(binary)
    if os.environ.get("UPDATE"):
        BASELINE.write_text(json.dumps({"made_with": made_with, "instructions": counts}, indent=2) + "\n")
    baseline = json.loads(BASELINE.read_text())
    for name, version in made_with.items():
        if (before := baseline["made_with"].get(name)) != version:
            print(f"{name}: this is {version}, and the baseline was counted with {before}: that alone changes the counts")
    sys.exit(compare(counts, baseline["instructions"]))


def check_machine():
    """The virtual processor of valgrind has AVX2 if the machine has it, and libraries then execute other code."""
    if platform.machine() != "x86_64" or not re.search(r"\bavx2\b", Path("/proc/cpuinfo").read_text()):
        raise SystemExit("the baseline holds for x86_64 processors with AVX2, and this machine has none")


def tools(binary):
    """The versions of what decides on the counts besides the source. Compilers write theirs into the binary."""
    content = binary.read_bytes()

    def versions(pattern):
        return ", ".join(sorted({found.decode() for found in re.findall(pattern, content)}))

    valgrind = subprocess.run(["valgrind", "--version"], check=True, capture_output=True, text=True)
    return {
        "rustc": versions(rb"rustc version (\d[^\0 )]*)"),
        "gcc": versions(rb"\0GCC: ([^\0]+)"),
        "glibc": os.confstr("CS_GNU_LIBC_VERSION").removeprefix("glibc "),
        "valgrind": valgrind.stdout.strip().removeprefix("valgrind-"),
    }


def compare(counts, baseline):
    """Prints the table. Returns the exit status."""
    print(f"{'instructions of one request':27} {'counted':>9} {'baseline':>9} {'difference':>10}")
    differences = {}
    for name, count in counts.items():
        if name in baseline:
            differences[name] = (count / baseline[name] - 1) * 100
            print(f"{name:27} {count:9} {baseline[name]:9} {differences[name]:+8.2f} %")
        else:
            print(f"{name:27} {count:9} {'none':>9}")
    renew = "UPDATE=1 make bench-instructions"
    if baseline.keys() != counts.keys() or min(differences.values()) < -ALLOWED_PERCENT:
        print(f"The baseline should be renewed, so that it also shows later rises: {renew}")
    more = [name for name, difference in differences.items() if difference > ALLOWED_PERCENT]
    if more:
        print(f"Over {ALLOWED_PERCENT} % more than the baseline: {', '.join(more)}. If that is meant: {renew}")
    return 1 if more else 0


if __name__ == "__main__":
    main()
