"""Runs tests, whatever fails, and prints the totals: 'N passed, N failed, N skipped' alone on the last line.

    tests/run.py [--python PYTHON] [--preload LIBRARY] test…

A test is a C program, which cmocka reports for, or a Python file, which PYTHON runs by pytest; both do it as JUnit has
it. As many run at a time as there are processors, the longest first, so that none is left to run alone at the end.
A program that crashes, hangs, is stopped by a sanitizer or was not built has failed, even where all its tests passed.

LIBRARY is put in front of Python, which no sanitizer is built into. From the environment: TIME_LIMIT, seconds for each
test (900), which only one that hangs should reach, on however busy a machine.
"""
import argparse
import collections
import concurrent.futures
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

TIME_LIMIT = float(os.environ.get("TIME_LIMIT") or 900)

# Those that take longest, by seconds measured on two cores; the others follow: faults, SQL, and what is short.
LONGEST = """
asan/tests/fault/test_damage tests/fault/test_disk asan/tests/unit/test_als asan/tests/unit/test_top_k
tests/fault/test_damage asan/tests/fault/test_disk tests/fault/test_interrupt asan/tests/unit/test_word2vec
asan/tests/unit/test_ease tests/fault/test_memory_links asan/tests/fault/test_damage_links
asan/tests/fault/test_damage_content asan/tests/unit/test_svd asan/tests/unit/test_neighbors asan/tests/unit/test_postings
""".split()

Result = collections.namedtuple("Result", "test passed failed skipped seconds words")


def command_of(test, report, options):
    """What runs a test, and the variables that it needs."""
    if test.endswith(".py"):
        command = [options.python, "-B", "-m", "pytest", "--quiet", "--junit-xml=" + report, test]
        # NumPy brings a BLAS of its own, whose threads would compete with ours, and which ThreadSanitizer knows nothing of.
        more = {"OPENBLAS_NUM_THREADS": "1"}
        if options.preload:
            more.update(LD_PRELOAD=options.preload, ASAN_OPTIONS="detect_leaks=0")
            command[4:4] = ["-p", "no:faulthandler"]
        return command, more
    # cmocka would handle the signals of a crash, of which a sanitizer says more.
    return [os.path.abspath(test)], {"CMOCKA_MESSAGE_OUTPUT": "XML", "CMOCKA_XML_FILE": report,
                                     "ASAN_OPTIONS": "handle_segv=2:handle_sigbus=2:handle_sigfpe=2:handle_sigill=2"}


def outcomes(report):
    """How many tests of a report passed, failed and were skipped, and what it says of those that failed."""
    passed, failed, skipped, words = 0, 0, 0, []
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        wrong = [child for child in case if child.tag in ("failure", "error")]
        if wrong:
            failed += 1
            words += ["%s: %s" % (case.get("name"), (child.text or "").strip()) for child in wrong]
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped, words


def run(test, options):
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report, log = os.path.join(folder, "report.xml"), os.path.join(folder, "log")
        command, more = command_of(test, report, options)
        with open(log, "wb") as output:
            try:
                code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=TIME_LIMIT,
                                      env={**os.environ, **more}).returncode
            except subprocess.TimeoutExpired:
                code = "the time limit of %g s" % TIME_LIMIT
            except OSError as error:
                code = error.strerror
        try:
            passed, failed, skipped, words = outcomes(report)
        except (OSError, xml.etree.ElementTree.ParseError):
            passed, failed, skipped, words = 0, 0, 0, ["it left no report"]
        if code != 0 and failed == 0 or passed + failed + skipped == 0:
            failed, words = 1, words + ["it ended with %s" % code]
        if failed:
            with open(log, encoding="utf-8", errors="replace") as output:
                said = output.read().splitlines()[-100:]
            words = said if test.endswith(".py") and len(said) > 1 else said + words  # pytest has said it
    return Result(test, passed, failed, skipped, time.monotonic() - begun, words)


def longest_first(tests):
    def place(test):
        names = [name for name in LONGEST if test.endswith("/" + name)]
        if names:
            return LONGEST.index(max(names, key=len))  # one that begins with asan/ has another without it
        return len(LONGEST) + (0 if "/fault/" in test else 1 if test.endswith(".py") else 2)

    return sorted(tests, key=place)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--preload")
    parser.add_argument("tests", nargs="+")
    options = parser.parse_args()
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in concurrent.futures.as_completed(pool.submit(run, test, options) for test in longest_first(options.tests)):
            result = done.result()
            if result.failed:
                print("\n".join(result.words))
            print("%-44s %6.1f s %5d passed %4d failed %4d skipped" %
                  (result.test, result.seconds, result.passed, result.failed, result.skipped), flush=True)
            passed, failed, skipped = passed + result.passed, failed + result.failed, skipped + result.skipped
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
