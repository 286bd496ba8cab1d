//! Compares a run with that of nested blocks, and with what holds in every program.
//!
//! Where a construct is documented to differ from nested blocks, what is expected is changed here, beside the reason.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::constructs::Construct as C;
use crate::managers::{Ending, Fault, Item, Kind, Point, Source, What};
use crate::run::{Cell, Layer, Record};

/// In what a run differs first, the worst one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difference {
    Hang,
    /// Something that holds in every program does not.
    Invariant,
    Outcome,
    /// What is exited, in what order, and what it is told.
    Events,
    Reports,
    /// Who looks at the failure.
    Inspect,
    /// Who holds a guard around the body.
    Guards,
    /// The names in reports.
    Names,
    /// Nested blocks themselves do what they should not.
    Oracle,
}

pub(crate) struct Judgement {
    pub(crate) difference: Difference,
    pub(crate) details: String,
}

impl Cell {
    fn oracle(&self) -> Cell {
        let layers = self.layers.iter().map(|layer| match layer {
            // `close` does not know how the body ended, and is called whether or not it failed.
            Layer::Managers(C::Close, items) => Layer::Managers(C::Captured, items.clone()),
            Layer::Managers(construct, items) if construct.ends_before() => {
                Layer::Managers(C::Before, items.clone())
            }
            Layer::Managers(_, items) => Layer::Managers(C::Nested, items.clone()),
            Layer::Detached => Layer::Detached,
        });
        Cell {
            layers: layers.collect(),
            ..self.clone()
        }
    }

    fn managers(&self) -> impl Iterator<Item = (usize, C, &[Item])> {
        let layers = self.layers.iter().enumerate();
        layers.filter_map(|(number, layer)| match layer {
            Layer::Managers(construct, items) => Some((number, *construct, &items[..])),
            Layer::Detached => None,
        })
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = (usize, C, Item)> {
        let layers = self.managers();
        layers.flat_map(|(number, construct, items)| {
            items.iter().map(move |item| (number, construct, *item))
        })
    }

    fn has(&self, construct: C) -> bool {
        self.managers().any(|(_, other, _)| other == construct)
    }

    fn hit_at(&self) -> Option<Point> {
        self.hit.map(|(point, _)| point)
    }

    /// The layer of a point; the body is in none, and innermost.
    fn layer_of(&self, point: Point) -> usize {
        let (Point::Enter(name)
        | Point::SetUp(name)
        | Point::CleanUp(name)
        | Point::Exit(name)
        | Point::Waiting(name)) = point
        else {
            return self.layers.len();
        };
        let mut items = self.items();
        let found = items.find(|(_, _, item)| item.name == name);
        found.expect("it is one of the items").0
    }

    /// Whether what hits it has ended before that.
    pub(crate) fn misses(&self) -> bool {
        self.hit.is_some_and(|(_, source)| {
            self.items().any(|(layer, construct, item)| {
                (construct.ends_before() || construct == C::Before)
                    && fires(item, source)
                    && self.hit_inside(layer)
            })
        })
    }

    fn hit_inside(&self, layer: usize) -> bool {
        self.hit_at().is_some_and(|hit| self.layer_of(hit) > layer)
    }

    fn hit_in(&self, layer: usize) -> bool {
        self.hit_at().is_some_and(|hit| self.layer_of(hit) == layer)
    }

    fn hit_in_enter_of(&self, layer: usize) -> bool {
        let hit = self.hit_at();
        let enters = |hit: &Point| matches!(hit, Point::Enter(_) | Point::SetUp(_));
        hit.filter(enters)
            .is_some_and(|hit| self.layer_of(hit) == layer)
    }

    fn enter_faults(&self, layer: usize) -> bool {
        let is = |fault| matches!(fault, Some(Fault::EnterFails | Fault::EnterPanics));
        self.items()
            .any(|(of, _, item)| of == layer && is(item.fault))
    }

    fn exit_faults(&self, layer: usize) -> bool {
        let is = |fault| matches!(fault, Some(Fault::ExitFails | Fault::ExitPanics));
        self.items()
            .any(|(of, _, item)| of == layer && is(item.fault))
    }

    /// Whether a panic comes from the body of this layer.
    fn panics_inside(&self, layer: usize) -> bool {
        let is = |fault| matches!(fault, Some(Fault::EnterPanics | Fault::ExitPanics));
        let inside = self
            .items()
            .any(|(of, _, item)| of > layer && is(item.fault));
        inside
            || (self.ending == Ending::Panics
                && !self.items().any(|(_, _, item)| {
                    matches!(item.fault, Some(Fault::EnterFails | Fault::EnterPanics))
                }))
    }

    /// Whether a stack that is in no block is dropped before it is closed, or has a block.
    fn drops_stack(&self, layer: usize, construct: C) -> bool {
        let entering = self.hit_in_enter_of(layer) || self.enter_faults(layer);
        match construct {
            C::Close => entering || self.hit_inside(layer) || self.panics_inside(layer),
            C::IntoManager => entering,
            _ => false,
        }
    }

    /// CAN-2, CAN-6: what is one exit to its block goes on as it began when it is dropped or interrupted. So the managers in
    /// it that are further out than the one that is hit may be told what they would have been told, where a nested block is
    /// told what befell it. After a panic there is no such choice.
    fn goes_on_alone(&self, layer: usize, construct: C, name: &str) -> bool {
        let (
            Some((Point::Exit(hit) | Point::CleanUp(hit) | Point::Waiting(hit), source)),
            C::AroundYield | C::AroundYieldNamed | C::AroundYieldInStack | C::IntoManager,
        ) = (self.hit, construct)
        else {
            return false;
        };
        let names = self.items().filter(|(of, _, _)| *of == layer);
        let names: Vec<_> = names.map(|(_, _, item)| item.name).collect();
        let place = |name: &str| names.iter().position(|other| *other == name);
        let is_outside = place(hit).is_some_and(|hit| place(name) < Some(hit));
        let is_dropped = matches!(source, Source::Drop | Source::Cut);
        is_outside && (is_dropped || self.ending != Ending::Panics)
    }

    /// ERR-3: to the user's block, what interrupts the clean-up of a generator is how its exit fails. After a failure of the
    /// body, that is reported.
    fn fails_in_exit(&self) -> bool {
        let Some((point, source)) = self.hit else {
            return false;
        };
        let one_exit = [
            C::AroundYield,
            C::AroundYieldNamed,
            C::AroundYieldInStack,
            C::IntoManager,
        ];
        let layer = self.layer_of(point);
        let mut items = self.items();
        self.ending == Ending::Fails
            && items.any(|(of, construct, item)| {
                of == layer && one_exit.contains(&construct) && fires(item, source)
            })
    }

    /// Whether there is such a program, and one thing that it has to do.
    pub(crate) fn makes_sense(&self) -> bool {
        let layers = self.managers().all(|(layer, construct, items)| {
            let kinds: Vec<_> = items.iter().map(|item| item.kind).collect();
            let interrupts = |(_, source)| items.iter().any(|item| fires(*item, source));
            let interrupts = self.hit.is_some_and(interrupts);
            construct.takes(&kinds)
                // Without a block there is nothing to be interrupted, until it is closed.
                && !(construct == C::Close
                    && interrupts
                    && (self.hit_in_enter_of(layer) || self.hit_inside(layer)))
                && !(construct == C::IntoManager && interrupts && self.hit_in_enter_of(layer))
                // What panics in a detached exit is reported, where it would be raised in place.
                && !(self.drops_stack(layer, construct)
                    && items.iter().any(|item| item.fault == Some(Fault::ExitPanics)))
                // A stack that was dropped is not closed any more, so that nothing in its place can be hit.
                && !(construct == C::Close && self.hit_in(layer) && self.panics_inside(layer))
                // Parts of a join stand side by side: none covers the enter or the exit of another.
                && !(construct == C::Join && interrupts && self.hit_in(layer))
                // What is detached while a stack is filled belongs to the block around that (CAN-4).
                && !(matches!(construct, C::PoppedInto | C::IntoManager)
                    && items.iter().any(|item| item.what == What::Sheds))
                // What is detached in an enter that goes on by itself belongs to that.
                && !(construct == C::FinishEnter
                    && self.hit_in_enter_of(layer)
                    && items.iter().any(|item| matches!(item.what, What::Sheds | What::Group)))
        });
        // A body that waits for what waits for the body.
        let drains_itself = self.ending == Ending::Drains
            && (self.layers.contains(&Layer::Detached)
                || self.items().any(|(_, _, item)| item.what == What::Group));
        layers && !drains_itself
    }
}

/// Whether this is what interrupts.
fn fires(item: Item, source: Source) -> bool {
    match source {
        Source::Timeout => item.what == What::Timeout,
        Source::Token => item.what == What::Token,
        Source::Task => item.what == What::Group,
        Source::Drop | Source::Cut => false,
    }
}

/// The word that says what happened, and to whom.
fn parts(event: &str) -> (&str, &str) {
    let (verb, rest) = event.split_once(' ').unwrap_or((event, ""));
    (verb, rest.split(':').next().unwrap_or_default())
}

fn is_of(event: &str, name: &str) -> bool {
    let (verb, of) = parts(event);
    verb != "body" && of == name
}

/// Without its cause.
fn masked(event: &str) -> String {
    let (verb, name) = parts(event);
    format!("{verb} {name}")
}

impl Record {
    fn strip(&mut self, verb: &str, name: &str) {
        self.events.retain(|event| parts(event) != (verb, name));
    }

    fn strip_guard(&mut self, name: &str) {
        for event in &mut self.events {
            if let Some(guards) = event.strip_prefix("body in ") {
                let guards: Vec<_> = guards.split(' ').filter(|guard| *guard != name).collect();
                *event = format!("body in {}", guards.join(" "));
            }
        }
    }

    fn without(&self, names: &[&str]) -> Vec<String> {
        let events = self.events.iter();
        let kept = events.filter(|event| !names.iter().any(|name| is_of(event, name)));
        kept.cloned().collect()
    }

    fn of(&self, name: &str) -> Vec<String> {
        let events = self.events.iter();
        events.filter(|event| is_of(event, name)).cloned().collect()
    }

    fn place(&self, verb: &str, name: &str) -> Option<usize> {
        self.events
            .iter()
            .position(|event| parts(event) == (verb, name))
    }

    fn count(&self, verb: &str, name: &str) -> usize {
        let events = self.events.iter();
        events.filter(|event| parts(event) == (verb, name)).count()
    }
}

/// Changes what is expected, and what is compared, where a construct is documented to differ.
fn normalize(cell: &Cell, expected: &mut Record, actual: &mut Record) {
    for (layer, construct, items) in cell.managers() {
        // GEN-6, CAN-2: a scoped generator that is dropped in its clean-up is an exit that was not finished, and so is that
        // of the block around its yield.
        if matches!(construct, C::AroundYield | C::AroundYieldNamed)
            && items[0].kind == Kind::Scoped
        {
            let of_generator = |name: &str| name.contains("::") || name == "generator";
            actual
                .reports
                .retain(|entry| !(entry.unfinished && of_generator(&entry.manager)));
        }
        for item in items {
            normalize_item(cell, (layer, construct, *item), expected, actual);
        }
    }
    if expected.outcome.starts_with("panicked") && actual.outcome.starts_with("panicked") {
        // ERR-5: whether the error of an interruption that a panic overtakes is reported is no question of the construct.
        for record in [&mut *expected, &mut *actual] {
            record.reports.retain(|entry| entry.phase != "interrupt");
        }
    }
    let early = [
        C::Released,
        C::Owned,
        C::Close,
        C::CloseInBlock,
        C::ReleasedBefore,
        C::OwnedBefore,
        C::ClosedBefore,
    ];
    if early.iter().any(|construct| cell.has(*construct)) && cell.hit.is_some() {
        // An exit that the body called, and that fails when nobody takes its error, is what the body failed with.
        for entry in expected.reports.iter_mut().chain(&mut actual.reports) {
            if entry.phase == "exit" || entry.phase == "body" {
                "exit".clone_into(&mut entry.phase);
                (entry.cause, entry.manager) = (String::new(), String::new());
            }
        }
    }
}

fn normalize_item(
    cell: &Cell,
    (layer, construct, item): (usize, C, Item),
    expected: &mut Record,
    actual: &mut Record,
) {
    let name = item.name;
    let loses_guard = match construct {
        // The code of a function, not a block: it has neither a guard nor `inspect`.
        C::Generators | C::NamedGenerators => {
            expected.strip("inspect", name);
            true
        }
        // The documentation of `releasable` says so. The body beside `close` is in no block.
        C::Released | C::Close => true,
        _ => false,
    };
    if loses_guard {
        expected.strip_guard(name);
        actual.strip_guard(name);
    }
    if cell.drops_stack(layer, construct) {
        // A stack that is neither closed nor in a block is dropped (CAN-1).
        expected.strip("inspect", name);
        for event in &mut expected.events {
            if parts(event) == ("exit", name) {
                *event = format!("exit {name}: dropped");
            }
        }
        for entry in &mut expected.reports {
            if entry.manager == name {
                "dropped".clone_into(&mut entry.cause);
            }
        }
    }
    if construct == C::FinishEnter {
        finish_enter(cell, item, expected);
    }
    if construct == C::IntoManager {
        // Its documentation says that all are shown the failure beforehand.
        expected.strip("inspect", name);
        actual.strip("inspect", name);
    }
    if cell.goes_on_alone(layer, construct, name) {
        for record in [&mut *expected, &mut *actual] {
            record.strip("inspect", name);
            for event in &mut record.events {
                if parts(event) == ("exit", name) {
                    *event = masked(event);
                }
            }
            for entry in &mut record.reports {
                (entry.cause, entry.manager) = (String::new(), String::new());
            }
        }
    }
}

/// An enter that is dropped or interrupted is finished, and then exited, told that it was dropped.
fn finish_enter(cell: &Cell, item: Item, expected: &mut Record) {
    let name = item.name;
    let hit = cell.hit_at();
    let in_set_up = hit == Some(Point::SetUp(name));
    if hit != Some(Point::Enter(name)) && !in_set_up {
        return;
    }
    let Some(mark) = expected.mark else { return };
    let mut finished = Vec::new();
    let hosts = item.what == What::Hosts;
    if in_set_up {
        let after = expected.events.split_off(mark);
        expected
            .events
            .extend(after.into_iter().filter(|event| !is_of(event, "s")));
    } else if hosts {
        finished.push("enter s".to_owned());
    }
    if hosts {
        finished.push("exit s: completed".to_owned());
        finished.push("exited s".to_owned());
    }
    finished.push(format!("enter {name}"));
    finished.push(format!("exit {name}: dropped"));
    if hosts {
        finished.extend(["enter c", "exit c: completed", "exited c"].map(str::to_owned));
    }
    finished.push(format!("exited {name}"));
    expected.events.splice(mark..mark, finished);
}

/// What runs beside the program, so that its place is not always the same.
const BESIDE: [&str; 2] = ["d", "t"];

/// What holds in every program.
fn broken_invariant(cell: &Cell, record: &Record) -> Option<String> {
    let mut names: Vec<_> = cell.items().map(|(_, _, item)| item.name).collect();
    names.extend(["s", "c", "t"]);
    for name in names {
        let enters = record.count("enter", name);
        let exits = record.count("exit", name) + record.count("abandon", name);
        let unfinished = record.reports.iter().any(|entry| entry.unfinished);
        let begun = record.count("exit", name);
        let ended = record.count("exited", name);
        if enters != exits {
            return Some(format!("{name}: {enters} enters, {exits} exits"));
        }
        if begun != ended && !unfinished {
            return Some(format!("{name}: {begun} exits begin, {ended} end"));
        }
    }
    let has_scoped = cell.items().any(|(_, _, item)| item.kind == Kind::Scoped);
    if let Some(entry) = record.reports.iter().find(|entry| entry.unfinished)
        && !has_scoped
    {
        return Some(format!("{} was not finished", entry.manager));
    }
    let items: Vec<_> = cell.items().collect();
    for (number, (layer, construct, outer)) in items.iter().enumerate() {
        for (of, _, inner) in &items[number + 1..] {
            let ended = of != layer && (construct.ends_before() || *construct == C::Before);
            if ended || (of == layer && *construct == C::Join) {
                continue;
            }
            let order = record
                .place("exited", inner.name)
                .zip(record.place("exit", outer.name));
            if order.is_some_and(|(inner, outer)| inner > outer) {
                return Some(format!("exit {} before exited {}", outer.name, inner.name));
            }
        }
    }
    detached_first(cell, record).or_else(|| tasks_first(cell, record))
}

/// CAN-4: what is detached in a block is awaited before its exit.
fn detached_first(cell: &Cell, record: &Record) -> Option<String> {
    let mut enclosing: Option<Vec<Item>> = None;
    let mut around = Vec::new();
    for layer in &cell.layers {
        match layer {
            Layer::Detached => enclosing = Some(around.clone()),
            Layer::Managers(construct, _) if construct.ends_before() || *construct == C::Before => {
            }
            Layer::Managers(C::Join, items) => {
                if items.iter().any(|item| item.what == What::Sheds) {
                    enclosing = Some(around.clone());
                }
                around.extend(items);
            }
            Layer::Managers(_, items) => {
                for item in items {
                    if item.what == What::Sheds {
                        enclosing = Some(around.clone());
                    }
                    around.push(*item);
                }
            }
        }
    }
    let detached = record.place("exited", "d");
    if enclosing.is_some() && record.count("exit", "d") != record.count("exited", "d") {
        return Some("d: does not end".to_owned());
    }
    for outer in enclosing.into_iter().flatten() {
        let order = detached.zip(record.place("exit", outer.name));
        if order.is_some_and(|(detached, outer)| detached > outer) {
            return Some(format!("exit {} before exited d", outer.name));
        }
    }
    None
}

/// No task outlives its group.
fn tasks_first(cell: &Cell, record: &Record) -> Option<String> {
    let mut items = cell.items();
    let (_, _, group) = items.find(|(_, _, item)| item.what == What::Group)?;
    let order = record
        .place("exited", "t")
        .zip(record.place("exited", group.name));
    let wrong = order.is_some_and(|(task, group)| task > group);
    wrong.then(|| format!("exited {} before exited t", group.name))
}

static ORACLE: LazyLock<Mutex<HashMap<Cell, Record>>> = LazyLock::new(Mutex::default);

fn oracle(cell: &Cell) -> Record {
    let cell = cell.oracle();
    let known = ORACLE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(record) = known.get(&cell) {
        return record.clone();
    }
    drop(known);
    let record = cell.run();
    let mut known = ORACLE.lock().unwrap_or_else(PoisonError::into_inner);
    known.insert(cell, record.clone());
    record
}

/// Runs a program, and says in what it differs.
pub(crate) fn judge(cell: &Cell) -> Option<Judgement> {
    let oracle = oracle(cell);
    let actual = cell.run();
    let found = |difference, details: String| {
        Some(Judgement {
            difference,
            details: details + &compact(&oracle, &actual),
        })
    };
    if let Some(hangs) = oracle.hangs {
        return found(Difference::Oracle, hangs.to_owned());
    }
    if let Some(broken) = broken_invariant(&cell.oracle(), &oracle) {
        return found(Difference::Oracle, broken);
    }
    if let Some(hangs) = actual.hangs {
        return found(Difference::Hang, hangs.to_owned());
    }
    if let Some(broken) = broken_invariant(cell, &actual) {
        return found(Difference::Invariant, broken);
    }
    let (mut left, mut right) = (oracle.clone(), actual.clone());
    normalize(cell, &mut left, &mut right);
    let difference = compare(cell, &left, &right)?;
    found(difference, String::new())
}

fn compact(oracle: &Record, actual: &Record) -> String {
    let mut text = String::new();
    for (who, record) in [("nested", oracle), ("here  ", actual)] {
        let _ = write!(
            text,
            "\n      {who}: {} -> {}",
            record.events.join(", "),
            record.outcome
        );
        for entry in &record.reports {
            let (manager, phase, incident) = (&entry.manager, &entry.phase, &entry.incident);
            let _ = write!(text, "; {phase} of {manager} ({}) {incident}", entry.cause);
        }
    }
    text
}

fn compare(cell: &Cell, expected: &Record, actual: &Record) -> Option<Difference> {
    if cell.fails_in_exit() {
        return None;
    }
    if expected.outcome != actual.outcome {
        return Some(Difference::Outcome);
    }
    let (joined, is_compared) = joined(cell);
    if !is_compared {
        return None;
    }
    let left_out: Vec<_> = BESIDE
        .iter()
        .copied()
        .chain(joined.iter().map(|(name, _)| *name))
        .collect();
    let (left, right) = (expected.without(&left_out), actual.without(&left_out));
    let exits = |events: &[String]| -> Vec<String> {
        let events = events.iter();
        let kept = events.filter(|event| !matches!(parts(event).0, "inspect" | "body"));
        kept.cloned().collect()
    };
    if exits(&left) != exits(&right) {
        return Some(Difference::Events);
    }
    for (name, is_told_else) in &joined {
        let (left, right) = (exits(&expected.of(name)), exits(&actual.of(name)));
        let same = if *is_told_else {
            left.iter()
                .map(|event| masked(event))
                .eq(right.iter().map(|event| masked(event)))
        } else {
            left == right
        };
        if !same {
            return Some(Difference::Events);
        }
    }
    // A task, or what is detached, may not have come to its enter when the program was hit. A group in a join ends its tasks
    // while the others exit, and one whose exit goes on may not be told what befell it.
    let ends_otherwise = |(layer, construct, item): (usize, C, Item)| {
        item.what == What::Group
            && (construct == C::Join || cell.goes_on_alone(layer, construct, item.name))
    };
    let is_left_out = cell.items().any(ends_otherwise);
    for name in BESIDE
        .into_iter()
        .filter(|name| !(is_left_out && *name == "t"))
    {
        let (left, right) = (expected.of(name), actual.of(name));
        if !left.is_empty() && !right.is_empty() && left != right {
            return Some(Difference::Events);
        }
    }
    compare_reports(cell, expected, actual).or_else(|| compare_details(&left, &right))
}

/// `join`: managers that stand side by side are exited at the same time, each told how the body ended, whatever the exits
/// beside it come to. Returns whether each may be told something else than in nested blocks; and whether the rest is the
/// same at all: of enters that run at the same time, some are finished when another fails or waits.
fn joined(cell: &Cell) -> (Vec<(&'static str, bool)>, bool) {
    let mut names = Vec::new();
    let mut is_compared = true;
    for (layer, _, items) in cell
        .managers()
        .filter(|(_, construct, _)| *construct == C::Join)
    {
        let interrupts =
            |item: &Item| matches!(item.what, What::Timeout | What::Token | What::Group);
        let is_told_else =
            cell.hit_in(layer) || cell.exit_faults(layer) || items.iter().any(interrupts);
        names.extend(items.iter().map(|item| (item.name, is_told_else)));
        is_compared &= !cell.hit_in_enter_of(layer) && !cell.enter_faults(layer);
        if items.iter().any(|item| item.what == What::Hosts) {
            names.extend([("s", true), ("c", true)]);
        }
    }
    (names, is_compared)
}

fn compare_reports(cell: &Cell, expected: &Record, actual: &Record) -> Option<Difference> {
    let rest = |record: &Record| {
        let reports = record.reports.iter();
        let key = |entry: &crate::run::Reported| {
            let cause = if cell.has(C::Join) {
                String::new()
            } else {
                entry.cause.clone()
            };
            (entry.phase.clone(), cause, entry.incident.clone())
        };
        let mut rest: Vec<_> = reports.map(key).collect();
        if cell.has(C::Join) {
            rest.sort();
        }
        rest
    };
    if rest(expected) != rest(actual) {
        return Some(Difference::Reports);
    }
    if cell.has(C::Join) {
        return None;
    }
    let mut pairs = expected.reports.iter().zip(&actual.reports);
    // A generator has the name of its function. A failure of the body has that of the block that lost it.
    let differ = pairs.any(|(left, right)| {
        let is_generator = right.manager.contains("::") || right.manager == "generator";
        left.phase != "body" && !is_generator && left.manager != right.manager
    });
    differ.then_some(Difference::Names)
}

fn compare_details(expected: &[String], actual: &[String]) -> Option<Difference> {
    // Who waits for what is detached looks at the failure before.
    let only = |verb, events: &[String]| -> Vec<String> {
        let events = events.iter();
        events
            .filter(|event| parts(event).0 == verb)
            .cloned()
            .collect()
    };
    if only("inspect", expected) != only("inspect", actual) {
        return Some(Difference::Inspect);
    }
    (only("body", expected) != only("body", actual)).then_some(Difference::Guards)
}
