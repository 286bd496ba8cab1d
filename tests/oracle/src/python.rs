//! Prints programs for Python, and says which of them mean the same there.
//!
//! | where they differ | what becomes of it |
//! | --- | --- |
//! | a failing exit takes the place of what was pending (ERR-3, PAN-2) | [`Dialect::Python`](crate::program::Dialect) |
//! | an interruption ends a running exit (CAN-6) | [`Dialect::Python`](crate::program::Dialect) |
//! | nothing is reported (ERR-5) | [`Dialect::Python`](crate::program::Dialect) |
//! | panics (PAN-1, SUP-4) | an exception that is no `Exception`; the managers' classes tell them apart |
//! | `return Err(..)` and an `Err` as tail are values (FLO-4) | raised |
//! | `else` (SUP-5) | an `if` after the block, on a flag that the managers' classes set |
//! | a drop cannot wait: exits run in place, and must not be pending (CAN-1, CAN-2) | [`comparable`] |
//! | no future that is dropped while its caller lives on (CAN-4) | [`comparable`] |
//! | no labels, no values of blocks (FLO-1) | [`comparable`] |
//! | no `inspect` that could panic (PAN-3) | [`comparable`] |
//! | one kind of manager, without `abandon` (CAN-1) | [`comparable`] |
//! | a stack whose body returned goes on returning when an exit failed and another suppressed it (FLO-6, STK-1) | [`comparable`] |
//! | what is moved out of a stack goes on outside when its closing is dropped (STK-4, CAN-1, CAN-2) | [`comparable`] |
//! | an interruption reaches what a generator opened while that exits (CAN-6, GEN-6) | [`comparable`] |
//! | without `try`, a failure skips the clean-up of a generator (GEN-3) | there is one |

use std::fmt::Write;

use crate::program::{Act, Call, End, Id, Kind, Manager, Program, Stmt, Tail, Way, With};

/// The nearest program that means something in Python, and the same as here.
#[must_use]
pub fn comparable(program: &Program) -> Program {
    let adapter = Adapter {
        is_dropped: program.end != End::Run,
        innermost: None,
    };
    Program {
        body: adapter.stmts(&program.body),
        ..*program
    }
}

/// What encloses the statements that are adapted.
#[derive(Clone, Copy)]
struct Adapter {
    /// Whether the program is dropped.
    is_dropped: bool,
    /// The loop that an unlabeled jump reaches.
    innermost: Option<Id>,
}

impl Adapter {
    fn stmts(self, stmts: &[Stmt]) -> Vec<Stmt> {
        stmts.iter().flat_map(|stmt| self.stmt(stmt)).collect()
    }

    fn inside(self, id: Id, times: u8, body: &[Stmt]) -> Vec<Stmt> {
        let innermost = Some(id);
        let body = Self { innermost, ..self }.stmts(body);
        vec![Stmt::Loop { id, times, body }]
    }

    fn stmt(self, stmt: &Stmt) -> Vec<Stmt> {
        match stmt {
            Stmt::Labeled { id, body } => return self.inside(*id, 1, body),
            Stmt::Loop { id, times, body } => return self.inside(*id, *times, body),
            // What is moved out is closed at once, and so is never left behind.
            Stmt::Moved { stack, body } => {
                let (stack, mut stmts) = (*stack, self.stmts(body));
                let body = vec![];
                stmts.push(Stmt::Moved { stack, body });
                return stmts;
            }
            _ => {}
        }
        let mut stmt = stmt.clone();
        match &mut stmt {
            Stmt::Leave { way, .. } => {
                if let (Way::Break(to) | Way::Continue(to), Some(id)) = (way, self.innermost) {
                    *to = id;
                }
            }
            Stmt::With(with) => {
                if with.tail == Tail::Err {
                    with.tail = Tail::ErrRaised;
                }
                let is_moved = is_moved(&with.body, with.id);
                self.managers(&mut with.items, is_moved);
                if with.stacked {
                    keep_raising(&mut with.items);
                }
                with.body = self.stmts(&with.body);
            }
            Stmt::Call(call) => {
                call.limit = None;
                self.managers(&mut call.items, false);
                let innermost = None;
                call.body = Self { innermost, ..self }.stmts(&call.body);
            }
            _ => {}
        }
        vec![stmt]
    }

    fn managers(self, items: &mut [Manager], is_moved: bool) {
        for item in items {
            item.inspect_panics = false;
            if self.is_dropped {
                item.kind = match item.kind {
                    Kind::Scoped => Kind::Surviving,
                    Kind::ScopedGenerator => Kind::Generator,
                    kind => kind,
                };
                item.exit = Act::Succeed;
            }
            if self.is_dropped || is_moved {
                item.exit_pends = 0;
            }
            // An interruption ends a running exit, and so what a generator opened is told of it there.
            if let Some(inside) = &mut item.inside {
                item.exit_pends = 0;
                (inside.inspect_panics, inside.exit_pends) = (false, 0);
                if self.is_dropped {
                    (inside.kind, inside.exit) = (Kind::Surviving, Act::Succeed);
                }
            }
        }
    }
}

/// Whether what is in a stack is taken out of it.
fn is_moved(stmts: &[Stmt], from: Id) -> bool {
    stmts.iter().any(|stmt| match stmt {
        Stmt::Moved { stack, body } => *stack == from || is_moved(body, from),
        Stmt::Loop { body, .. } | Stmt::Labeled { body, .. } => is_moved(body, from),
        Stmt::With(with) => is_moved(&with.body, from),
        _ => false,
    })
}

/// No entry suppresses the error of an inner entry's exit, nor the interruption of one.
fn keep_raising(entries: &mut [Manager]) {
    let interrupts = entries.iter().any(|entry| entry.interrupts.is_some());
    let fails = |entry: &Manager| entry.exit != Act::Succeed;
    let raises = |entry: &Manager| {
        fails(entry)
            || entry.inside.as_deref().is_some_and(fails)
            || (interrupts && entry.exit_pends > 0)
    };
    let innermost = entries.iter().rposition(raises).unwrap_or_default();
    for entry in &mut entries[..innermost] {
        entry.verdict = None;
    }
}

/// The source of a script that runs the programs and prints what they write.
#[must_use]
pub fn batch(programs: &[Program]) -> String {
    let mut printer = Printer {
        source: include_str!("driver.py").to_owned(),
        depth: 0,
    };
    for (number, program) in programs.iter().enumerate() {
        printer.function(&format!("program_{number}"), 0, &[], &program.body);
        let end = match program.end {
            End::Run => String::new(),
            End::Drop(polls) => format!(", dropped_after={polls}"),
        };
        printer.line(&format!("observe({number}, program_{number}{end})"));
    }
    printer.source
}

struct Printer {
    source: String,
    depth: usize,
}

impl Printer {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.source, "{:1$}{line}", "", 4 * self.depth);
    }

    fn indented(&mut self, print: impl FnOnce(&mut Self)) {
        self.depth += 1;
        print(self);
        self.depth -= 1;
    }

    fn function(&mut self, name: &str, value: Id, items: &[Manager], body: &[Stmt]) {
        self.line(&format!("async def {name}(run):"));
        self.indented(|printer| {
            if items.is_empty() {
                printer.stmts(body);
                printer.line(&format!("return {value}"));
                return;
            }
            printer.line(&format!("b{value} = Block()"));
            printer.line(&format!("async with {}:", list(items, value)));
            printer.indented(|printer| {
                printer.stmts(body);
                printer.line(&format!("return {value}"));
            });
        });
    }

    /// A suite is never empty.
    fn suite(&mut self, stmts: &[Stmt]) {
        self.indented(|printer| {
            printer.stmts(stmts);
            printer.line("pass");
        });
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Log(id) => self.line(&format!("run.log(\"log {id}\")")),
            Stmt::Pend(times) => self.line(&format!("await pend({times})")),
            Stmt::Leave { id, on: None, way } => self.line(&leave(*id, *way)),
            Stmt::Leave {
                id,
                on: Some(nth),
                way,
            } => {
                self.line(&format!("if run.is_time({id}, {nth}):"));
                self.indented(|printer| printer.line(&leave(*id, *way)));
            }
            Stmt::Loop { times, body, .. } => {
                self.line(&format!("for _ in range({times}):"));
                self.suite(body);
            }
            Stmt::Labeled { .. } => unreachable!("a comparable program has none"),
            Stmt::With(with) => self.with(with),
            Stmt::Moved { stack, body } => {
                self.line(&format!("run.log(\"pop_all {stack}\")"));
                self.line(&format!("b{stack}.is_moved = True"));
                self.line(&format!("moved = s{stack}.pop_all()"));
                self.stmts(body);
                self.line("await moved.aclose()");
                self.line(&format!("run.log(\"closed {stack}\")"));
            }
            Stmt::Call(Call {
                id, items, body, ..
            }) => {
                self.function(&format!("call_{id}"), *id, items, body);
                self.line(&format!("v{id} = await call_{id}(run)"));
                self.line(&format!("run.log(f\"value {id}: {{v{id}}}\")"));
            }
        }
    }

    fn with(&mut self, with: &With) {
        let id = with.id;
        self.line(&format!("b{id} = Block()"));
        if with.stacked {
            self.line(&format!("async with AsyncExitStack() as s{id}:"));
            self.indented(|printer| {
                for item in &with.items {
                    printer.line(&entry(item, id));
                }
            });
        } else {
            self.line(&format!("async with {}:", list(&with.items, id)));
        }
        self.suite(&with.body);
        self.indented(|printer| match with.tail {
            Tail::Unit => {}
            Tail::Number => printer.line(&format!("v{id} = \"{id}\"")),
            Tail::Ok => printer.line(&format!("v{id} = \"Ok({id})\"")),
            Tail::Err | Tail::ErrRaised => printer.line(&format!("raise Boom(\"tail {id}\")")),
        });
        if with.has_else() {
            self.line(&format!("if b{id}.suppressed:"));
            self.indented(|printer| {
                printer.line(&format!("run.log(\"else {id}\")"));
                match with.tail {
                    Tail::Unit => {}
                    Tail::Number => printer.line(&format!("v{id} = \"0\"")),
                    Tail::Ok | Tail::Err | Tail::ErrRaised => {
                        printer.line(&format!("v{id} = \"Ok(0)\""));
                    }
                }
            });
        }
        if with.tail != Tail::Unit {
            self.line(&format!("run.log(f\"value {id}: {{v{id}}}\")"));
        }
    }
}

fn leave(id: Id, way: Way) -> String {
    match way {
        Way::Break(_) => "break".to_owned(),
        Way::Continue(_) => "continue".to_owned(),
        Way::Return => format!("return {id}"),
        Way::ReturnErr => format!("raise Boom(\"return {id}\")"),
        Way::Raise => format!("raise Boom(\"raise {id}\")"),
        Way::Panic => format!("raise Panic(\"panic {id}\")"),
    }
}

fn list(items: &[Manager], block: Id) -> String {
    let items = items.iter().map(|item| make(item, block));
    items.collect::<Vec<_>>().join(", ")
}

/// How an item is given to the stack of a block.
fn entry(item: &Manager, block: Id) -> String {
    match item.kind {
        Kind::Pushed => format!("s{block}.push_async_exit({}.pushed)", plan(item, block)),
        Kind::Callback => format!(
            "s{block}.push_async_callback({}.callback)",
            plan(item, block)
        ),
        _ => format!("await s{block}.enter_async_context({})", make(item, block)),
    }
}

fn make(item: &Manager, block: Id) -> String {
    let made = format!("{}.made()", plan(item, block));
    match item.kind {
        Kind::Generator | Kind::ScopedGenerator => format!("generator({made})"),
        _ => made,
    }
}

fn plan(item: &Manager, block: Id) -> String {
    let mut arguments = format!("run, b{block}, {}", item.id);
    let mut add = |argument: String| arguments.push_str(&argument);
    for (step, act) in [
        ("make", item.make),
        ("enter", item.enter),
        ("exit", item.exit),
    ] {
        if act != Act::Succeed {
            add(format!(", {step}=\"{act:?}\""));
        }
    }
    for (step, polls) in [
        ("enter_pends", item.enter_pends),
        ("exit_pends", item.exit_pends),
    ] {
        if polls > 0 {
            add(format!(", {step}={polls}"));
        }
    }
    if let Some(verdict) = item.verdict {
        add(format!(", verdict=\"{verdict:?}\""));
    }
    if let Some(poll) = item.interrupts {
        add(format!(", interrupts={poll}"));
    }
    if let Some(inside) = &item.inside {
        add(format!(", inside={}", plan(inside, block)));
    }
    format!("Manager({arguments})")
}
