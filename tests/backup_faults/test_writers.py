"""Clients who write all the time and come back at once when they are thrown out: no row of theirs is lost."""

from __future__ import annotations

import itertools
import threading
from types import TracebackType

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.backup_faults.conftest import Bench
from tests.e2e.stored import everywhere, sql

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

WRITERS = 4


class Writers:
    """Write numbers into the table `written` until `with` ends; `told` are those whose commit PostgreSQL confirmed."""

    def __init__(self, address: str, password: str) -> None:
        self.told: set[int] = set()
        self.thrown_out = 0
        self._place = make_conninfo(host=address, dbname="app", user="turnout", password=password, connect_timeout=2)
        self._stop, self._numbers = threading.Event(), itertools.count(1)
        self._threads = [threading.Thread(target=self._write) for _ in range(WRITERS)]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._place, autocommit=True) as connection:
                    while not self._stop.wait(0.005):
                        number = next(self._numbers)
                        connection.execute("insert into written values (%s)", [number])
                        self.told.add(number)
            except psycopg.Error:
                self.thrown_out += 1
                self._stop.wait(0.01)


@pytest.mark.parametrize("turn", range(1, 6))
def test_a_restore_and_its_undo_keep_every_row_that_was_written_meanwhile(bench: Bench, turn: int) -> None:
    project = bench.project
    sql(project, "create table written (number bigint primary key); alter table written owner to app")
    try:
        saved = project.inv("backup.create-db", "--json").document["number"]
        with Writers(project.lab.address("db"), project.lab.environment["TURNOUT_DB_PASSWORD"]) as writers:
            project.inv("rollback", f"--backup={saved}", "--db-only", "--yes")
            project.inv("rollback", "--undo", "--yes")
        assert len(writers.told) > 100
        assert writers.thrown_out >= 2 * WRITERS  # at each of both exchanges
        bench.count(lost=len(writers.told - set(map(int, everywhere(project, "select number from written")))))
    finally:
        project.inv("backup.drop-old", "--yes")
        sql(project, "drop table written")
