"""What Python does in the scenarios of CPython's own tests of `async with`.

Each function has the name of a test of CPython's, and does what that test is
about, in words of its own: it writes a log of events. The tests of the same
names in `tests/it/peers/` compare their logs with these. This prints all of
them as one JSON object, and needs Python 3.11 and nothing else.
"""

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager

EVENTS = []


def log(event):
    EVENTS.append(str(event))


class Boom(Exception):
    """An error with a name."""


class Other(Boom):
    """An error of another type."""


class Witness:
    """Writes down what it is told."""

    def __init__(self, name, enter=None, exit=None, suppress=False):
        self.name, self.enter, self.exit = name, enter, exit
        self.suppress = suppress

    async def __aenter__(self):
        log(f"enter {self.name}")
        if self.enter:
            raise Boom(self.enter)
        return self.name

    async def __aexit__(self, kind, error, traceback):
        told = "completed" if error is None else error
        log(f"exit {self.name}: {told}")
        if self.exit:
            raise Boom(self.exit)
        return self.suppress


def raises(name):
    """An exit that fails with an error of this name."""

    async def exit(*_):
        log(f"raise {name}")
        raise Boom(name)

    return exit


class Raises:
    """Fails in exit."""

    def __init__(self, name):
        self.name = name

    async def __aenter__(self):
        pass

    async def __aexit__(self, *_):
        log(f"raise {self.name}")
        raise Boom(self.name)


async def suppresses(kind, error, traceback):
    """An exit that suppresses."""
    log("suppress" if error else "nothing to suppress")
    return True


def tells(name):
    """An exit that writes down what it is told."""

    async def exit(kind, error, traceback):
        log(f"{name}: {'completed' if error is None else error}")

    return exit


def happened(error):
    """The error with all in its context, in the order in which they happened."""
    names = []
    while error:
        names.append(str(error))
        error = error.__context__
    log("happened: " + " ".join(reversed(names)))


async def outcome(future):
    """Awaits, and writes down what is raised."""
    try:
        await future
    except Boom as error:
        log(f"raised {error}")


@asynccontextmanager
async def around(before, resource, after):
    log(before)
    try:
        yield resource
    finally:
        log(after)


# test_contextlib_async.py ----------------------------------------------------


async def test_async_gen_propagates_generator_exit():
    async def numbers():
        async with around("enter", None, "exit"):
            yield 11
            yield 12

    stream = numbers()
    async for number in stream:
        log(number)
        break
    await stream.aclose()
    log("closed")


async def test_contextmanager_plain():
    async with around(1, 42, 999) as value:
        log(value)


async def test_contextmanager_finally():
    async def run():
        async with around(1, 42, 999) as value:
            log(value)
            raise Boom("ZeroDivision")

    await outcome(run())


async def test_contextmanager_traceback():
    @asynccontextmanager
    async def nothing():
        yield

    for error in Boom("Runtime"), StopIteration(), StopAsyncIteration():
        try:
            async with nothing():
                raise error
        except Exception as raised:
            log(f"the same: {raised is error}".lower())


async def test_contextmanager_no_reraise():
    @asynccontextmanager
    async def whole():
        log("enter")
        yield

    manager = whole()
    await manager.__aenter__()
    suppressed = await manager.__aexit__(Boom, Boom("Type"), None)
    log(f"suppressed: {bool(suppressed)}".lower())


async def test_contextmanager_non_normalised():
    @asynccontextmanager
    async def translates():
        try:
            yield
        except Boom:
            raise Other("Syntax")

    manager = translates()
    await manager.__aenter__()
    await outcome(manager.__aexit__(Boom, None, None))


async def test_contextmanager_except():
    @asynccontextmanager
    async def catches():
        log(1)
        try:
            yield 42
        except Boom as error:
            log(error.args[0])

    async with catches() as value:
        log(value)
        raise Boom("999")
    log("after")


async def test_contextmanager_except_stopiter():
    @asynccontextmanager
    async def nothing():
        yield

    for error in StopIteration("one"), StopAsyncIteration("two"):
        try:
            async with nothing():
                raise error
            log("suppressed")
        except Exception:
            log("raised")


async def test_contextmanager_wrap_runtimeerror():
    @asynccontextmanager
    async def wraps():
        try:
            yield
        except Boom:
            raise Boom("Caught")

    try:
        async with wraps():
            raise Boom("ZeroDivision")
    except Boom as error:
        happened(error)


async def test_keywords():
    @asynccontextmanager
    async def woohoo(self, func, args, kwds):
        yield self, func, args, kwds

    async with woohoo(self=11, func=22, args=33, kwds=44) as target:
        log(target)


async def test_recursive():
    depth = 0

    @asynccontextmanager
    async def deeper():
        nonlocal depth
        before = depth
        depth += 1
        log(f"down to {depth}")
        yield
        depth -= 1
        log(f"up to {depth}, was {before}")

    @deeper()
    async def recursive():
        if depth < 10:
            await recursive()

    await recursive()


async def test_decorator():
    @around("enter", None, "exit")
    async def decorated():
        log("body")

    log("before")
    await decorated()
    log("after")
    await decorated()


async def test_decorator_with_exception():
    @around("enter", None, "exit")
    async def decorated():
        log("body")
        raise Boom("foo")

    await outcome(decorated())


async def test_decorating_method():
    class Holder:
        @around("enter", None, "exit")
        async def method(self, a, b, c=None):
            self.held = f"{a} {b} {c}"

    for arguments in ("1", "2"), ("a", "b", "c"):
        holder = Holder()
        await holder.method(*arguments)
        log(holder.held)


async def test_async_callback():
    async def exit(*arguments):
        log(list(arguments))

    async with AsyncExitStack() as stack:
        for arguments in [], [1], [1, 2]:
            stack.push_async_callback(exit, *arguments)


async def test_async_push():
    async with AsyncExitStack() as stack:
        stack.push_async_exit(tells("outermost"))
        stack.push_async_exit(Witness("outer"))
        stack.push_async_exit(suppresses)
        stack.push_async_exit(Witness("inner"))
        stack.push_async_exit(tells("inmost"))
        raise Boom("ZeroDivision")
    log("after")


async def test_enter_async_context():
    async with AsyncExitStack() as stack:
        @stack.push_async_callback
        async def callback():
            log("callback")

        await stack.enter_async_context(Witness("a"))
        log("body")


async def chained(exits):
    async with AsyncExitStack() as stack:
        for exit in exits:
            stack.push_async_exit(exit)
        raise Boom("ZeroDivision")


async def test_async_exit_exception_chaining():
    inner = None

    async def keeps(kind, error, traceback):
        nonlocal inner
        inner = error
        log("suppress")
        return True

    exits = [raises("Index"), raises("Key"), raises("Attribute")]
    try:
        await chained([*exits, keeps, raises("Value")])
    except Boom as error:
        happened(inner)
        happened(error)


async def test_async_exit_exception_explicit_none_context():
    @asynccontextmanager
    async def replaces():
        try:
            yield
        except Boom:
            error = Boom("My")
            try:
                raise error
            finally:
                error.__context__ = None

    @asynccontextmanager
    async def through_a_stack():
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(replaces())
            yield

    for manager in replaces, through_a_stack:
        try:
            async with manager():
                raise Boom("Index")
        except Boom as error:
            happened(error)


# test_contextlib.py, TestBaseExitStack ---------------------------------------


async def test_no_resources():
    async with AsyncExitStack():
        log("body")


async def test_callback():
    async with AsyncExitStack() as stack:
        for arguments in [], [1], [1, 2]:
            stack.callback(lambda *args: log(list(args)), *arguments)


async def test_push():
    def told(name):
        def exit(kind, error, traceback):
            log(f"{name}: {'completed' if error is None else error}")

        return exit

    async with AsyncExitStack() as stack:
        stack.push(told("outer"))
        stack.push(lambda *_: True)
        stack.push(told("inner"))
        stack.push(told("inmost"))
        raise Boom("ZeroDivision")
    log("after")


async def test_enter_context():
    class Guard:
        def __enter__(self):
            log("enter guard")

        def __exit__(self, *_):
            log("exit guard")

    async with AsyncExitStack() as stack:
        stack.callback(log, "callback")
        stack.enter_context(Guard())
        log("body")


async def test_close():
    async with AsyncExitStack() as stack:
        stack.callback(log, "callback")
        await stack.aclose()
        log("body")


async def test_pop_all():
    async with AsyncExitStack() as stack:
        stack.callback(log, "callback")
        moved = stack.pop_all()
        log("body")
    log("after")
    await moved.aclose()


async def test_exit_raise():
    async def run():
        async with AsyncExitStack() as stack:
            stack.push(lambda *_: False)
            raise Boom("ZeroDivision")

    await outcome(run())


async def test_exit_suppress():
    async with AsyncExitStack() as stack:
        stack.push(lambda *_: True)
        raise Boom("ZeroDivision")
    log("after")


async def test_exit_exception_chaining_reference():
    class Keeps:
        async def __aenter__(self):
            pass

        async def __aexit__(self, kind, error, traceback):
            self.kept = error
            log("suppress")
            return True

    keeps = Keeps()
    try:
        async with Raises("Index"), Raises("Key"), Raises("Attribute"), keeps:
            async with Raises("Value"):
                raise Boom("ZeroDivision")
    except Boom as error:
        happened(keeps.kept)
        happened(error)


test_exit_exception_chaining = test_async_exit_exception_chaining


async def test_exit_exception_non_suppressing():
    async def callback_raises():
        async with AsyncExitStack() as stack:
            stack.callback(log, "callback")
            stack.push_async_exit(raises("Index"))

    async def suppressed_between():
        async with AsyncExitStack() as stack:
            stack.push_async_exit(raises("Key"))
            stack.push_async_exit(suppresses)
            stack.push_async_exit(raises("Index"))

    await outcome(callback_raises())
    await outcome(suppressed_between())


async def test_exit_exception_with_correct_context():
    @asynccontextmanager
    async def fails(name):
        try:
            yield
        finally:
            raise Boom(name)

    try:
        async with AsyncExitStack() as stack:
            for name in "4", "3", "2":
                await stack.enter_async_context(fails(name))
            raise Boom("1")
    except Boom as error:
        happened(error)


async def test_exit_exception_with_existing_context():
    def nested(inner, outer):
        async def exit(*_):
            try:
                raise Boom(inner)
            finally:
                raise Boom(outer)

        return exit

    try:
        async with AsyncExitStack() as stack:
            stack.push_async_exit(nested("4", "5"))
            stack.push_async_exit(nested("2", "3"))
            raise Boom("1")
    except Boom as error:
        happened(error)


async def test_body_exception_suppress():
    await chained([suppresses])
    log("after")


async def test_exit_exception_chaining_suppress():
    await chained([suppresses, raises("ZeroDivision again"), raises("Key")])
    log("after")


async def test_excessive_nesting():
    ran = 0

    def count():
        nonlocal ran
        ran += 1

    async with AsyncExitStack() as stack:
        for _ in range(10_000):
            stack.callback(count)
    log(ran)


async def test_dont_reraise_RuntimeError():
    @asynccontextmanager
    async def translates():
        try:
            yield
        except Boom:
            raise Boom("Unique")

    @asynccontextmanager
    async def passes_on():
        try:
            yield
        except Boom as error:
            raise error

    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(translates())
            await stack.enter_async_context(passes_on())
            raise Boom("Runtime")
    except Boom as error:
        happened(error)


# test_coroutines.py ----------------------------------------------------------


class Suspended(Witness):
    """Is suspended in enter and in exit, twice each."""

    async def __aenter__(self):
        for step in 1, 2:
            log(f"enter-{step}-{self.name}")
            await asyncio.sleep(0)
        return self.name

    async def __aexit__(self, *_):
        for step in 1, 2:
            log(f"exit-{step}-{self.name}")
            await asyncio.sleep(0)
        return self.suppress


async def test_with_1():
    async def run(name):
        second = Suspended(name, suppress=name == "B")
        async with Suspended("A") as a, second as b:
            log(f"managers {a} {b}")
            await asyncio.sleep(0)
            raise Boom("ZeroDivision")

    await outcome(run("B"))
    await outcome(run("C"))


async def test_with_5():
    class Nothing:
        async def __aenter__(self):
            pass

        async def __aexit__(self, *_):
            log("exit")

    try:
        async with Nothing():
            assert False
    except AssertionError:
        log("the assertion failed")


async def test_with_8():
    async def falls_through():
        async with Witness("a", exit="Exit"):
            log("body")

    async def breaks():
        for _ in range(2):
            async with Witness("a", exit="Exit"):
                log("body")
                break

    async def continues():
        for _ in range(2):
            async with Witness("a", exit="Exit"):
                log("body")
                continue

    async def returns():
        async with Witness("a", exit="Exit"):
            log("body")
            return

    for way in falls_through, breaks, continues, returns:
        await outcome(way())


async def test_with_9():
    async def run():
        async with Witness("a", exit="ZeroDivision"):
            log("body")

    await outcome(run())


async def test_with_10():
    try:
        async with Raises("outer"):
            async with Raises("inner"):
                raise Boom("Runtime")
    except Boom as error:
        happened(error)


async def test_with_11():
    async def run():
        async with Witness("a", enter="NotImplemented", exit="ZeroDivision"):
            log("body")
            raise Boom("Runtime")

    await outcome(run())


async def test_with_12():
    async def run():
        async with Witness("a", suppress=True) as name:
            log(f"body of {name}")
            raise Boom("Runtime")
        log("after")

    await outcome(run())


async def test_with_13():
    async def run():
        log("before")
        async with Witness("a", enter="ZeroDivision", suppress=True):
            log("body")
        log("after")

    await outcome(run())


async def test_for_6():
    async def numbers():
        for number in range(3):
            yield number

    for _ in range(2):
        async with Witness("a"):
            async for number in numbers():
                log(number)
            else:
                log("no more")


async def test_asyncio_1():
    class Sleeps:
        async def __aenter__(self):
            log(1)
            await asyncio.sleep(0.001)
            log(2)

        async def __aexit__(self, kind, error, traceback):
            await asyncio.sleep(0.001)
            log(error)

    async def run():
        async with Sleeps():
            await asyncio.sleep(0.001)
            raise Boom("My")
        log("unreachable")

    await outcome(run())


async def main():
    logs = {}
    for name, scenario in list(globals().items()):
        if name.startswith("test_"):
            EVENTS.clear()
            await scenario()
            logs[name] = EVENTS.copy()
    print(json.dumps(logs, indent=1))


asyncio.run(main())
