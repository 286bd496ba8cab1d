//! The slots of the nest: one per level that is open, in leaked chunks, so that whoever finds one may look at it.
//!
//! # Invariants
//!
//! 1. A slot has one owner, the [`Level`](super::Level) that took it, from `take` to `give_back`. Only the owner writes its
//!    fields; everybody may read them.
//! 2. The generation is odd while the slot is in use, and grows by one when it is taken and when it is given back.
//! 3. The fields are written behind a release fence before the generation becomes odd (Release). A reader loads the
//!    generation (Acquire), the fields, and behind an acquire fence the generation again: when both are the same and odd,
//!    the fields belong together. For a field of a later use cannot be seen without the generation that came before it.
//! 4. So the name that a reader puts together of pointer and length is one that was stored as one.
//! 5. What is seldom used lies behind a lock, and is empty unless the flag [`COLD`] is set.
//!
//! A slot that is given back goes to the list of the thread that does so, and from there to all when it is one too many.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use super::{Cold, Place, current};
use crate::sync::{
    AtomicPtr, AtomicU64, AtomicUsize, Mutex, MutexGuard, fence, shared, thread_local,
};

/// Something lies in [`Cold`].
pub(super) const COLD: usize = 1;
/// Its exit goes on without its block.
pub(super) const DETACHED: usize = 1 << 1;
/// Its exit has begun.
pub(super) const EXITING: usize = 1 << 2;
/// Nobody waits for its exit any more, but what comes after it.
pub(super) const GIVEN_UP: usize = 1 << 3;
/// It has a membership in an interruption.
pub(super) const MEMBER: usize = 1 << 4;
/// It is no exit that is owed: a place that code runs in.
pub(super) const HIDDEN: usize = 1 << 5;
/// A generator in the body left a note of how its block ended.
pub(super) const MARKED: usize = 1 << 6;
/// Interruptions end here: what runs in it goes on when the body around it does not.
pub(super) const SHIELD: usize = 1 << 7;

/// Levels of generators are around its body.
pub(super) const AROUND: usize = 1 << 8;
/// It is hidden, because its enter is under way.
pub(super) const ENTERING: usize = 1 << 9;
/// Its runtime lies in [`Cold`].
pub(super) const HAS_RUNTIME: usize = 1 << 10;
/// It is listed, and owed by the level that it is a part of.
pub(super) const PART: usize = 1 << 13;
/// It was interrupted around the yield of a generator: what stands behind that is run.
pub(super) const RUNS_OUT: usize = 1 << 11;
/// What stands behind it is running: clean-up, which is not interrupted.
pub(super) const RESUMED: usize = 1 << 12;

const CHUNK: usize = 32;

#[derive(Default)]
#[repr(align(64))]
pub(crate) struct Slot {
    generation: AtomicUsize,
    pub(super) flags: AtomicUsize,
    name: AtomicPtr<u8>,
    name_length: AtomicUsize,
    /// What the level is inside of.
    under: Link,
    under_generation: AtomicUsize,
    /// As [`Task`](crate::executor::Task) and [`Runtime`](crate::executor::Runtime) have them.
    pub(super) task: AtomicU64,
    pub(super) runtime: AtomicU64,
    /// See [`clock`](super::clock); 0 is not yet.
    pub(super) since: AtomicU64,
    /// The how-manieth of its thread.
    number: AtomicUsize,
    /// How many wait in `drain` in it.
    pub(super) drains: AtomicUsize,
    next_free: Link,
    cold: Mutex<Cold>,
}

/// A slot, or none. It is only ever set to one that is there for good.
#[derive(Default)]
struct Link(AtomicPtr<Slot>);

impl Link {
    #[inline]
    fn get(&self) -> Option<&'static Slot> {
        // SAFETY: the pointer is null or that of a `&'static Slot`, see `set`.
        unsafe { self.0.load(Relaxed).as_ref() }
    }

    #[inline]
    fn set(&self, slot: Option<&'static Slot>) {
        let pointer = slot.map_or(ptr::null_mut(), |slot| ptr::from_ref(slot).cast_mut());
        self.0.store(pointer, Relaxed);
    }
}

shared! {
    static CHUNKS: Mutex<Vec<&'static [Slot]>> = Mutex::new(Vec::new());
    /// Free ones that no thread has.
    static SPARE: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());
}

thread_local! {
    /// Gives the slots of a thread to all when it ends.
    static LEAVING: Leaving = const { Leaving };
}

struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        current(|current| {
            current.free.is_closed.set(true);
            let mut spare = lock(&SPARE);
            while let Some(slot) = current.free.pop() {
                spare.push(slot);
            }
        });
    }
}

/// The free slots of a thread.
pub(super) struct Free {
    first: Cell<Option<&'static Slot>>,
    count: Cell<usize>,
    /// The thread ends.
    is_closed: Cell<bool>,
}

impl Free {
    pub(super) const fn new() -> Self {
        Self {
            first: Cell::new(None),
            count: Cell::new(0),
            is_closed: Cell::new(false),
        }
    }

    #[inline]
    fn pop(&self) -> Option<&'static Slot> {
        let slot = self.first.get()?;
        self.first.set(slot.next_free.get());
        self.count.set(self.count.get() - 1);
        Some(slot)
    }

    #[inline]
    fn push(&self, slot: &'static Slot) {
        slot.next_free.set(self.first.get());
        self.first.set(Some(slot));
        self.count.set(self.count.get() + 1);
    }

    #[inline]
    pub(super) fn take(&self) -> &'static Slot {
        match self.pop() {
            Some(slot) => slot,
            None => self.refill(),
        }
    }

    #[cold]
    #[inline(never)]
    fn refill(&self) -> &'static Slot {
        // Without it, the thread ends: what is taken then is given back to all.
        let _ = LEAVING.try_with(|_| ());
        let found = {
            let mut spare = lock(&SPARE);
            let from = spare.len().saturating_sub(CHUNK / 2);
            spare.split_off(from)
        };
        let found = if found.is_empty() {
            let chunk: Vec<Slot> = (0..CHUNK).map(|_| Slot::default()).collect();
            let chunk: &'static [Slot] = Vec::leak(chunk);
            lock(&CHUNKS).push(chunk);
            chunk.iter().collect()
        } else {
            found
        };
        // In the order in which they lie, which is about that in which they are listed.
        let mut found = found.into_iter();
        let first = found.next();
        found.rev().for_each(|slot| self.push(slot));
        match first {
            Some(slot) => slot,
            None => unreachable!("a chunk is not empty"),
        }
    }

    #[inline]
    fn give_back(&self, slot: &'static Slot) {
        if self.is_closed.get() {
            lock(&SPARE).push(slot);
            return;
        }
        self.push(slot);
        if self.count.get() > 2 * CHUNK {
            self.overflow();
        }
    }

    #[cold]
    #[inline(never)]
    fn overflow(&self) {
        let mut spare = lock(&SPARE);
        while self.count.get() > CHUNK
            && let Some(slot) = self.pop()
        {
            spare.push(slot);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a reader finds in a slot.
pub(super) struct Seen {
    pub(super) name: &'static str,
    pub(super) flags: usize,
    pub(super) runtime: u64,
    pub(super) since: u64,
    pub(super) number: usize,
    pub(super) drains: usize,
    pub(super) under: Option<Place>,
    pub(super) place: Place,
}

impl Seen {
    /// Since when it is open. One that has not waited yet is as old as the first question; that another level has the slot by
    /// now does not matter, which then begins anew.
    pub(super) fn age(&self) -> u64 {
        if self.since != 0 {
            return self.since;
        }
        let since = &self.place.slot.since;
        let now = super::read_clock();
        since
            .compare_exchange(0, now, Relaxed, Relaxed)
            .err()
            .unwrap_or(now)
    }
}

impl Slot {
    /// Fills a free slot, and shows it to everybody.
    #[inline]
    pub(super) fn open(&'static self, name: &'static str, flags: usize, number: usize) {
        fence(Release);
        self.flags.store(flags, Relaxed);
        self.name.store(name.as_ptr().cast_mut(), Relaxed);
        self.name_length.store(name.len(), Relaxed);
        self.since.store(0, Relaxed);
        self.number.store(number, Relaxed);
        self.drains.store(0, Relaxed);
    }

    /// After [`open`](Self::open), and after the other fields are set.
    #[inline]
    pub(super) fn show(&self) {
        let generation = self.generation.load(Relaxed);
        self.generation.store(generation.wrapping_add(1), Release);
    }

    /// It is free from now on.
    #[inline]
    pub(super) fn give_back(&'static self) {
        let generation = self.generation.load(Relaxed);
        // In one order with those who begin to wait: either they see this, or it is seen that they wait.
        self.generation.swap(generation.wrapping_add(1), SeqCst);
        current(|current| current.free.give_back(self));
    }

    #[inline]
    pub(super) fn generation(&self) -> usize {
        self.generation.load(Relaxed)
    }

    #[inline]
    pub(super) fn has(&self, flag: usize) -> bool {
        self.flags.load(Relaxed) & flag != 0
    }

    #[inline]
    pub(super) fn set(&self, flag: usize, to: bool) {
        let flags = self.flags.load(Relaxed);
        let flags = if to { flags | flag } else { flags & !flag };
        self.flags.store(flags, Relaxed);
    }

    #[inline]
    pub(super) fn place(&'static self) -> Place {
        Place {
            slot: self,
            generation: self.generation(),
        }
    }

    #[inline]
    pub(super) fn under(&self) -> Option<Place> {
        Some(Place {
            slot: self.under.get()?,
            generation: self.under_generation.load(Relaxed),
        })
    }

    #[inline]
    pub(super) fn set_under(&self, place: Option<Place>) {
        self.under.set(place.map(|place| place.slot));
        let generation = place.map_or(0, |place| place.generation);
        self.under_generation.store(generation, Relaxed);
    }

    /// To be looked at by the owner, or together with the generation.
    #[inline]
    pub(super) fn name(&self) -> &'static str {
        let (pointer, length) = (self.name.load(Relaxed), self.name_length.load(Relaxed));
        if pointer.is_null() {
            return "";
        }
        // SAFETY: pointer and length are those of a `&'static str`, which `open` has stored. That they are those of the
        // same one is known to the owner, and to a reader by the generation: see above.
        unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(pointer, length)) }
    }

    /// What is seldom used.
    pub(super) fn cold(&self) -> MutexGuard<'_, Cold> {
        lock(&self.cold)
    }

    /// Looks at a slot of somebody else's: `None` when it is free, or changes meanwhile.
    fn see(&'static self) -> Option<Seen> {
        let generation = self.generation.load(Acquire);
        if generation.is_multiple_of(2) {
            return None;
        }
        let (name, length) = (self.name.load(Relaxed), self.name_length.load(Relaxed));
        let (flags, drains) = (self.flags.load(Relaxed), self.drains.load(Relaxed));
        let (runtime, since) = (self.runtime.load(Relaxed), self.since.load(Relaxed));
        let (number, under) = (self.number.load(Relaxed), self.under());
        fence(Acquire);
        if self.generation.load(Relaxed) != generation {
            return None;
        }
        // SAFETY: as in `name`.
        let name =
            unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(name, length)) };
        Some(Seen {
            name,
            flags,
            runtime,
            since,
            number,
            drains,
            under,
            place: Place {
                slot: self,
                generation,
            },
        })
    }
}

impl Place {
    /// What is there, if it still is.
    pub(super) fn see(self) -> Option<Seen> {
        self.slot.see().filter(|seen| seen.place == self)
    }
}

/// Looks for slots in use again and again, each time where it found one the last time.
#[derive(Default)]
pub(super) struct Search {
    chunks: Vec<&'static [Slot]>,
    /// The number of the chunk in which one was found.
    at: usize,
    found: Option<Place>,
}

impl Search {
    /// Whether one of the slots in use is such a one; `None` when some have changed meanwhile, so that it is not known.
    ///
    /// While one level ends, another may be opened in a slot that was passed already. Generations only grow: when a second
    /// pass finds the same sum of them, nothing has changed between the two, and all were seen at one moment.
    pub(super) fn finds(&mut self, is: impl Fn(&Seen) -> bool) -> Option<bool> {
        if self
            .found
            .and_then(Place::see)
            .is_some_and(|seen| is(&seen))
        {
            return Some(true);
        }
        self.chunks.clone_from(&lock(&CHUNKS));
        let Self { chunks, at, found } = self;
        let mut sum = 0_usize;
        for number in (*at..chunks.len()).chain(0..*at) {
            for slot in chunks[number] {
                let generation = slot.generation.load(Acquire);
                sum = sum.wrapping_add(generation);
                if !generation.is_multiple_of(2)
                    && let Some(seen) = slot.see().filter(&is)
                {
                    (*at, *found) = (number, Some(seen.place));
                    return Some(true);
                }
            }
        }
        fence(Acquire);
        let slots = chunks.iter().copied().flatten();
        let again = slots.fold(0_usize, |sum, slot| {
            sum.wrapping_add(slot.generation.load(Acquire))
        });
        (sum == again && lock(&CHUNKS).len() == chunks.len()).then_some(false)
    }
}

/// The slots in use, each as it was at some moment.
pub(super) fn all() -> Vec<Seen> {
    let chunks = lock(&CHUNKS).clone();
    chunks
        .iter()
        .copied()
        .flatten()
        .filter_map(Slot::see)
        .collect()
}

impl Slot {
    /// It is owed from now on: to those who look, another use of the slot.
    #[inline]
    pub(super) fn reopen(&self) {
        let generation = self.generation.load(Relaxed);
        self.generation.store(generation.wrapping_add(2), Release);
    }

    pub(super) fn place_when_armed(&'static self) -> Place {
        Place {
            slot: self,
            generation: self.generation().wrapping_add(2),
        }
    }
}
