"""The tests' shared services: real servers and real processes, started on free ports and surely ended."""

pytest_plugins = [
    "tests.services.strictness",
    "tests.services.warden",
    "tests.services.processes",
    "tests.services.valkey",
    "tests.services.postgres",
    "tests.services.databases",
    "tests.services.sandbox",
]
