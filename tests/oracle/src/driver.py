# Runs the programs below: coroutines that are stepped by hand, as the Rust driver polls its futures.

import types
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext


class Boom(Exception):
    """An error."""


class Panic(BaseException):
    """What `Exception` handlers leave alone."""


class Cancelled(BaseException):
    """What is thrown into the body of a manager that interrupts it."""


@types.coroutine
def pend(times):
    for _ in range(times):
        yield


def act(how, step, number):
    if how == "Fail":
        raise Boom(f"{step} {number}")
    if how == "Panic":
        raise Panic(f"{step} {number}")


class Run:
    def __init__(self):
        self.clock = 0
        self.reached = {}
        self.open = []  # The managers whose body is running, from the outside.
        self.target = None  # The manager that interrupts.

    def log(self, event):
        print(event)

    def is_time(self, number, nth):
        self.reached[number] = self.reached.get(number, 0) + 1
        return self.reached[number] == nth

    def fired(self):
        """Whether a manager interrupts at the end of this poll: the outermost one, if there are several."""
        fires = (manager for manager in self.open if manager.fires(self.clock))
        target = next(fires, None)
        if target is None or target is self.target:
            return False
        self.target = target
        return True


class Block:
    suppressed = False
    is_moved = False  # What was in its stack is not in it any more.


class Manager:
    def __init__(
        self,
        run,
        block,
        number,
        make="Succeed",
        enter="Succeed",
        enter_pends=0,
        exit="Succeed",
        exit_pends=0,
        verdict="Propagate",
        interrupts=None,
        inside=None,
    ):
        self.run, self.block, self.number = run, block, number
        self.enter, self.enter_pends = enter, enter_pends
        self.exit, self.exit_pends = exit, exit_pends
        self.verdict, self.interrupts = verdict, interrupts
        self.make, self.inside = make, inside
        self.told = None  # What ended the block of the user of the generator that this is in.

    def made(self):
        self.run.log(f"make {self.number}")
        act(self.make, "make", self.number)
        return self

    def fires(self, clock):
        return self.interrupts is not None and self.interrupts <= clock

    async def set_up(self):
        self.run.log(f"enter {self.number}")
        await pend(self.enter_pends)
        act(self.enter, "enter", self.number)

    def entered(self):
        self.run.log(f"entered {self.number}")
        self.run.open.append(self)

    async def __aenter__(self):
        await self.set_up()
        self.entered()

    async def __aexit__(self, kind, error, _):
        self.run.open.remove(self)
        if kind is Boom and error is not self.told:
            self.run.log(f"inspect {self.number}: {error}")
        return await self.pushed(kind, error, _)

    async def pushed(self, kind, error, _):
        interrupted = self.interrupted(kind)
        await self.clean_up(kind)
        return self.ends(kind, interrupted)

    async def callback(self):
        self.run.log(f"exit {self.number}")
        await self.finish()

    def interrupted(self, kind):
        """Whether it was this manager that interrupted its body."""
        if self.run.target is not self:
            return False
        self.run.target = None
        return kind is Cancelled

    async def clean_up(self, kind):
        cause = {
            None: "completed",
            Boom: "failed Boom",
            Panic: "panicked",
            Cancelled: "cancelled",
            GeneratorExit: "dropped",
        }[kind]
        self.run.log(f"exit {self.number}: {cause}")
        await self.finish()

    async def finish(self):
        await pend(self.exit_pends)
        self.run.log(f"exited {self.number}")
        act(self.exit, "exit", self.number)

    def ends(self, kind, interrupted):
        """Whether it suppresses."""
        may_end = kind is Boom or interrupted
        if (self.verdict == "Suppress" and may_end) or (
            self.verdict == "SuppressPanic" and (may_end or kind is Panic)
        ):
            self.block.suppressed = not self.block.is_moved
            return True
        if interrupted:
            raise Boom(f"interrupt {self.number}")
        return False


@asynccontextmanager
async def generator(plan):
    """A manager that is one function. Its clean-up is in a `try`: without, failures would skip it."""
    ended, interrupted = None, False
    await plan.set_up()
    try:
        async with plan.inside.made() if plan.inside else nullcontext():
            plan.entered()
            try:
                yield
            except BaseException as error:
                plan.run.open.remove(plan)
                ended, interrupted = error, plan.interrupted(type(error))
                if plan.inside:
                    plan.inside.told = error
                await plan.clean_up(type(error))
                raise
            else:
                plan.run.open.remove(plan)
                plan.interrupted(None)
                await plan.clean_up(None)
    except BaseException as error:
        if error is not ended or not plan.ends(type(error), interrupted):
            raise


def step(run, program, dropped_after):
    coroutine = program(run)
    cancel = False
    try:
        while True:
            run.clock += 1
            if cancel:
                coroutine.throw(Cancelled())
            else:
                coroutine.send(None)
            cancel = run.fired()
            if run.clock == dropped_after:
                coroutine.close()
                return "dropped"
    except StopIteration as returned:
        return f"Ok({returned.value})"
    except Boom as error:
        return f"Err({error})"
    except Panic as error:
        return f"panic {error}"


def observe(number, program, dropped_after=None):
    print(f"program {number}")
    print(f"outcome: {step(Run(), program, dropped_after)}")


