//! Runs programs through the library without generated code: one generic block, and recursion over the program.
//!
//! Control flow is data here (`Left`); that the macro leaves jumps and `return` in the body what they are is for the
//! [printed](crate::rust) programs to show.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;

use async_with::{AsyncExitStack, Outcome, Raised, Verdict, async_with};

use crate::program::{Call, Id, Kind, Manager, Program, Stmt, Tail, Way, With, label};
use crate::run::{Boom, Run, panic_with};

/// Runs the program's body.
///
/// # Errors
///
/// What the program raises.
pub async fn interpret(run: &Run, program: &Program) -> Result<u32, Boom> {
    let scope = Scope { run, stack: None };
    match stmts(&scope, &program.body).await? {
        Left::Return(value) => Ok(value),
        _ => Ok(0),
    }
}

/// How a part of the program ended, when no error left it through `?`.
enum Left {
    Falls(Value),
    Skipped,
    Break(Id, Id),
    Continue(Id),
    Return(Id),
}

enum Value {
    Unit,
    Number(Id),
    Result(Result<Id, Boom>),
}

const NEXT: Left = Left::Falls(Value::Unit);

/// The tail of a body counts as a failure when it is an `Err` (rule FLO-4).
impl Outcome for Left {
    fn is_failure(&self) -> bool {
        matches!(self, Left::Falls(Value::Result(Err(_))))
    }

    fn raised(&mut self) -> Option<Raised<'_>> {
        match self {
            Left::Falls(Value::Result(Err(boom))) => Some(Raised::from_debug(boom)),
            _ => None,
        }
    }
}

/// Where a statement is.
struct Scope<'a> {
    run: &'a Run,
    /// The innermost stack.
    stack: Option<Stack<'a>>,
}

type AnyStack = AsyncExitStack<Boom, Verdict>;

struct Stack<'a> {
    id: Id,
    pop_all: &'a dyn Fn() -> AnyStack,
    outside: &'a Scope<'a>,
}

impl Deref for Scope<'_> {
    type Target = Run;

    fn deref(&self) -> &Run {
        self.run
    }
}

impl Scope<'_> {
    fn pop_all(&self, id: Id) -> AnyStack {
        match &self.stack {
            Some(stack) if stack.id == id => (stack.pop_all)(),
            Some(stack) => stack.outside.pop_all(id),
            None => unreachable!("a valid program names a stack that encloses the statement"),
        }
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Left, Boom>> + 'a>>;

fn stmts<'a>(run: &'a Scope<'a>, stmts: &'a [Stmt]) -> Running<'a> {
    Box::pin(async move {
        for next in stmts {
            match stmt(run, next).await? {
                Left::Falls(_) => {}
                left => return Ok(left),
            }
        }
        Ok(NEXT)
    })
}

async fn stmt(run: &Scope<'_>, stmt: &Stmt) -> Result<Left, Boom> {
    match stmt {
        Stmt::Log(id) => run.log(label("log", *id)),
        Stmt::Pend(times) => run.pend(*times).await,
        Stmt::Leave { id, on, way } => {
            if on.is_none_or(|nth| run.is_time(*id, nth)) {
                return leave(*id, *way);
            }
        }
        Stmt::Loop { id, times, body } => {
            for _ in 0..*times {
                match stmts(run, body).await? {
                    Left::Falls(_) => {}
                    Left::Continue(target) if target == *id => {}
                    Left::Break(target, _) if target == *id => break,
                    left => return Ok(left),
                }
            }
        }
        Stmt::Labeled { id, body } => match stmts(run, body).await? {
            Left::Falls(_) => run.value(*id, id),
            Left::Break(target, value) if target == *id => run.value(*id, value),
            left => return Ok(left),
        },
        Stmt::With(block) => return with(run, block).await,
        Stmt::Moved { stack, body } => {
            run.log(label("pop_all", *stack));
            let mut moved = run.pop_all(*stack);
            match stmts(run, body).await? {
                Left::Falls(_) => moved.close().await?,
                left => return Ok(left),
            }
            run.log(label("closed", *stack));
        }
        Stmt::Call(Call {
            limit,
            id,
            items,
            body,
        }) => {
            let call = block(run, items, body, Tail::Ok, *id);
            let left = match limit {
                Some(limit) => run.limited(*limit, call).await.transpose()?,
                None => Some(call.await?),
            };
            match left {
                Some(Left::Return(value)) => run.value(*id, value),
                Some(_) => run.value(*id, id),
                None => run.log(label("dropped", *id)),
            }
        }
    }
    Ok(NEXT)
}

fn leave(id: Id, way: Way) -> Result<Left, Boom> {
    match way {
        Way::Break(target) => Ok(Left::Break(target, id)),
        Way::Continue(target) => Ok(Left::Continue(target)),
        Way::Return => Ok(Left::Return(id)),
        Way::ReturnErr => Err(Boom(label("return", id))),
        Way::Raise => Err(Boom(label("raise", id))),
        Way::Panic => panic_with(label("panic", id)),
    }
}

async fn with(run: &Scope<'_>, with: &With) -> Result<Left, Boom> {
    let With {
        id,
        items,
        body,
        tail,
        ..
    } = with;
    let entered = if with.stacked {
        stack(run, items, body, *tail, *id)
    } else {
        block(run, items, body, *tail, *id)
    };
    let value = match entered.await? {
        Left::Falls(value) => value,
        Left::Skipped => {
            if with.has_else() {
                run.log(label("else", *id));
            }
            match tail {
                Tail::Unit => Value::Unit,
                Tail::Number => Value::Number(0),
                Tail::Ok | Tail::Err | Tail::ErrRaised => Value::Result(Ok(0)),
            }
        }
        left => return Ok(left),
    };
    match value {
        Value::Unit => {}
        Value::Number(value) => run.value(*id, value),
        Value::Result(result) if *tail == Tail::ErrRaised => run.value(*id, Ok::<_, Boom>(result?)),
        Value::Result(result) => run.value(*id, result),
    }
    Ok(NEXT)
}

/// What is in a block.
async fn inside(run: &Scope<'_>, body: &[Stmt], tail: Tail, id: Id) -> Result<Left, Boom> {
    Ok(match stmts(run, body).await? {
        Left::Falls(_) => Left::Falls(match tail {
            Tail::Unit => Value::Unit,
            Tail::Number => Value::Number(id),
            Tail::Ok => Value::Result(Ok(id)),
            Tail::Err | Tail::ErrRaised => Value::Result(Err(Boom(label("tail", id)))),
        }),
        left => left,
    })
}

/// A block of a stack, through which the items are entered.
fn stack<'a>(
    run: &'a Scope<'a>,
    items: &'a [Manager],
    body: &'a [Stmt],
    tail: Tail,
    id: Id,
) -> Running<'a> {
    Box::pin(async move {
        Ok(async_with! { AsyncExitStack::suppressing() as stack => {
            for plan in items {
                macro_rules! enter {
                    ($($make:tt)*) => {{
                        stack.enter(run.try_make(plan.clone())?.$($make)*).await?;
                    }};
                }
                match (plan.kind, plan.interrupts) {
                    (Kind::Generator, _) => enter!(generator::<Verdict>()),
                    (Kind::Pushed, _) => stack.push(run.pushed::<Verdict>(plan.clone())),
                    (Kind::Callback, _) => stack.callback(run.callback(plan.clone())),
                    (_, None) => enter!(surviving::<Verdict, Boom>()),
                    (_, Some(_)) => enter!(surviving::<Verdict, Boom>().interrupting()),
                }
            }
            let stack = RefCell::new(stack);
            let scope = Scope {
                run,
                stack: Some(Stack {
                    id,
                    pop_all: &|| stack.borrow_mut().pop_all(),
                    outside: run,
                }),
            };
            inside(&scope, body, tail, id).await?
        } else {
            Left::Skipped
        }})
    })
}

/// A block for each item, one in the other (rule ORD-3).
fn block<'a>(
    run: &'a Scope<'a>,
    items: &'a [Manager],
    body: &'a [Stmt],
    tail: Tail,
    id: Id,
) -> Running<'a> {
    Box::pin(async move {
        let Some((plan, rest)) = items.split_first() else {
            return inside(run, body, tail, id).await;
        };
        // The one place that opens a block; a manager's type decides how, so there is one for each. One that suppresses
        // has an `else`.
        macro_rules! one {
            (else $($make:tt)*) => { one!(@[else { Left::Skipped }] $($make)*) };
            (@[$($otherwise:tt)*] $($make:tt)*) => {
                Ok(async_with! { run.try_make(plan.clone())?.$($make)* => {
                    block(run, rest, body, tail, id).await?
                } $($otherwise)* })
            };
            ($($make:tt)*) => { one!(@[] $($make)*) };
        }
        match (plan.kind, plan.verdict, plan.interrupts) {
            (Kind::Generator, None, _) => one!(generator::<()>()),
            (Kind::Generator, Some(_), _) => one!(else generator::<Verdict>()),
            (Kind::ScopedGenerator, None, _) => one!(scoped_generator()),
            (Kind::ScopedGenerator, Some(_), _) => one!(else deciding_scoped_generator()),
            (Kind::Pushed | Kind::Callback, ..) => unreachable!("only a stack has exits alone"),
            (Kind::Surviving, None, None) if plan.can_fail() => one!(surviving::<(), Boom>()),
            (Kind::Surviving, None, None) => one!(surviving::<(), Infallible>()),
            (Kind::Surviving, Some(_), None) => one!(else surviving::<Verdict, Boom>()),
            (Kind::Surviving, None, Some(_)) => one!(surviving::<(), Boom>().interrupting()),
            (Kind::Surviving, Some(_), Some(_)) => {
                one!(else surviving::<Verdict, Boom>().interrupting())
            }
            (Kind::Scoped, None, None) if plan.can_fail() => one!(scoped::<(), Boom>()),
            (Kind::Scoped, None, None) => one!(scoped::<(), Infallible>()),
            (Kind::Scoped, Some(_), None) => one!(else scoped::<Verdict, Boom>()),
            (Kind::Scoped, None, Some(_)) => one!(scoped::<(), Boom>().interrupting()),
            (Kind::Scoped, Some(_), Some(_)) => one!(else scoped::<Verdict, Boom>().interrupting()),
        }
    })
}
