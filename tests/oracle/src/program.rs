//! Random programs: nested blocks, control flow out of them, managers that fail.
//!
//! Every statement and every manager has a number, by which it appears in the log and as the label of its errors and
//! panics.

pub use async_with::Verdict;

/// The number of a statement or manager.
pub type Id = u32;

/// One program: the body of an async function that returns `Result<u32, Boom>`, and what becomes of its future.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The function's body, which ends with `Ok(0)`.
    pub body: Vec<Stmt>,
    /// What becomes of the future.
    pub end: End,
}

/// Whose rules count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Those of this project.
    #[default]
    Rust,
    /// Python's. An error of an exit takes the place of whatever was pending, which is not reported (unlike rules ERR-3
    /// and PAN-2), and an interruption ends an exit in the middle (unlike rule CAN-6).
    Python,
}

/// What becomes of a program's future.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It is polled until it is ready.
    #[default]
    Run,
    /// It is dropped after so many polls, if it is not ready by then.
    Drop(u32),
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stmt {
    /// Writes to the log.
    Log(Id),
    /// Is pending for so many polls.
    Pend(u8),
    /// Leaves what encloses it: every time, or the n-th time that it is reached.
    Leave {
        /// Its number, which is also the value that it leaves with.
        id: Id,
        /// Which time, counted from one.
        on: Option<u8>,
        /// How.
        way: Way,
    },
    /// A labeled `for` loop.
    Loop {
        /// Its number and label.
        id: Id,
        /// How many times it goes around.
        times: u8,
        /// What is repeated.
        body: Vec<Stmt>,
    },
    /// A labeled block with a value, which is logged.
    Labeled {
        /// Its number, label, and value when it is not left by `break`.
        id: Id,
        /// What is in it.
        body: Vec<Stmt>,
    },
    /// An `async_with!` block.
    With(With),
    /// Takes everything out of an enclosing stack, and closes it after what is inside (rule STK-4). When control leaves
    /// what is inside, it is dropped instead.
    Moved {
        /// The number of the stack's block.
        stack: Id,
        /// What is done in between.
        body: Vec<Stmt>,
    },
    /// A call of another function.
    Call(Call),
}

/// A way to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// `break` out of the loop or labeled block with this number.
    Break(Id),
    /// `continue` with the loop of this number.
    Continue(Id),
    /// `return Ok(..)`
    Return,
    /// `return Err(..)`
    ReturnErr,
    /// `Err(..)?`
    Raise,
    /// `panic!`
    Panic,
}

/// An `async_with!` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct With {
    /// Its number, and the value of its tail.
    pub id: Id,
    /// Its managers, one or more.
    pub items: Vec<Manager>,
    /// Whether it is a block of an exit stack, through which the managers are entered at the start of the body: that
    /// means what nesting them means (rule STK-1).
    pub stacked: bool,
    /// Its body.
    pub body: Vec<Stmt>,
    /// The body's last expression.
    pub tail: Tail,
    /// Whether it has an `else` where it needs none, being `()`-typed.
    pub otherwise: bool,
}

/// A call of another function, whose error is raised and whose value is logged. When there are managers, they are those
/// of its attribute; none of them may suppress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The future is dropped when it is still pending after so many polls, as a lost `select!` drops it; what encloses
    /// the call lives on (rule CAN-4).
    pub limit: Option<u8>,
    /// Its number, and its value when it does not return earlier.
    pub id: Id,
    /// The managers of the attribute.
    pub items: Vec<Manager>,
    /// The function's body.
    pub body: Vec<Stmt>,
}

impl With {
    /// Whether it has an `else`: where no manager can suppress, it never has (rule SUP-3). The stacks can, all of them.
    #[must_use]
    pub fn has_else(&self) -> bool {
        let can_suppress = self.stacked || self.items.iter().any(|item| item.verdict.is_some());
        can_suppress && (self.otherwise || self.tail != Tail::Unit)
    }
}

/// The last expression of a block's body. Every value but `()` is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing, and the block is `()`.
    Unit,
    /// A number.
    Number,
    /// `Ok(..)`
    Ok,
    /// `Err(..)`, which is a failure when it leaves the body, and a value afterwards (rule FLO-4).
    Err,
    /// `Err(..)`, and a `?` after the block.
    ErrRaised,
}

impl Tail {
    /// How it is logged with this number in it, unless it is an error.
    #[must_use]
    pub fn shown(self, id: Id) -> Option<String> {
        match self {
            Tail::Unit => None,
            Tail::Number => Some(id.to_string()),
            Tail::Ok | Tail::Err | Tail::ErrRaised => Some(format!("Ok({id})")),
        }
    }
}

/// What a manager does at each step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// Its number.
    pub id: Id,
    /// Which trait it implements.
    pub kind: Kind,
    /// What its expression does.
    pub make: Act,
    /// What its enter does at the end.
    pub enter: Act,
    /// How often its enter is pending.
    pub enter_pends: u8,
    /// What its exit does at the end.
    pub exit: Act,
    /// How often its exit is pending.
    pub exit_pends: u8,
    /// Whether its inspect panics.
    pub inspect_panics: bool,
    /// What its exit decides, if its type lets it decide (rule SUP-1).
    pub verdict: Option<Verdict>,
    /// Interrupts its body at the end of this poll of the whole program, or of a later one, when its body is pending.
    pub interrupts: Option<u32>,
    /// What a generator opens around its yield (rule GEN-6).
    pub inside: Option<Box<Manager>>,
}

/// What a manager is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `AsyncContextManager`
    Surviving,
    /// `ScopedAsyncContextManager`
    Scoped,
    /// A function with `#[async_context_manager]`.
    Generator,
    /// One that borrows, and so implements `ScopedAsyncContextManager`.
    ScopedGenerator,
    /// An exit that is pushed on a stack.
    Pushed,
    /// A callback on a stack, which is not told how the body ended.
    Callback,
}

impl Kind {
    /// Whether it is an exit alone, without an enter.
    #[must_use]
    pub fn is_exit(self) -> bool {
        matches!(self, Kind::Pushed | Kind::Callback)
    }

    /// Whether it is a function.
    #[must_use]
    pub fn is_generator(self) -> bool {
        matches!(self, Kind::Generator | Kind::ScopedGenerator)
    }

    /// Whether its exit is over when its future is dropped.
    #[must_use]
    pub fn is_scoped(self) -> bool {
        matches!(self, Kind::Scoped | Kind::ScopedGenerator)
    }

    /// Whether it has an `inspect`.
    #[must_use]
    pub fn inspects(self) -> bool {
        matches!(self, Kind::Surviving | Kind::Scoped)
    }
}

/// How a step of a manager ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// As it should.
    Succeed,
    /// With an error.
    Fail,
    /// With a panic.
    Panic,
}

/// Builds managers as the printed programs do.
#[allow(
    missing_docs,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use
)]
impl Manager {
    pub fn new(id: Id) -> Self {
        Self {
            id,
            kind: Kind::Surviving,
            make: Act::Succeed,
            enter: Act::Succeed,
            enter_pends: 0,
            exit: Act::Succeed,
            exit_pends: 0,
            inspect_panics: false,
            verdict: None,
            interrupts: None,
            inside: None,
        }
    }

    pub fn scoped(self) -> Self {
        Self {
            kind: Kind::Scoped,
            ..self
        }
    }

    pub fn make(self, make: Act) -> Self {
        Self { make, ..self }
    }

    pub fn enter(self, enter: Act) -> Self {
        Self { enter, ..self }
    }

    pub fn enter_pends(self, enter_pends: u8) -> Self {
        Self {
            enter_pends,
            ..self
        }
    }

    pub fn exit(self, exit: Act) -> Self {
        Self { exit, ..self }
    }

    pub fn exit_pends(self, exit_pends: u8) -> Self {
        Self { exit_pends, ..self }
    }

    pub fn inspect_panics(self) -> Self {
        Self {
            inspect_panics: true,
            ..self
        }
    }

    pub fn verdict(self, verdict: Verdict) -> Self {
        Self {
            verdict: Some(verdict),
            ..self
        }
    }

    pub fn interrupts(self, poll: u32) -> Self {
        Self {
            interrupts: Some(poll),
            ..self
        }
    }

    pub fn inside(self, inside: Self) -> Self {
        Self {
            inside: Some(Box::new(inside)),
            ..self
        }
    }

    /// Whether its exit is ever pending.
    pub fn pends_in_exit(&self) -> bool {
        let pends_inside = |inside: &Self| inside.pends_in_exit();
        self.exit_pends > 0 || self.inside.as_deref().is_some_and(pends_inside)
    }

    /// Whether it has an error to raise.
    pub fn can_fail(&self) -> bool {
        self.enter == Act::Fail || self.exit == Act::Fail || self.interrupts.is_some()
    }

    /// Takes away what its kind does not have.
    #[must_use]
    pub fn of_its_kind(self) -> Self {
        let mut item = self;
        item.inspect_panics &= item.kind.inspects();
        item.inside = item.inside.filter(|_| item.kind.is_generator());
        if let Some(inside) = &mut item.inside {
            if item.kind == Kind::Generator || !inside.kind.inspects() {
                inside.kind = Kind::Surviving;
            }
            // It could not end what the generator's block is in, and nobody polls its interrupt.
            inside.inside = None;
            (inside.verdict, inside.interrupts) = (None, None);
        }
        if item.kind.is_exit() {
            (item.make, item.enter, item.enter_pends) = (Act::Succeed, Act::Succeed, 0);
            item.interrupts = None;
        }
        if item.kind == Kind::Callback {
            item.verdict = None;
            if item.exit == Act::Fail {
                item.exit = Act::Panic;
            }
        }
        item
    }

    fn is_valid(&self, stacked: bool) -> bool {
        let has_place = match self.kind {
            Kind::Surviving | Kind::Generator => true,
            Kind::Scoped | Kind::ScopedGenerator => !stacked,
            Kind::Pushed | Kind::Callback => stacked,
        };
        has_place && self.clone().of_its_kind() == *self
    }
}

/// The label of what goes wrong in a step of the numbered manager or statement.
#[must_use]
pub fn label(step: &str, id: Id) -> String {
    format!("{step} {id}")
}

impl Program {
    /// Whether every jump has its target, and every block what its type asks for.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        are_valid(&self.body, &mut Vec::new())
    }
}

/// What encloses a statement, and can be named in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Loop(Id),
    Labeled(Id),
    Stack(Id),
}

fn are_valid(stmts: &[Stmt], targets: &mut Vec<Target>) -> bool {
    stmts.iter().all(|stmt| match stmt {
        Stmt::Log(_) | Stmt::Pend(_) => true,
        Stmt::Leave { way, .. } => match *way {
            Way::Break(id) => {
                targets.contains(&Target::Loop(id)) || targets.contains(&Target::Labeled(id))
            }
            Way::Continue(id) => targets.contains(&Target::Loop(id)),
            Way::Return | Way::ReturnErr | Way::Raise | Way::Panic => true,
        },
        Stmt::Loop { id, body, .. } => are_valid_inside(Target::Loop(*id), body, targets),
        Stmt::Labeled { id, body } => are_valid_inside(Target::Labeled(*id), body, targets),
        Stmt::With(with) => {
            let mut items = with.items.iter();
            !with.items.is_empty()
                && items.all(|item| item.is_valid(with.stacked))
                && if with.stacked {
                    are_valid_inside(Target::Stack(with.id), &with.body, targets)
                } else {
                    are_valid(&with.body, targets)
                }
        }
        Stmt::Moved { stack, body } => {
            targets.contains(&Target::Stack(*stack)) && are_valid(body, targets)
        }
        Stmt::Call(call) => {
            let is_valid = |item: &Manager| item.verdict.is_none() && item.is_valid(false);
            call.items.iter().all(is_valid) && are_valid(&call.body, &mut Vec::new())
        }
    })
}

fn are_valid_inside(target: Target, body: &[Stmt], targets: &mut Vec<Target>) -> bool {
    targets.push(target);
    let valid = are_valid(body, targets);
    targets.pop();
    valid
}
