"""Runs the unittest cases of a module and reports them as TAP, which Meson and tests/check read: one line a test."""

import sys
import unittest


class TapResult(unittest.TestResult):
    """Prints each test as it ends; the reason of a failure goes to stderr."""

    def __init__(self):
        super().__init__()
        self.number = 0

    def report(self, test, good):
        self.number += 1
        name = test.id().split(".", 1)[-1]
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.report(test, True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        print(self.failures[-1][1], file=sys.stderr, flush=True)
        self.report(test, False)

    def addError(self, test, err):
        super().addError(test, err)
        print(self.errors[-1][1], file=sys.stderr, flush=True)
        self.report(test, False)

    def addSkip(self, test, reason):
        """A check whose prerequisite is missing fails (testing rule)."""
        super().addSkip(test, reason)
        print(f"skipped, which counts as failed: {reason}", file=sys.stderr, flush=True)
        self.report(test, False)


def main(module="__main__"):
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[module])
    print(f"1..{suite.countTestCases()}", flush=True)
    result = TapResult()
    suite.run(result)
    if result.number < suite.countTestCases():
        # A class or module that failed to set up takes its tests with it.
        print(f"Bail out! {suite.countTestCases() - result.number} tests did not run", flush=True)
    sys.exit(0 if result.wasSuccessful() and not result.skipped and result.testsRun else 1)
