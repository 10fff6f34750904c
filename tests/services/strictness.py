"""`--fail-on-skip`: a test that did not run is not a test that passed."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--fail-on-skip", action="store_true", help="End with an error if a test was skipped.")


def pytest_configure(config: pytest.Config) -> None:
    """Count in the process that collects the results, where pytest-xdist has several."""
    if config.getoption("fail_on_skip") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_SkippedTests())


class _SkippedTests:
    def __init__(self) -> None:
        self._skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._skipped.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for nodeid in self._skipped:
            terminalreporter.write_line(f"SKIPPED, which --fail-on-skip forbids: {nodeid}", red=True)
