//! Prints programs as a user of the library would write them: with the macros, and control flow that is Rust's own.

use std::fmt::Write;

use crate::program::{Act, Call, End, Id, Kind, Manager, Program, Stmt, Tail, Way, With};

/// The source of a crate that runs the programs and prints what they write.
#[must_use]
pub fn batch(programs: &[Program]) -> String {
    let mut source = String::from(
        "// Random programs leave early, and repeat themselves.\n\
         #![allow(unreachable_code, unused, clippy::all)]\n\n\
         use std::convert::Infallible;\n\n\
         use async_with::prelude::*;\n\
         use async_with_oracle::program::{Act, Call, End, Manager};\n\
         use async_with_oracle::run::{Boom, Driver, Entered, Run};\n\n\
         /// A macro that `async_with!` does not know.\n\
         macro_rules! perform {\n    ($leave:expr) => {\n        $leave\n    };\n}\n",
    );
    let mut main = String::from(
        "\nfn main() {\n    std::panic::set_hook(Box::new(|_| {}));\n    let driver = Driver::new();\n",
    );
    for (number, program) in programs.iter().enumerate() {
        let name = format!("program_{number}");
        source.push('\n');
        source.push_str(&function(&name, program));
        let end = match program.end {
            End::Run => "End::Run".to_owned(),
            End::Drop(polls) => format!("End::Drop({polls})"),
        };
        let _ = writeln!(main, "    driver.print({number}, {end}, {name});");
    }
    source + &main + "}\n"
}

/// The source of one program.
#[must_use]
pub fn function(name: &str, program: &Program) -> String {
    let mut printer = Printer::default();
    if let End::Drop(polls) = program.end {
        printer.line(&format!("/// Dropped after {polls} polls."));
    }
    printer.function(name, &[], &program.body, "Ok(0)");
    printer.source
}

#[derive(Default)]
struct Printer {
    source: String,
    depth: usize,
    /// Whether the forms inside of attributed functions are on.
    attributed: bool,
    /// The enclosing loops and labeled blocks, and whether each is a loop.
    targets: Vec<(Id, bool)>,
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

    fn function(&mut self, name: &str, items: &[Manager], body: &[Stmt], tail: &str) {
        let attributed = std::mem::replace(&mut self.attributed, items.is_empty());
        let targets = std::mem::take(&mut self.targets);
        if items.is_empty() {
            self.line("#[attr::async_with]");
        } else {
            self.line(&format!("#[attr::async_with({})]", list(items)));
        }
        self.line(&format!(
            "async fn {name}(run: &Run) -> Result<u32, Boom> {{"
        ));
        self.indented(|printer| {
            printer.stmts(body);
            printer.line(tail);
        });
        self.line("}");
        self.attributed = attributed;
        self.targets = targets;
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Log(id) => self.line(&format!("run.log(\"log {id}\");")),
            Stmt::Pend(times) => self.line(&format!("run.pend({times}).await;")),
            Stmt::Leave { id, on: None, way } => self.line(&self.leave(*id, *way)),
            Stmt::Leave {
                id,
                on: Some(nth),
                way,
            } => {
                let leave = self.leave(*id, *way);
                self.line(&format!("if run.is_time({id}, {nth}) {{"));
                self.indented(|printer| printer.line(&leave));
                self.line("}");
            }
            Stmt::Loop { id, times, body } => {
                self.line(&format!("'l{id}: for _ in 0..{times} {{"));
                self.targets.push((*id, true));
                self.indented(|printer| printer.stmts(body));
                self.targets.pop();
                self.line("}");
            }
            Stmt::Labeled { id, body } => {
                self.line(&format!("let value = 'l{id}: {{"));
                self.targets.push((*id, false));
                self.indented(|printer| {
                    printer.stmts(body);
                    printer.line(&id.to_string());
                });
                self.targets.pop();
                self.line("};");
                self.line(&format!("run.value({id}, value);"));
            }
            Stmt::With(with) => self.with(with),
            Stmt::Moved { stack, body } => {
                self.line("{");
                self.indented(|printer| {
                    printer.line(&format!("run.log(\"pop_all {stack}\");"));
                    printer.line(&format!("let mut moved = stack_{stack}.pop_all();"));
                    printer.stmts(body);
                    printer.line("moved.close().await?;");
                    printer.line(&format!("run.log(\"closed {stack}\");"));
                });
                self.line("}");
            }
            Stmt::Call(Call {
                limit,
                id,
                items,
                body,
            }) => {
                self.function(&format!("call_{id}"), items, body, &format!("Ok({id})"));
                let Some(limit) = limit else {
                    self.line(&format!("let value = call_{id}(run).await?;"));
                    self.line(&format!("run.value({id}, value);"));
                    return;
                };
                self.line(&format!(
                    "match run.limited({limit}, call_{id}(run)).await {{"
                ));
                self.line(&format!("    Some(result) => run.value({id}, result?),"));
                self.line(&format!("    None => run.log(\"dropped {id}\"),"));
                self.line("}");
            }
        }
    }

    /// A block, in one of the forms that mean the same.
    fn with(&mut self, with: &With) {
        let (binding, question) = match with.tail {
            Tail::Unit => ("", ""),
            Tail::Number => ("let value = ", ""),
            Tail::Ok | Tail::Err => ("let value: Result<u32, Boom> = ", ""),
            Tail::ErrRaised => ("let value: u32 = ", "?"),
        };
        let items = if with.stacked {
            format!("AsyncExitStack::suppressing() as stack_{}", with.id)
        } else {
            list(&with.items)
        };
        let in_attributed = self.attributed && !with.has_else();
        // A `?` after a marked block would be inside of what the attribute marks.
        let (open, close) = match with.id % 5 {
            0 if in_attributed && question.is_empty() => (format!("#[with({items})] {{"), "}"),
            1 if in_attributed => ("{".to_owned(), "}"),
            0 | 1 => (format!("async_with! {{ {items} => {{"), "}}"),
            2 => (format!("async_with!({items}, {{"), "})"),
            3 => (format!("async_with! {{ ({items}) => {{"), "}}"),
            _ => (format!("async_with![{items}, => {{"), "}]"),
        };
        let is_let = open == "{";
        self.line(&format!("{binding}{open}"));
        self.indented(|printer| {
            if with.stacked {
                if is_let {
                    printer.line("#[with]");
                    let id = with.id;
                    printer.line(&format!("let stack_{id} = AsyncExitStack::suppressing();"));
                }
                let items = with.items.iter();
                items.for_each(|item| printer.entry(with.id, item));
            } else if is_let {
                for item in &with.items {
                    printer.line("#[with]");
                    printer.line(&format!("let {} = {};", pattern(item, "_"), make(item)));
                }
            }
            printer.stmts(&with.body);
            let id = with.id;
            match with.tail {
                Tail::Unit => {}
                Tail::Number => printer.line(&id.to_string()),
                Tail::Ok => printer.line(&format!("Ok({id})")),
                Tail::Err | Tail::ErrRaised => {
                    printer.line(&format!("Err(Boom::new(\"tail {id}\"))"));
                }
            }
        });
        if with.has_else() {
            self.line("} else {");
            self.indented(|printer| {
                printer.line(&format!("run.log(\"else {}\");", with.id));
                match with.tail {
                    Tail::Unit => {}
                    Tail::Number => printer.line("0"),
                    Tail::Ok | Tail::Err | Tail::ErrRaised => printer.line("Ok(0)"),
                }
            });
        }
        let semicolon = if with.tail == Tail::Unit && close.ends_with('}') {
            ""
        } else {
            ";"
        };
        self.line(&format!("{close}{question}{semicolon}"));
        match with.tail {
            Tail::Unit => {}
            Tail::ErrRaised => {
                self.line(&format!("run.value({}, Ok::<_, Boom>(value));", with.id));
            }
            Tail::Number | Tail::Ok | Tail::Err => {
                self.line(&format!("run.value({}, value);", with.id));
            }
        }
    }

    /// What a stack is given.
    fn entry(&mut self, stack: Id, item: &Manager) {
        // What a stack lends of a generator dereferences to the resource, and `?` does not convert `Infallible`.
        let pattern = match (item.kind, pattern(item, "")) {
            (Kind::Generator, "Entered(number)") => "entered",
            (_, pattern) => pattern,
        };
        let make = || make(item).replace("Infallible", "Boom");
        let entry = match (item.kind, pattern) {
            (Kind::Pushed, _) => {
                let verdict = verdict(item);
                format!(
                    "stack_{stack}.push(run.pushed::<{verdict}>({}))",
                    plan(item)
                )
            }
            (Kind::Callback, _) => format!("stack_{stack}.callback(run.callback({}))", plan(item)),
            (_, "") => format!("stack_{stack}.enter({}).await?", make()),
            (_, pattern) => format!("let {pattern} = stack_{stack}.enter({}).await?", make()),
        };
        self.line(&format!("{entry};"));
    }

    /// A way out, with and without a label, and in the arguments of another macro.
    fn leave(&self, id: Id, way: Way) -> String {
        // Behind a labeled block, a jump has to have a label.
        let is_innermost = |target| self.targets.last() == Some(&(target, true));
        let leave = match way {
            Way::Break(target) if self.targets.contains(&(target, false)) => {
                format!("break 'l{target} {id}")
            }
            Way::Break(target) if id % 3 == 1 && is_innermost(target) => "break".to_owned(),
            Way::Continue(target) if id % 3 == 1 && is_innermost(target) => "continue".to_owned(),
            Way::Break(target) => format!("break 'l{target}"),
            Way::Continue(target) => format!("continue 'l{target}"),
            Way::Return => format!("return Ok({id})"),
            Way::ReturnErr => format!("return Err(Boom::new(\"return {id}\"))"),
            Way::Raise => format!("Err::<(), _>(Boom::new(\"raise {id}\"))?"),
            Way::Panic => format!("panic!(\"panic {id}\")"),
        };
        if id.is_multiple_of(3) {
            format!("perform!({leave});")
        } else {
            format!("{leave};")
        }
    }
}

fn list(items: &[Manager]) -> String {
    let items = items.iter().map(|item| match pattern(item, "") {
        "" => make(item),
        pattern => format!("{} as {pattern}", make(item)),
    });
    items.collect::<Vec<_>>().join(", ")
}

/// A pattern for the resource, or none.
fn pattern<'a>(item: &Manager, none: &'a str) -> &'a str {
    match item.id % 4 {
        0 => "entered",
        1 => "mut entered",
        2 => "Entered(number)",
        _ => none,
    }
}

/// What an item is to do.
fn plan(item: &Manager) -> String {
    let mut plan = format!("Manager::new({})", item.id);
    let mut add = |step: String| plan.push_str(&step);
    if item.make != Act::Succeed {
        add(format!(".make(Act::{:?})", item.make));
    }
    if item.enter != Act::Succeed {
        add(format!(".enter(Act::{:?})", item.enter));
    }
    if item.enter_pends > 0 {
        add(format!(".enter_pends({})", item.enter_pends));
    }
    if item.exit != Act::Succeed {
        add(format!(".exit(Act::{:?})", item.exit));
    }
    if item.exit_pends > 0 {
        add(format!(".exit_pends({})", item.exit_pends));
    }
    if item.inspect_panics {
        add(".inspect_panics()".to_owned());
    }
    if let Some(verdict) = item.verdict {
        add(format!(".verdict(Verdict::{verdict:?})"));
    }
    if let Some(poll) = item.interrupts {
        add(format!(".interrupts({poll})"));
    }
    if item.kind == Kind::Scoped {
        add(".scoped()".to_owned());
    }
    if let Some(inside) = &item.inside {
        add(format!(".inside({})", self::plan(inside)));
    }
    plan
}

/// The type of what an item's exit decides.
fn verdict(item: &Manager) -> &'static str {
    if item.verdict.is_some() {
        "Verdict"
    } else {
        "()"
    }
}

/// The expression of an item.
fn make(item: &Manager) -> String {
    let (plan, verdict) = (plan(item), verdict(item));
    let made = match item.make {
        Act::Succeed | Act::Panic => format!("run.make({plan})"),
        Act::Fail => format!("run.try_make({plan})?"),
    };
    let kind = match item.kind {
        Kind::Generator => return format!("{made}.generator::<{verdict}>()"),
        Kind::ScopedGenerator if item.verdict.is_some() => {
            return format!("{made}.deciding_scoped_generator()");
        }
        Kind::ScopedGenerator => return format!("{made}.scoped_generator()"),
        Kind::Surviving => "surviving",
        Kind::Scoped => "scoped",
        Kind::Pushed | Kind::Callback => unreachable!("only a stack has exits alone"),
    };
    let error = if item.can_fail() {
        "Boom"
    } else {
        "Infallible"
    };
    let interrupting = if item.interrupts.is_some() {
        ".interrupting()"
    } else {
        ""
    };
    format!("{made}.{kind}::<{verdict}, {error}>(){interrupting}")
}
