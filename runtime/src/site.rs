//! Names for closures, whose types tell nobody which they are: they are named by where they were handed over.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::Location;
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// Where a function was called.
#[derive(Clone, Copy)]
pub(crate) struct Site(&'static Location<'static>);

/// A function, and where it was called.
type Call = (&'static str, &'static Location<'static>);

/// A name per call that is written in the program, which bounds the memory: none is ever freed.
static NAMES: Mutex<BTreeMap<Call, &'static str>> = Mutex::new(BTreeMap::new());

const RECENT: usize = 16;

thread_local! {
    /// What this thread has named lately, so that it seldom takes the lock.
    static NAMED: [Cell<Option<(Call, &'static str)>>; RECENT] =
        const { [const { Cell::new(None) }; RECENT] };
}

impl Site {
    /// Where the function was called that this is in.
    #[track_caller]
    pub(crate) fn of_caller() -> Self {
        Self(Location::caller())
    }

    /// The name of what the function took there, as in `callback at src/main.rs:12`.
    pub(crate) fn name(self, function: &'static str) -> &'static str {
        let Self(location) = self;
        let call = (function, location);
        let recently = |named: &[Cell<Option<(Call, &'static str)>>; RECENT]| {
            let named =
                &named[ptr::from_ref(location).addr() / align_of::<Location<'_>>() % RECENT];
            match named.get() {
                Some(((of, at), name)) if of == function && ptr::eq(at, location) => name,
                _ => {
                    let name = named_by_all(call);
                    named.set(Some((call, name)));
                    name
                }
            }
        };
        NAMED
            .try_with(recently)
            .unwrap_or_else(|_| named_by_all(call))
    }
}

/// Looks the name up, or makes it.
fn named_by_all(call: Call) -> &'static str {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.entry(call).or_insert_with(|| {
        let (function, at) = call;
        String::leak(format!("{function} at {}:{}", at.file(), at.line()))
    })
}
