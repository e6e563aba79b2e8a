"""The exchange of two databases among clients who keep coming: once, with all that belongs to the live one."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from fabfile.errors import DatabaseError
from tests.contract.database_server import Server

pytestmark = pytest.mark.lab


def adorn(server: Server) -> None:
    """Give the live database one of everything that stays with a database when its content is replaced."""
    name = server.name
    server.ask("postgres", "ALTER DATABASE {name} CONNECTION LIMIT 40", name=name)
    server.ask("postgres", """ALTER DATABASE {name} SET search_path TO "$user", 'odd, "path"', public""", name=name)
    server.ask("postgres", "ALTER DATABASE {name} SET app.motto TO 'it''s, \"so\"'", name=name)
    server.ask("postgres", "ALTER DATABASE {name} SET work_mem TO '7MB'", name=name)
    server.ask("postgres", "ALTER ROLE app IN DATABASE {name} SET statement_timeout TO '5s'", name=name)
    server.ask("postgres", "REVOKE ALL ON DATABASE {name} FROM PUBLIC", name=name)
    server.ask("postgres", "GRANT CONNECT ON DATABASE {name} TO pg_monitor WITH GRANT OPTION", name=name)
    server.ask("postgres", "COMMENT ON DATABASE {name} IS 'it''s the shop'", name=name)


def test_carrying_over_twice_gives_the_new_database_all_that_the_old_one_had_and_no_more(server: Server) -> None:
    adorn(server)
    server.database.create_beside(server.new, server.name)
    server.ask("postgres", "ALTER DATABASE {new} SET work_mem TO '9MB'", new=server.new)
    server.ask("postgres", "ALTER DATABASE {new} SET temp_buffers TO '9MB'", new=server.new)
    server.ask("postgres", "GRANT CREATE ON DATABASE {new} TO pg_monitor", new=server.new)
    for _ in range(2):
        server.database.carry_over(server.name, server.new)
        assert server.properties(server.new) == server.properties(server.name)
    assert server.ask(server.new, "SHOW search_path") == [('"$user", "odd, ""path""", public',)]


class Crowd:
    """Clients that connect, read which database they are in and leave, over and over."""

    def __init__(self, server: Server, clients: int) -> None:
        self.answers: list[str] = []
        self.surprises: list[Exception] = []
        self._server, self._stop = server, threading.Event()
        self._threads = [threading.Thread(target=self._come_and_go) for _ in range(clients)]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self) -> list[str]:
        """The next twenty answers."""
        before, deadline = len(self.answers), time.monotonic() + 20
        while len(self.answers) < before + 20:
            assert time.monotonic() < deadline, "no client gets an answer any more"
            time.sleep(0.01)
        return self.answers[before:]

    def _come_and_go(self) -> None:
        while not self._stop.is_set():
            try:
                with self._server.connect(self._server.name) as connection:
                    for _ in range(3):
                        (answer,) = connection.execute("SELECT label FROM which").fetchone() or ("",)
                        self.answers.append(answer)
            except psycopg.OperationalError:
                continue  # thrown out, or not let in: what a swap does to clients
            except Exception as error:
                self.surprises.append(error)


@pytest.fixture
def swappable(server: Server) -> Server:
    """A live database that says `old`, and a new one that says `new`."""
    adorn(server)
    server.database.create_beside(server.new, server.name)
    for name, label in ((server.name, "old"), (server.new, "new")):
        server.ask(name, "CREATE TABLE public.which (label text)")
        server.ask(name, "INSERT INTO public.which VALUES (%s)", label)
    server.database.carry_over(server.name, server.new)
    return server


def label(server: Server, name: str) -> str:
    return str(server.ask(name, "SELECT label FROM public.which")[0][0])


def doors(server: Server) -> dict[str, bool]:
    found = server.ask(
        "postgres", "SELECT datname, datallowconn FROM pg_database WHERE starts_with(datname, %s)", server.name
    )
    return dict(found)


def test_a_swap_among_eight_clients_gives_them_the_new_database_with_the_old_settings(swappable: Server) -> None:
    server = swappable
    wanted = server.properties(server.name)
    with Crowd(server, 8) as crowd:
        server.database.swap(server.name, server.new, server.kept)
        assert set(crowd.wait_for_more()[8:]) == {"new"}
    assert crowd.surprises == []
    assert doors(server) == {server.name: True, server.kept: False}
    assert server.properties(server.name) == server.properties(server.kept) == wanted


def test_a_client_that_keeps_coming_back_is_kept_out_for_a_moment(
    swappable: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server, silences = swappable, []
    stop = threading.Event()

    def come_back() -> None:
        heard = time.monotonic()
        while not stop.is_set():
            try:
                with server.connect(server.name) as connection:
                    connection.execute("SELECT 1")
            except psycopg.OperationalError:
                continue
            silences.append((time.monotonic() - heard, heard))
            heard = time.monotonic()

    client = threading.Thread(target=come_back)
    client.start()
    time.sleep(1)
    before = time.monotonic()
    server.database.swap(server.name, server.new, server.kept)
    took = time.monotonic() - before
    time.sleep(1)
    stop.set()
    client.join()
    calm = max(silence for silence, since in silences if since + silence < before)
    out = max(silence for silence, since in silences if since + silence > before)
    with capsys.disabled():
        print(
            f"\na swap took {took:.3f} s; a client that keeps coming back was out for {out:.3f} s ({calm:.3f} without)"
        )
    assert out < 5
    assert label(server, server.name) == "new"


def test_a_swap_done_twice_is_done_once_and_opens_the_live_database(swappable: Server) -> None:
    server = swappable
    server.database.swap(server.name, server.new, server.kept)
    server.ask("postgres", "ALTER DATABASE {name} ALLOW_CONNECTIONS false", name=server.name)
    server.database.swap(server.name, server.new, server.kept)
    assert label(server, server.name) == "new"
    assert doors(server) == {server.name: True, server.kept: False}


def test_swapping_back_gives_back_exactly_what_was(swappable: Server) -> None:
    server = swappable
    oid = server.ask("postgres", "SELECT oid FROM pg_database WHERE datname = %s", server.name)
    before = server.properties(server.name)
    server.database.swap(server.name, server.new, server.kept)
    server.database.swap(server.name, server.kept, server.new)
    assert server.ask("postgres", "SELECT oid FROM pg_database WHERE datname = %s", server.name) == oid
    assert server.properties(server.name) == before
    assert label(server, server.name) == "old"
    assert doors(server) == {server.name: True, server.new: False}


def test_a_swap_that_the_server_refuses_leaves_both_as_they_were_and_open(swappable: Server) -> None:
    server = swappable
    impossible = ""
    with pytest.raises(DatabaseError, match="zero-length"):
        server.database.swap(server.name, server.new, impossible)
    assert doors(server) == {server.name: True, server.new: True}
    assert (label(server, server.name), label(server, server.new)) == ("old", "new")


@pytest.mark.parametrize("missing", ["name", "new"])
def test_a_swap_without_both_databases_is_refused_and_closes_nothing(server: Server, missing: str) -> None:
    there = server.name if missing == "new" else server.new
    if missing == "name":
        server.ask("postgres", "ALTER DATABASE {name} RENAME TO {new}", name=server.name, new=server.new)
    with pytest.raises(DatabaseError, match="does not exist"):
        server.database.swap(server.name, server.new, server.kept)
    assert doors(server) == {there: True}


def test_a_swap_never_takes_a_name_that_is_in_use(swappable: Server) -> None:
    server = swappable
    server.database.create_beside(server.kept, server.name)
    with pytest.raises(DatabaseError, match=f"{server.kept} exists already"):
        server.database.swap(server.name, server.new, server.kept)
    assert doors(server) == {server.name: True, server.new: True, server.kept: True}
    assert label(server, server.name) == "old"
