"""Runs the tests of one file: as unittest does, but with the time each took, and a skip that meson understands."""
import signal
import sys
import time
import unittest

MESON_SKIP = 77


class Result(unittest.TextTestResult):
    from_s = time.monotonic()  # of what is skipped before its first test

    def startTest(self, test):
        self.from_s = time.monotonic()
        unittest.TestResult.startTest(self, test)

    def _say(self, test, how):
        name = test.id().split(".", 1)[-1]
        self.stream.writeln("%-60s %s (%.1f s)" % (name, how, time.monotonic() - self.from_s))
        self.stream.flush()

    def addSuccess(self, test):
        unittest.TestResult.addSuccess(self, test)
        self._say(test, "passed")

    def addError(self, test, error):
        unittest.TestResult.addError(self, test, error)
        self._say(test, "FAILED")

    def addFailure(self, test, error):
        unittest.TestResult.addFailure(self, test, error)
        self._say(test, "FAILED")

    def addSkip(self, test, reason):
        unittest.TestResult.addSkip(self, test, reason)
        self._say(test, "skipped: " + reason)


def main():
    # Meson ends a test that takes too long by SIGTERM: then brokers and directories are to be cleaned up too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    program = unittest.main(module="__main__", exit=False, verbosity=0,
                            testRunner=unittest.TextTestRunner(resultclass=Result, stream=sys.stdout))
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.skipped and len(result.skipped) >= result.testsRun:
        sys.exit(MESON_SKIP)
    sys.exit(0)
