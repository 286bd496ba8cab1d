//! Makes programs from a seed, and shrinks them.

use std::mem::take;

use async_with::Verdict;

use crate::program::{Act, Call, End, Id, Kind, Manager, Program, Stmt, Tail, Way, With};

/// The program of a seed: always the same one.
#[must_use]
pub fn program(seed: u64) -> Program {
    let mut generator = Generator {
        random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        next: 0,
        budget: 0,
        interrupts: false,
        targets: Vec::new(),
        stacks: Vec::new(),
    };
    generator.interrupts = generator.random.one_in(2);
    generator.budget = 4 + generator.random.below(14);
    let body = generator.stmts(0);
    let end = if generator.random.one_in(2) {
        End::Drop(1 + generator.random.below(8))
    } else {
        End::Run
    };
    Program { body, end }
}

/// The generator of Steele, Lea and Flood, "`SplitMix`".
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).unwrap_or_default()
    }

    fn small(&mut self, bound: u8) -> u8 {
        u8::try_from(self.below(u32::from(bound))).unwrap_or_default()
    }

    fn one_in(&mut self, chances: u32) -> bool {
        self.below(chances) == 0
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let bound = u32::try_from(choices.len()).unwrap_or_default();
        choices[self.below(bound) as usize]
    }
}

struct Generator {
    random: Random,
    next: Id,
    /// How many statements are left to be made.
    budget: u32,
    /// Whether managers interrupt.
    interrupts: bool,
    /// The enclosing loops and labeled blocks, and whether each is a loop.
    targets: Vec<(Id, bool)>,
    /// The enclosing stacks.
    stacks: Vec<Id>,
}

const DEPTH: u32 = 5;

impl Generator {
    fn id(&mut self) -> Id {
        self.next += 1;
        self.next
    }

    fn stmts(&mut self, depth: u32) -> Vec<Stmt> {
        let mut stmts = Vec::new();
        for _ in 0..=self.random.below(4) {
            if self.budget > 0 {
                self.budget -= 1;
                stmts.push(self.stmt(depth));
            }
        }
        stmts
    }

    fn stmt(&mut self, depth: u32) -> Stmt {
        if let Some(&stack) = self.stacks.last()
            && self.random.one_in(6)
        {
            return self.moved(stack, depth);
        }
        let choice = self.random.below(if depth < DEPTH { 20 } else { 8 });
        match choice {
            0..2 => Stmt::Log(self.id()),
            2..5 => Stmt::Pend(1 + self.random.small(2)),
            5..8 => self.leave(),
            8..10 => {
                let (id, times) = (self.id(), 1 + self.random.small(3));
                let body = self.inside((id, true), depth);
                Stmt::Loop { id, times, body }
            }
            10 => {
                let id = self.id();
                let body = self.inside((id, false), depth);
                Stmt::Labeled { id, body }
            }
            11..13 => {
                let id = self.id();
                let count = self.random.below(3);
                let mut items = self.managers(count);
                for item in &mut items {
                    item.verdict = None;
                }
                let outside = (take(&mut self.targets), take(&mut self.stacks));
                let body = self.stmts(depth + 1);
                (self.targets, self.stacks) = outside;
                let limited = self.random.one_in(2);
                Stmt::Call(Call {
                    limit: limited.then(|| 1 + self.random.small(4)),
                    id,
                    items,
                    body,
                })
            }
            _ => {
                let id = self.id();
                let count = 1 + self.random.below(3);
                let mut items = self.managers(count);
                let stacked = self.random.one_in(3);
                if stacked {
                    items = items.into_iter().map(|item| self.entry(item)).collect();
                    self.stacks.push(id);
                }
                let body = self.stmts(depth + 1);
                if stacked {
                    self.stacks.pop();
                }
                Stmt::With(With {
                    id,
                    items,
                    stacked,
                    body,
                    tail: self.random.one_of(&[
                        Tail::Unit,
                        Tail::Unit,
                        Tail::Unit,
                        Tail::Number,
                        Tail::Ok,
                        Tail::Err,
                        Tail::ErrRaised,
                    ]),
                    otherwise: self.random.one_in(2),
                })
            }
        }
    }

    fn moved(&mut self, innermost: Id, depth: u32) -> Stmt {
        let stack = if self.random.one_in(4) {
            self.random.one_of(&self.stacks.clone())
        } else {
            innermost
        };
        let body = if self.random.one_in(2) {
            self.stmts(depth + 1)
        } else {
            vec![]
        };
        Stmt::Moved { stack, body }
    }

    fn inside(&mut self, target: (Id, bool), depth: u32) -> Vec<Stmt> {
        self.targets.push(target);
        let body = self.stmts(depth + 1);
        self.targets.pop();
        body
    }

    fn leave(&mut self) -> Stmt {
        let mut ways = vec![Way::Return, Way::ReturnErr, Way::Raise, Way::Panic];
        if !self.targets.is_empty() && self.random.one_in(2) {
            ways.clear();
        }
        for &(id, is_loop) in &self.targets {
            ways.push(Way::Break(id));
            if is_loop {
                ways.push(Way::Continue(id));
            }
        }
        Stmt::Leave {
            id: self.id(),
            on: match self.random.below(5) {
                0..2 => None,
                nth => Some(u8::try_from(nth - 1).unwrap_or_default()),
            },
            way: self.random.one_of(&ways),
        }
    }

    fn managers(&mut self, count: u32) -> Vec<Manager> {
        (0..count).map(|_| self.item()).collect()
    }

    fn item(&mut self) -> Manager {
        let mut item = self.manager();
        if self.random.one_in(4) {
            item.kind = match item.kind {
                Kind::Scoped => Kind::ScopedGenerator,
                _ => Kind::Generator,
            };
            if self.random.one_in(2) {
                item.inside = Some(Box::new(self.manager()));
            }
        }
        item.of_its_kind()
    }

    /// An item as a stack takes it.
    fn entry(&mut self, item: Manager) -> Manager {
        let kind = match (item.kind, self.random.below(6)) {
            (_, 0) => Kind::Pushed,
            (_, 1) => Kind::Callback,
            (kind, _) if kind.is_generator() => Kind::Generator,
            _ => Kind::Surviving,
        };
        Manager { kind, ..item }.of_its_kind()
    }

    fn manager(&mut self) -> Manager {
        const MOSTLY: [Act; 12] = {
            let mut acts = [Act::Succeed; 12];
            (acts[0], acts[1], acts[2]) = (Act::Fail, Act::Fail, Act::Panic);
            acts
        };
        const RARELY: [Act; 24] = {
            let mut acts = [Act::Succeed; 24];
            (acts[0], acts[1]) = (Act::Fail, Act::Panic);
            acts
        };
        Manager {
            id: self.id(),
            kind: self
                .random
                .one_of(&[Kind::Surviving, Kind::Surviving, Kind::Scoped]),
            make: self.random.one_of(&RARELY),
            enter: self.random.one_of(&RARELY),
            enter_pends: self.random.small(2) * self.random.small(3),
            exit: self.random.one_of(&MOSTLY),
            exit_pends: self.random.small(2) * self.random.small(3),
            inspect_panics: self.random.one_in(16),
            verdict: match self.random.below(9) {
                0 => Some(Verdict::Propagate),
                1..3 => Some(Verdict::Suppress),
                3 => Some(Verdict::SuppressPanic),
                _ => None,
            },
            interrupts: (self.interrupts && self.random.one_in(3))
                .then(|| 1 + self.random.below(8)),
            inside: None,
        }
    }
}

/// Shrinks a program as long as a smaller one still shows the difference. `differs` is given all programs that are one
/// step smaller, and returns the index of one of them.
pub fn shrink(
    mut program: Program,
    mut differs: impl FnMut(&[Program]) -> Option<usize>,
) -> Program {
    loop {
        let mut smaller = smaller(&program);
        smaller.retain(Program::is_valid);
        match differs(&smaller) {
            Some(index) => program = smaller.swap_remove(index),
            None => return program,
        }
    }
}

fn smaller(program: &Program) -> Vec<Program> {
    let ends = match program.end {
        End::Run => vec![],
        End::Drop(1) => vec![End::Run],
        End::Drop(polls) => vec![End::Run, End::Drop(polls - 1)],
    };
    let ends = ends.into_iter().map(|end| Program {
        end,
        ..program.clone()
    });
    let bodies = smaller_stmts(&program.body)
        .into_iter()
        .map(|body| Program { body, ..*program });
    ends.chain(bodies).collect()
}

fn smaller_stmts(stmts: &[Stmt]) -> Vec<Vec<Stmt>> {
    let mut all = Vec::new();
    for (index, stmt) in stmts.iter().enumerate() {
        let replaced = |by: Vec<Stmt>| {
            let mut stmts = stmts.to_vec();
            stmts.splice(index..=index, by);
            stmts
        };
        all.push(replaced(vec![]));
        if let Stmt::Loop { body, .. }
        | Stmt::Labeled { body, .. }
        | Stmt::Moved { body, .. }
        | Stmt::Call(Call { body, .. }) = stmt
        {
            all.push(replaced(body.clone()));
        }
        if let Stmt::With(with) = stmt {
            all.push(replaced(with.body.clone()));
        }
        all.extend(
            smaller_stmt(stmt)
                .into_iter()
                .map(|stmt| replaced(vec![stmt])),
        );
    }
    all
}

fn smaller_stmt(stmt: &Stmt) -> Vec<Stmt> {
    match stmt {
        Stmt::Log(_) => vec![],
        Stmt::Pend(polls) => (*polls > 1)
            .then(|| Stmt::Pend(polls - 1))
            .into_iter()
            .collect(),
        Stmt::Leave { id, on, way } => {
            let without = on.map(|_| Stmt::Leave {
                id: *id,
                on: None,
                way: *way,
            });
            without.into_iter().collect()
        }
        Stmt::Loop { id, times, body } => {
            let fewer = (*times > 1).then(|| (times - 1, body.clone()));
            let bodies = smaller_stmts(body).into_iter().map(|body| (*times, body));
            let both = fewer.into_iter().chain(bodies);
            both.map(|(times, body)| Stmt::Loop {
                id: *id,
                times,
                body,
            })
            .collect()
        }
        Stmt::Labeled { id, body } => smaller_stmts(body)
            .into_iter()
            .map(|body| Stmt::Labeled { id: *id, body })
            .collect(),
        Stmt::With(with) => smaller_with(with).into_iter().map(Stmt::With).collect(),
        Stmt::Moved { stack, body } => smaller_stmts(body)
            .into_iter()
            .map(|body| Stmt::Moved {
                stack: *stack,
                body,
            })
            .collect(),
        Stmt::Call(call) => smaller_call(call).into_iter().map(Stmt::Call).collect(),
    }
}

fn smaller_call(call: &Call) -> Vec<Call> {
    let unlimited = call.limit.map(|_| Call {
        limit: None,
        ..call.clone()
    });
    let items_of = smaller_items(&call.items).into_iter().map(|items| Call {
        items,
        ..call.clone()
    });
    let bodies = smaller_stmts(&call.body).into_iter().map(|body| Call {
        body,
        ..call.clone()
    });
    unlimited
        .into_iter()
        .chain(items_of)
        .chain(bodies)
        .collect()
}

fn smaller_with(with: &With) -> Vec<With> {
    let mut all = Vec::new();
    if with.tail != Tail::Unit {
        all.push(With {
            tail: Tail::Unit,
            ..with.clone()
        });
    }
    if with.otherwise {
        all.push(With {
            otherwise: false,
            ..with.clone()
        });
    }
    if with.stacked {
        all.push(With {
            stacked: false,
            ..with.clone()
        });
    }
    all.extend(smaller_items(&with.items).into_iter().map(|items| With {
        items,
        ..with.clone()
    }));
    all.extend(smaller_stmts(&with.body).into_iter().map(|body| With {
        body,
        ..with.clone()
    }));
    all
}

fn smaller_items(items: &[Manager]) -> Vec<Vec<Manager>> {
    let mut all = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut fewer = items.to_vec();
        fewer.remove(index);
        all.push(fewer);
        let plain = Manager::new(item.id);
        let simpler = [
            Manager {
                kind: plain.kind,
                ..item.clone()
            }
            .of_its_kind(),
            Manager {
                make: plain.make,
                ..item.clone()
            },
            Manager {
                enter: plain.enter,
                ..item.clone()
            },
            Manager {
                enter_pends: plain.enter_pends,
                ..item.clone()
            },
            Manager {
                exit: plain.exit,
                ..item.clone()
            },
            Manager {
                exit_pends: plain.exit_pends,
                ..item.clone()
            },
            Manager {
                inspect_panics: false,
                ..item.clone()
            },
            Manager {
                verdict: None,
                ..item.clone()
            },
            Manager {
                interrupts: None,
                ..item.clone()
            },
            Manager {
                inside: None,
                ..item.clone()
            },
        ];
        let insides = item.inside.iter().flat_map(|inside| {
            let simpler = smaller_items(std::slice::from_ref(inside)).into_iter();
            simpler.filter_map(|mut inside| Some(item.clone().inside(inside.pop()?)))
        });
        let simpler = simpler.into_iter().filter(|simpler| simpler != item);
        for simpler in simpler.chain(insides) {
            let mut items = items.to_vec();
            items[index] = simpler;
            all.push(items);
        }
    }
    all
}
