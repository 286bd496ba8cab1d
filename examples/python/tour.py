"""The programs that people learn Python's `async with` from.

`examples/python_tour.rs` has the same in Rust, under the same names, and prints
the same, but for the last four, in which Rust differs on purpose. This needs
Python 3.11 and nothing else.
"""

import asyncio
import sqlite3
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path


class Named:
    """Prints that it is entered and exited, and how the body ended."""

    def __init__(self, name):
        self.name = name

    async def __aenter__(self):
        print(f"enter {self.name}")
        return self.name

    async def __aexit__(self, kind, error, traceback):
        match error:
            case None:
                ended = "completed"
            case asyncio.CancelledError():
                ended = "cut short"
            case _:
                ended = f"failed: {error}"
        print(f"exit {self.name}, {ended}")


class NotFound(Exception):
    def __str__(self):
        return "not found"


class Unreachable(Exception):
    def __str__(self):
        return "unreachable"


async def class_based_manager():
    class Greeter:
        def __init__(self, name):
            self.name = name

        async def __aenter__(self):
            print("the door opens")
            return f"hello {self.name}"

        async def __aexit__(self, kind, error, traceback):
            print("the door closes")

    async with Greeter("world") as greeting:
        print(greeting)


async def managed_resource():
    @asynccontextmanager
    async def managed(name):
        print(f"acquire {name}")
        try:
            yield f"the {name}"
        finally:
            print(f"release {name}")

    async def work(fails):
        async with managed("printer") as printer:
            print(f"use {printer}")
            if fails:
                raise NotFound
            print("used")

    await work(False)
    try:
        await work(True)
    except NotFound as error:
        print(f"caught: {error}")


async def execution_flow():
    class Steps:
        async def __aenter__(self):
            print("2 enter begins")
            await asyncio.sleep(0)
            print("3 enter ends")

        async def __aexit__(self, kind, error, traceback):
            print("6 exit begins")
            await asyncio.sleep(0)
            print("7 exit ends")

    print("1 before the block")
    async with Steps():
        print("4 the body begins")
        await asyncio.sleep(0)
        print("5 the body ends")
    print("8 after the block")


async def leaving_early():
    async def find(wanted):
        for name in ["a", "b", "c"]:
            async with Named(name):
                if name != wanted:
                    continue
                return f"found {name}"
        return "found nothing"

    print(await find("b"))

    attempts = 0
    while True:
        async with Named("attempt"):
            attempts += 1
            if attempts == 2:
                break
    print(f"{attempts} attempts")


class Database:
    async def __aenter__(self):
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        print("connected")
        return self.connection

    async def __aexit__(self, kind, error, traceback):
        self.connection.close()
        print("disconnected")


async def database_connection():
    async with Database() as connection:
        connection.execute("CREATE TABLE planet (name TEXT, moons INTEGER)")
        connection.execute("INSERT INTO planet VALUES ('Earth', 1), ('Mars', 2)")
        for name, moons in connection.execute("SELECT name, moons FROM planet"):
            print(f"{name}: {moons}")


async def several_managers():
    async with Named("a") as a, Named(f"{a}/b") as b, Named(f"{b}/c") as c:
        print(f"inside {c}")


async def enter_fails():
    class Broken:
        async def __aenter__(self):
            raise Unreachable

        async def __aexit__(self, kind, error, traceback):
            print("never printed")

    try:
        async with Named("a"), Broken(), Named("c"):
            print("never printed")
    except Unreachable as error:
        print(f"caught: {error}")


async def exception_handling():
    async def visit():
        async with Named("outer"):
            async with Named("inner"):
                print("it is raised in the body")
                raise NotFound
            print("never printed")

    try:
        await visit()
    except NotFound as error:
        print(f"caught: {error}")


class Ignore:
    """Swallows one kind of error."""

    def __init__(self, ignored):
        self.ignored = ignored

    async def __aenter__(self):
        return None

    async def __aexit__(self, kind, error, traceback):
        return isinstance(error, self.ignored)


async def suppression():
    async def visit(error):
        async with Named("outer"), Ignore(NotFound), Named("inner"):
            raise error
        print("after the block")

    await visit(NotFound())
    try:
        await visit(Unreachable())
    except Unreachable as error:
        print(f"caught: {error}")


@asynccontextmanager
async def at_most(patience):
    try:
        async with asyncio.timeout(patience):
            yield
    except TimeoutError:
        print("the time is up")
        raise


async def timeout():
    async def work():
        async with at_most(0.01), Named("inner"):
            await asyncio.sleep(3600)
        return "in time"

    async with Named("outer"):
        try:
            result = await work()
        except TimeoutError:
            result = "too late"
    print(result)


@asynccontextmanager
async def opened(path):
    file = open(path)
    print(f"open {path.name}")
    try:
        yield file
    finally:
        file.close()
        print(f"close {path.name}")


def written(directory, names):
    paths = [Path(directory, name) for name in names]
    for path in paths:
        path.write_text(f"{path.name} ")
    return paths


async def variable_number_of_files():
    async def read_all(paths):
        async with AsyncExitStack() as stack:
            files = [await stack.enter_async_context(opened(path)) for path in paths]
            return "".join(file.read() for file in files)

    with tempfile.TemporaryDirectory() as directory:
        paths = written(directory, ["one", "two", "three"])
        print(await read_all(paths) + "end")


async def all_or_nothing():
    async def open_all(paths):
        async with AsyncExitStack() as stack:
            for path in paths:
                await stack.enter_async_context(opened(path))
            return stack.pop_all()

    with tempfile.TemporaryDirectory() as directory:
        paths = written(directory, ["one", "two"])
        files = await open_all(paths)
        print("all are open")
        await files.aclose()

        paths.append(Path(directory, "three"))
        try:
            await open_all(paths)
        except OSError:
            print("there is no three")


async def callbacks():
    async def callback(number):
        print(f"callback {number}")

    async def told(kind, error, traceback):
        print("told: completed" if error is None else "told: failed")

    async with AsyncExitStack() as stack:
        for number in [1, 2]:
            stack.push_async_callback(callback, number)
        stack.push_async_exit(told)
        print("the body ends")


async def lock_and_semaphore():
    total = 0
    lock = asyncio.Lock()
    slots = asyncio.Semaphore(2)

    async def add(number):
        nonlocal total
        async with slots:
            print(f"{number} has a slot")
            async with lock:
                before = total
                await asyncio.sleep(0)
                total = before + number
                print(f"{number} makes it {total}")

    await asyncio.gather(add(1), add(2), add(3))
    print(f"the total is {total}")


@asynccontextmanager
async def begin(connection):
    connection.execute("BEGIN")
    print("begin")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        print("rollback")
        raise
    connection.execute("COMMIT")
    print("commit")


async def transaction():
    async def add(connection, moons, found):
        async with begin(connection) as open:
            open.execute("UPDATE planet SET moons = moons + ?", (moons,))
            if not found:
                raise NotFound

    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE planet (moons INTEGER)")
    connection.execute("INSERT INTO planet VALUES (82)")
    await add(connection, 64, True)
    try:
        await add(connection, 1000, False)
    except NotFound as error:
        print(f"caught: {error}")
    (moons,) = connection.execute("SELECT moons FROM planet").fetchone()
    print(f"{moons} moons")
    connection.close()


async def cache():
    class Cache:
        async def __aenter__(self):
            self.entries = {}
            return self.entries

        async def __aexit__(self, kind, error, traceback):
            print(f"forget {len(self.entries)} entries")
            self.entries.clear()

    async with Cache() as squares:
        for number in [12, 5, 12]:
            if number not in squares:
                print(f"compute {number}")
                squares[number] = number * number
            print(squares[number])


async def exit_fails_too():
    class ExitFails:
        async def __aenter__(self):
            return None

        async def __aexit__(self, kind, error, traceback):
            raise Unreachable

    try:
        async with ExitFails():
            raise NotFound
    except Unreachable as error:
        print(f"raised: {error}")
        print(f"in its context: {error.__context__}")


async def no_try():
    @asynccontextmanager
    async def managed():
        print("set up")
        yield
        print("clean up")

    async def work():
        async with managed():
            raise NotFound

    try:
        await work()
    except NotFound as error:
        print(f"caught: {error}")


async def failed_assertion():
    class IgnoreAll:
        async def __aenter__(self):
            return None

        async def __aexit__(self, kind, error, traceback):
            return True

    async with IgnoreAll():
        assert 1 + 1 == 3, "a bug"
    print("the bug goes unnoticed")


async def given_up():
    class Waits:
        async def __aenter__(self):
            print("enter a")

        async def __aexit__(self, kind, error, traceback):
            await asyncio.sleep(0)
            print("exited")

    async def work():
        async with Waits():
            await asyncio.sleep(3600)

    coroutine = work()
    coroutine.send(None)
    try:
        coroutine.close()
    except RuntimeError:
        print("not exited")


async def tour(*sections):
    for section in sections:
        print(f"-- {section.__name__}")
        await section()


async def main():
    await tour(
        class_based_manager,
        managed_resource,
        execution_flow,
        leaving_early,
        database_connection,
        several_managers,
        enter_fails,
        exception_handling,
        suppression,
        timeout,
        variable_number_of_files,
        all_or_nothing,
        callbacks,
        lock_and_semaphore,
        transaction,
        cache,
    )
    print("== where Rust differs")
    await tour(
        exit_fails_too,
        no_try,
        failed_assertion,
        given_up,
    )


asyncio.run(main())
