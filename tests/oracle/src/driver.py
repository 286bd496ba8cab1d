# Runs the programs below: coroutines that are stepped by hand, as the Rust driver polls its futures.

import types


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
    ):
        self.run, self.block, self.number = run, block, number
        self.enter, self.enter_pends = enter, enter_pends
        self.exit, self.exit_pends = exit, exit_pends
        self.verdict, self.interrupts = verdict, interrupts
        run.log(f"make {number}")
        act(make, "make", number)

    def fires(self, clock):
        return self.interrupts is not None and self.interrupts <= clock

    async def __aenter__(self):
        self.run.log(f"enter {self.number}")
        await pend(self.enter_pends)
        act(self.enter, "enter", self.number)
        self.run.log(f"entered {self.number}")
        self.run.open.append(self)

    async def __aexit__(self, kind, error, _):
        run = self.run
        run.open.pop()
        interrupted = run.target is self
        if interrupted:
            run.target = None
        interrupted = interrupted and kind is Cancelled
        cause = {
            None: "completed",
            Boom: "failed Boom",
            Panic: "panicked",
            Cancelled: "cancelled",
            GeneratorExit: "dropped",
        }[kind]
        if kind is Boom:
            run.log(f"inspect {self.number}: {error}")
        run.log(f"exit {self.number}: {cause}")
        await pend(self.exit_pends)
        run.log(f"exited {self.number}")
        act(self.exit, "exit", self.number)
        may_end = kind is Boom or interrupted
        if (self.verdict == "Suppress" and may_end) or (
            self.verdict == "SuppressPanic" and (may_end or kind is Panic)
        ):
            self.block.suppressed = True
            return True
        if interrupted:
            raise Boom(f"interrupt {self.number}")
        return False


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


