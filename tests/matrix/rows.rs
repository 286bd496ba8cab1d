//! The programs of each row, and what a row prints.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;

use crate::constructs::Construct;
use crate::judge::{Judgement, judge};
use crate::managers::{Ending, Fault, Item, Kind, Point, Source, What};
use crate::run::{Cell, Layer};

const FAULTS: [Fault; 4] = [
    Fault::EnterFails,
    Fault::EnterPanics,
    Fault::ExitFails,
    Fault::ExitPanics,
];
const ENDINGS: [Ending; 3] = [Ending::Completes, Ending::Fails, Ending::Panics];

fn outer() -> Layer {
    Layer::Managers(Construct::Nested, vec![Item::plain("o")])
}

fn environment(what: What) -> Layer {
    let item = Item::new("e", Kind::Surviving, what);
    Layer::Managers(Construct::Nested, vec![item])
}

fn interrupters() -> [(What, Source); 3] {
    [
        (What::Timeout, Source::Timeout),
        (What::Token, Source::Token),
        (What::Group, Source::Task),
    ]
}

fn shapes() -> Vec<Vec<Item>> {
    use Kind::{Scoped, Surviving};
    use What::{Hosts, Nothing, Sheds};
    let shapes: [&[(Kind, What)]; 12] = [
        &[(Surviving, Nothing)],
        &[(Surviving, Nothing), (Surviving, Nothing)],
        &[
            (Surviving, Nothing),
            (Surviving, Nothing),
            (Surviving, Nothing),
        ],
        &[(Scoped, Nothing)],
        &[(Scoped, Nothing), (Surviving, Nothing)],
        &[(Surviving, Nothing), (Scoped, Nothing)],
        &[(Scoped, Nothing), (Scoped, Nothing), (Scoped, Nothing)],
        &[(Surviving, Nothing), (Surviving, Hosts)],
        &[(Surviving, Hosts), (Surviving, Nothing)],
        &[(Scoped, Nothing), (Scoped, Hosts)],
        &[(Surviving, Nothing), (Surviving, Sheds)],
        &[(Scoped, Nothing), (Scoped, Sheds)],
    ];
    let names = ["a", "b", "c"];
    let shapes = shapes.iter().map(|shape| {
        let items = names.iter().zip(*shape);
        items
            .map(|(name, (kind, what))| Item::new(name, *kind, *what))
            .collect()
    });
    shapes.collect()
}

fn plain(names: &[&'static str]) -> Vec<Item> {
    names.iter().map(|name| Item::plain(name)).collect()
}

/// The program, with this fault in its manager of this name.
fn faulty(layers: &[Layer], name: &str, fault: Fault) -> Vec<Layer> {
    let mut layers = layers.to_vec();
    for layer in &mut layers {
        let Layer::Managers(_, items) = layer else {
            continue;
        };
        for item in items.iter_mut().filter(|item| item.name == name) {
            item.fault = Some(fault);
        }
    }
    layers
}

struct Cells {
    cells: Vec<Cell>,
    threads: usize,
}

impl Cells {
    fn push(&mut self, layers: Vec<Layer>, ending: Ending, hit: Option<(Point, Source)>) {
        let cell = Cell {
            layers,
            ending,
            hit,
            threads: self.threads,
        };
        if cell.makes_sense() {
            self.cells.push(cell);
        }
    }

    /// Nothing hits it.
    fn undisturbed(&mut self, layers: &[Layer], faults: bool) {
        for ending in ENDINGS.into_iter().chain([Ending::Drains]) {
            self.push(layers.to_vec(), ending, None);
        }
        let items = items(layers);
        for item in items
            .iter()
            .filter(|_| faults)
            .filter(|item| !["o", "e"].contains(&item.name))
        {
            for fault in FAULTS {
                for ending in [Ending::Completes, Ending::Fails] {
                    self.push(faulty(layers, item.name, fault), ending, None);
                }
            }
        }
    }

    /// It is hit at each of its points that are inside of what does so.
    fn hit(&mut self, layers: &[Layer], source: Source, faults: bool) {
        let items = items(layers);
        let by = match source {
            Source::Drop | Source::Cut => Some(0),
            Source::Timeout => items.iter().position(|item| item.what == What::Timeout),
            Source::Token => items.iter().position(|item| item.what == What::Token),
            Source::Task => items.iter().position(|item| item.what == What::Group),
        };
        let inside = &items[by.expect("it has one") + 1..];
        self.push(
            layers.to_vec(),
            Ending::Completes,
            Some((Point::Body, source)),
        );
        for item in inside {
            let name = item.name;
            let hosts = item.what == What::Hosts;
            let mut push =
                |ending, point| self.push(layers.to_vec(), ending, Some((point, source)));
            push(Ending::Completes, Point::Enter(name));
            if hosts {
                push(Ending::Completes, Point::SetUp(name));
            }
            if item.what == What::Group {
                push(Ending::Completes, Point::Waiting(name));
            }
            for ending in ENDINGS {
                push(ending, Point::Exit(name));
                if hosts {
                    push(ending, Point::CleanUp(name));
                }
            }
            let hit = Some((Point::Exit(name), source));
            for fault in [Fault::ExitFails, Fault::ExitPanics]
                .into_iter()
                .filter(|_| faults)
            {
                self.push(faulty(layers, name, fault), Ending::Completes, hit);
                if name != inside[0].name {
                    self.push(
                        faulty(layers, inside[0].name, fault),
                        Ending::Completes,
                        hit,
                    );
                }
            }
        }
    }
}

fn items(layers: &[Layer]) -> Vec<Item> {
    let layers = layers.iter();
    let items = layers.flat_map(|layer| match layer {
        Layer::Managers(_, items) => &items[..],
        Layer::Detached => &[],
    });
    items.copied().collect()
}

/// The construct in each environment, with managers of each kind.
fn alone(cells: &mut Cells, construct: Construct) {
    let all = shapes();
    // What adaptors that only hand on can get wrong shows with half of them.
    let fewer = [1, 4, 5, 7, 9, 10].map(|shape| all[shape].clone()).to_vec();
    for items in if construct.hands_on() { fewer } else { all } {
        let inner = Layer::Managers(construct, items);
        let bare = [outer(), inner.clone()];
        cells.undisturbed(&bare, true);
        for source in [Source::Drop, Source::Cut] {
            cells.hit(&bare, source, true);
        }
        for (what, source) in interrupters() {
            let within = [outer(), environment(what), inner.clone()];
            cells.undisturbed(&within, false);
            cells.hit(&within, source, true);
        }
        let group = [outer(), environment(What::Group), inner.clone()];
        let token = environment(What::Token);
        for source in [Source::Drop, Source::Cut] {
            cells.hit(&group, source, false);
        }
        for beside in [
            [outer(), token.clone(), Layer::Detached, inner.clone()],
            [outer(), token.clone(), inner.clone(), Layer::Detached],
        ] {
            // Of what is shed in an enter, and in the body, one is enough.
            if items_shed(&inner) {
                continue;
            }
            cells.undisturbed(&beside, true);
            for source in [Source::Drop, Source::Cut, Source::Token] {
                cells.hit(&beside, source, false);
            }
        }
    }
}

fn items_shed(layer: &Layer) -> bool {
    items(std::slice::from_ref(layer))
        .iter()
        .any(|item| item.what == What::Sheds)
}

/// What interrupts stands in the construct itself.
fn from_within(cells: &mut Cells, construct: Construct) {
    for (what, source) in interrupters() {
        let interrupter = Item::new("b", Kind::Surviving, what);
        let all = [
            vec![Item::plain("a"), interrupter, Item::plain("c")],
            vec![interrupter, Item::plain("c")],
            vec![Item::plain("a"), interrupter],
        ];
        let fewer = if construct.hands_on() { 1 } else { all.len() };
        // The error of a stack that is a manager is taken out before its exits, where it is converted: its managers further
        // out than the one that interrupted are told of none (docs of `into_manager`).
        let is_told =
            |items: &Vec<Item>| construct != Construct::IntoManager || items[0].what == what;
        for items in all.into_iter().take(fewer).filter(is_told) {
            let inner = Layer::Managers(construct, items);
            let layers = [outer(), inner.clone()];
            let around = [
                outer(),
                inner,
                Layer::Managers(Construct::Nested, plain(&["x"])),
            ];
            cells.undisturbed(&layers, true);
            cells.hit(&layers, source, true);
            cells.hit(&around, source, false);
            cells.hit(&layers, Source::Drop, false);
            cells.hit(&around, Source::Cut, false);
            for (other, source) in interrupters() {
                if other != what {
                    let within = [outer(), environment(other), layers[1].clone()];
                    cells.hit(&within, source, false);
                }
            }
        }
    }
}

/// Other constructs stand inside.
fn pairs(cells: &mut Cells, construct: Construct) {
    if construct.hands_on() && construct != Construct::Boxed {
        return;
    }
    let others = Construct::ALL.into_iter();
    for inner in others.filter(|inner| !inner.hands_on() || *inner == Construct::Boxed) {
        let first = Layer::Managers(construct, plain(&["a", "b"]));
        let second = Layer::Managers(inner, plain(&["x", "y"]));
        let bare = [outer(), first.clone(), second.clone()];
        cells.undisturbed(&bare, false);
        for (name, fault) in [("b", Fault::EnterFails), ("b", Fault::ExitFails)]
            .into_iter()
            .chain(
                [Fault::EnterFails, Fault::ExitFails, Fault::ExitPanics].map(|fault| ("x", fault)),
            )
        {
            cells.push(faulty(&bare, name, fault), Ending::Completes, None);
        }
        cells.hit(&bare, Source::Drop, false);
        let within = [outer(), environment(What::Token), first, second];
        cells.hit(&within, Source::Token, false);
    }
}

/// What is deterministic with several threads: one task, without time.
fn threads(cells: &mut Cells, construct: Construct) {
    for items in [
        plain(&["a", "b"]),
        shapes()[7].clone(),
        shapes()[10].clone(),
    ] {
        let inner = Layer::Managers(construct, items);
        let bare = [outer(), inner.clone()];
        cells.undisturbed(&bare, true);
        for source in [Source::Drop, Source::Cut] {
            cells.hit(&bare, source, false);
        }
        for (what, source) in interrupters() {
            if source != Source::Timeout {
                let within = [outer(), environment(what), inner.clone()];
                cells.hit(&within, source, false);
            }
        }
    }
}

/// Several rows run at the same time.
static PRINTING: Mutex<()> = Mutex::new(());

/// Judges the cells of a row, prints what differs, and fails when something does.
fn judge_row(row: &str, cells: &[Cell]) -> Result<(), String> {
    let mut found = BTreeMap::<_, Vec<(&Cell, Judgement)>>::new();
    for cell in cells {
        if let Some(judgement) = judge(cell) {
            let of_kind = found.entry(judgement.difference).or_default();
            of_kind.push((cell, judgement));
        }
    }
    let differ: usize = found.values().map(Vec::len).sum();
    let mut text = format!(
        "{row}: {} of {} cells hold",
        cells.len() - differ,
        cells.len()
    );
    for (difference, found) in &found {
        let number = found.len();
        let _ = write!(text, "\n  {difference:?}: {number}{}", by_innermost(found));
        for (cell, judgement) in found.iter().take(shown()) {
            let _ = write!(text, "\n    {}: {}", described(cell), judgement.details);
        }
    }
    let printing = PRINTING.lock();
    println!("{text}");
    drop(printing);
    if differ == 0 {
        Ok(())
    } else {
        Err(format!("{row}: {differ} cells differ"))
    }
}

/// In pairs, the construct inside may be what differs.
fn by_innermost(found: &[(&Cell, Judgement)]) -> String {
    let mut numbers = BTreeMap::<_, usize>::new();
    for (cell, _) in found {
        let (_, construct, _) = cell.items().last().expect("there is a block");
        *numbers.entry(format!("{construct:?}")).or_default() += 1;
    }
    if numbers.len() == 1 {
        return String::new();
    }
    let numbers = numbers.iter();
    let numbers: Vec<_> = numbers
        .map(|(construct, number)| format!("{construct} {number}"))
        .collect();
    format!(" (innermost: {})", numbers.join(", "))
}

/// How many of each kind are shown.
fn shown() -> usize {
    let number = std::env::var("ASYNC_WITH_SHOWN");
    number
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(3)
}

fn described(cell: &Cell) -> String {
    let layers = cell.layers.iter().map(|layer| match layer {
        Layer::Managers(construct, items) => {
            let items: Vec<_> = items.iter().map(described_item).collect();
            format!("{construct:?}[{}]", items.join(" "))
        }
        Layer::Detached => "Detached".to_owned(),
    });
    let layers: Vec<_> = layers.collect();
    let hit = cell
        .hit
        .map(|(point, source)| format!(", {source:?} at {point:?}"));
    let threads = if cell.threads > 0 { ", threads" } else { "" };
    let (layers, ending, hit) = (layers.join(" > "), cell.ending, hit.unwrap_or_default());
    format!("{layers}, {ending:?}{hit}{threads}")
}

fn described_item(item: &Item) -> String {
    let scoped = if item.kind == Kind::Scoped { "~" } else { "" };
    let what = match item.what {
        What::Nothing => String::new(),
        what => format!(":{what:?}"),
    };
    let fault = item.fault.map(|fault| format!("!{fault:?}"));
    format!("{scoped}{}{what}{}", item.name, fault.unwrap_or_default())
}

pub(crate) fn row(
    construct: Construct,
    of: fn(Construct) -> Vec<Cell>,
    name: &str,
) -> Result<(), String> {
    judge_row(&format!("{construct:?} {name}"), &of(construct))
}

fn made(threads: usize, make: impl FnOnce(&mut Cells)) -> Vec<Cell> {
    let mut cells = Cells {
        cells: Vec::new(),
        threads,
    };
    make(&mut cells);
    cells.cells
}

pub(crate) fn alone_cells(construct: Construct) -> Vec<Cell> {
    made(0, |cells| alone(cells, construct))
}

pub(crate) fn from_within_cells(construct: Construct) -> Vec<Cell> {
    made(0, |cells| from_within(cells, construct))
}

pub(crate) fn pairs_cells(construct: Construct) -> Vec<Cell> {
    made(0, |cells| pairs(cells, construct))
}

pub(crate) fn threads_cells(construct: Construct) -> Vec<Cell> {
    made(2, |cells| threads(cells, construct))
}
