"""The tests' own services: what every other test stands on."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest
import sqlalchemy

from tests.services.ports import free_port, is_listening
from tests.services.postgres import PostgresServer
from tests.services.processes import Processes
from tests.services.valkey import ValkeyDatabases, ValkeyServer
from tests.services.waiting import eventually
from tests.services.warden import Warden


def test_a_test_gets_two_empty_databases_that_keep_what_was_accepted(valkey: ValkeyDatabases) -> None:
    with valkey.client() as queue, valkey.cache_client() as cache:
        assert (queue.dbsize(), cache.dbsize()) == (0, 0)
        queue.set("left", "behind")
        assert cache.dbsize() == 0
        assert queue.config_get("append*")["appendfsync"] == "always"
        assert queue.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_the_next_test_meets_nothing_of_the_last_one(valkey: ValkeyDatabases) -> None:
    with valkey.client() as queue:
        assert queue.get("left") is None


def test_a_killed_valkey_comes_back_on_its_port_with_what_it_had_stored(own_valkey: ValkeyServer) -> None:
    with own_valkey.client() as client:
        client.set("accepted", "1")
    own_valkey.kill()
    assert not is_listening(own_valkey.port)
    own_valkey.start()
    with own_valkey.client() as client:
        assert client.get("accepted") == b"1"


def test_every_test_of_the_ledger_runs_on_both_kinds_of_database(database_url: str) -> None:
    engine = sqlalchemy.create_engine(database_url)
    with engine.begin() as connection:
        assert connection.execute(sqlalchemy.text("SELECT 1")).scalar_one() == 1
        assert sqlalchemy.inspect(connection).get_table_names() == []
        connection.execute(sqlalchemy.text("CREATE TABLE left_behind (id INTEGER)"))
    engine.dispose()


def test_a_killed_postgres_comes_back_with_what_was_committed(own_postgres: PostgresServer) -> None:
    url = own_postgres.create_database("durable").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (id integer)")
        connection.execute("INSERT INTO kept VALUES (1)")
    own_postgres.restart()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [(1,)]


def test_postgres_opens_no_folder_and_makes_no_user(warden: Warden) -> None:
    above = [Path.home(), *Path(sys.prefix).parents, *Path(tempfile.gettempdir()).parents]
    before = [folder.stat().st_mode for folder in above], Path("/etc/passwd").read_bytes()
    server = PostgresServer(warden).start()
    server.remove()
    assert ([folder.stat().st_mode for folder in above], Path("/etc/passwd").read_bytes()) == before


def test_the_process_starter_keeps_output_and_ends_grandchildren(tmp_path: Path, warden: Warden) -> None:
    started = Processes(tmp_path, warden)
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)\n"
        "print('child', child.pid)\n"
        "time.sleep(600)\n"
    )
    parent = started.start(sys.executable, "-c", program)
    child = psutil.Process(int(parent.wait_for_output("child").split()[1]))
    started.end()
    assert not parent.is_running
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("skipping", ["def test_it(): pytest.skip()", "pytest.skip(allow_module_level=True)"])
def test_a_skipped_test_fails_a_run_that_forbids_it(tmp_path: Path, skipping: str) -> None:
    (tmp_path / "test_skipped.py").write_text(f"import pytest\n{skipping}\n")
    (tmp_path / "test_passed.py").write_text("def test_it(): pass\n")
    plugins = ("-p", "no:cacheprovider", "-p", "tests.services.strictness")
    command = (sys.executable, "-m", "pytest", *plugins, f"--rootdir={tmp_path}", str(tmp_path))
    allowed, forbidden = (
        subprocess.run([*command, *more], cwd=Path(__file__).parents[2], capture_output=True, check=False)
        for more in ([], ["--fail-on-skip"])
    )
    assert allowed.returncode == pytest.ExitCode.OK
    assert forbidden.returncode == pytest.ExitCode.TESTS_FAILED
    assert b"which --fail-on-skip forbids" in forbidden.stdout


def test_a_grandchild_that_has_lost_its_mark_is_ended_too(tmp_path: Path, warden: Warden) -> None:
    """As the demo's Valkey is, when a demo is killed: in a group of its own, its environment overwritten."""
    started = Processes(tmp_path, warden)
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " env={}, process_group=0)\n"
        "print('child', child.pid)\n"
        "time.sleep(600)\n"
    )
    parent = started.start(sys.executable, "-c", program)
    child = psutil.Process(int(parent.wait_for_output("child").split()[1]))
    started.end()
    try:
        eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    finally:
        child.kill()


def test_only_the_given_environment_reaches_a_process(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERSIGN_CLIENT_SECRET", "of-the-person-who-runs-the-tests")
    shown = processes.start("/usr/bin/env", environment={"COUNTERSIGN_X": "1"})
    assert shown.wait() == 0
    assert "COUNTERSIGN_X=1" in shown.stdout
    assert "COUNTERSIGN_CLIENT_SECRET" not in shown.stdout


def test_a_killed_test_run_leaves_no_process_and_no_folder_behind(tmp_path: Path) -> None:
    program = (
        "import pathlib, signal, sys, time\n"
        "from tests.services.postgres import PostgresServer\n"
        "from tests.services.valkey import ValkeyServer\n"
        "from tests.services.warden import Warden\n"
        "warden = Warden()\n"
        "postgres = PostgresServer(warden).start()\n"
        "valkey = ValkeyServer(pathlib.Path(sys.argv[1]), warden).start()\n"
        "print(postgres._folder, postgres._process.pid, valkey._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    assert run.stdout is not None
    folder, *pids = run.stdout.readline().split()
    run.stdout.close()
    assert Path(folder).is_dir()
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    eventually(lambda: not Path(folder).exists(), 20)
    eventually(lambda: not any(_lives(int(pid)) for pid in pids), 20)


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_the_temporary_files_of_a_killed_process_go_with_the_run(
    processes: Processes, warden: Warden
) -> None:
    program = "import signal, tempfile; print('made', tempfile.mkdtemp(), flush=True); signal.pause()"
    killed = processes.start(sys.executable, "-c", program)
    made = Path(killed.wait_for_output("made").split()[1])
    assert made.parent == warden.temporary


def test_free_ports_are_never_given_twice() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == len(ports)


def test_waiting_says_what_it_waited_for_and_the_last_answer() -> None:
    with pytest.raises(AssertionError, match=r"the bell: not within 0\.01 s; the last answer was 0"):
        eventually(lambda: 0, 0.01, "the bell")
