//! What is going to leave a block, and the rules by which the end of an exit changes it.
//!
//! A block applies them once, to what its body ended with. A stack does once per entry: what leaves one entry is what its
//! neighbor further out is told of. Managers that exit beside each other, as those of a `join`, do once for each.

use std::fmt::Debug;
use std::mem;

use crate::cause::ErrorType;
use crate::manager::{Exited, Left, Payload, report_of};
use crate::nest::drop_caught;
use crate::report::{Incident, Phase};
use crate::{Cause, Verdict};

/// What is going to leave, unless an exit changes it. `B` stands for what the body ended with.
pub(crate) enum Leaving<B, E> {
    /// The value, the jump or the return of the body.
    Body(B),
    /// An error of a manager.
    Raised(E),
    /// The error of the interruption that the manager itself asked for; none, if it goes on after that.
    Interrupted(Option<E>),
    /// Nothing: one further out interrupts, and goes on when this has ended.
    Cancelled,
    /// Nothing any more: it was suppressed.
    Nothing,
    Panicked(Payload),
    /// Nobody waits for it.
    Dropped,
}

/// What the rules ask about what the body ended with; its owner alone knows the type.
pub(crate) trait Ended<B> {
    /// The failure in it, for the report.
    fn failure(&mut self, body: &mut B) -> Option<Incident>;

    /// Whether it is a panic, which the owner keeps.
    fn is_panic(&self, _: &B) -> bool {
        false
    }

    /// Drops it. Fails with what panicked then.
    fn give_up(&mut self, body: B) -> Result<(), Payload>;
}

/// Whose exit it is, for the report.
pub(crate) struct Who<'a> {
    manager: Name<'a>,
    /// What the exit was told.
    cause: Cause,
    /// Whose failure is pending, and of which phase, if it is not simply that of the body.
    pending: Option<(&'static str, Phase)>,
}

#[derive(Clone, Copy)]
enum Name<'a> {
    Known(&'static str),
    LookedUp(&'a dyn Fn() -> &'static str),
}

impl<'a> Who<'a> {
    pub(crate) fn named(manager: &'static str, cause: Cause) -> Self {
        Self {
            manager: Name::Known(manager),
            cause,
            pending: None,
        }
    }

    /// The name is looked up only where there is something to report.
    pub(crate) fn found_by(manager: &'a dyn Fn() -> &'static str, cause: Cause) -> Self {
        Self {
            manager: Name::LookedUp(manager),
            cause,
            pending: None,
        }
    }

    /// One of several that exit beside each other: the failure that is pending is another one's.
    pub(crate) fn beside(self, manager: &'static str, phase: Phase) -> Self {
        Self {
            pending: Some((manager, phase)),
            ..self
        }
    }

    fn manager(&self) -> &'static str {
        match self.manager {
            Name::Known(manager) => manager,
            Name::LookedUp(look_up) => look_up(),
        }
    }

    fn report(&self, phase: Phase, incident: Incident) {
        report_of(self.manager(), phase, self.cause, incident);
    }

    fn report_lost(&self, phase: Phase, incident: Incident) {
        let (manager, phase) = self.pending.unwrap_or_else(|| (self.manager(), phase));
        report_of(manager, phase, self.cause, incident);
    }
}

impl<B, E: Debug> Leaving<B, E> {
    /// An exit has ended. `outside` says whether one further out interrupts.
    pub(crate) fn after(
        &mut self,
        exited: Exited<Verdict, E>,
        outside: bool,
        ended: &mut (impl Ended<B> + ?Sized),
        who: &Who<'_>,
    ) {
        match exited {
            // A verdict ends an error and the interruption that the manager asked for, and a panic if it says so; neither a
            // completion nor a drop (SUP-1, SUP-2, SUP-4).
            Exited::Returned(verdict) if self.ends_with(verdict, ended, who.cause) => {
                self.replace(Leaving::Nothing, ended, who);
            }
            Exited::Returned(_) => {}
            // The error of an exit takes the place of a value (FLO-6) ..
            Exited::Failed(error) if !outside && self.completes(who.cause) => {
                if self.replace(Leaving::Nothing, ended, who) {
                    *self = Leaving::Raised(error);
                } else {
                    who.report(Phase::Exit, Incident::error(&error));
                }
            }
            // .. but not that of a failure (ERR-3), a panic (ERR-4), or an interruption.
            Exited::Failed(error) => who.report(Phase::Exit, Incident::error(&error)),
            Exited::Panicked(payload) => self.panic(payload, Phase::Exit, ended, who),
        }
        self.go_on(outside, ended, who);
    }

    /// Whoever is further out and interrupts raises an error of its own; else this is the place at which an interruption is
    /// raised (CAN-6). A panic goes on in any case.
    pub(crate) fn go_on(
        &mut self,
        outside: bool,
        ended: &mut (impl Ended<B> + ?Sized),
        who: &Who<'_>,
    ) {
        if matches!(self, Leaving::Dropped) || self.is_panic(ended) {
            return;
        }
        if outside {
            self.report_failure(ended, who);
            self.replace(Leaving::Cancelled, ended, who);
        } else if let Leaving::Interrupted(error) = self {
            *self = error.take().map_or(Leaving::Nothing, Leaving::Raised);
        }
    }

    /// A panic takes the place of what was going to leave, and of nothing else than a panic: the first one is resumed. What
    /// it takes the place of is reported (PAN-2).
    #[cold]
    #[inline(never)]
    pub(crate) fn panic(
        &mut self,
        payload: Payload,
        phase: Phase,
        ended: &mut (impl Ended<B> + ?Sized),
        who: &Who<'_>,
    ) {
        if matches!(self, Leaving::Dropped) || self.is_panic(ended) {
            who.report(phase, Incident::panic(payload));
        } else {
            mem::replace(self, Leaving::Panicked(payload)).lost(ended, who);
        }
    }

    /// Something else has left in its place, or nobody waits for it any more: a failure is reported (ERR-5).
    #[cold]
    #[inline(never)]
    pub(crate) fn lost(mut self, ended: &mut (impl Ended<B> + ?Sized), who: &Who<'_>) {
        self.report_failure(ended, who);
        let dropped = match self {
            Leaving::Panicked(payload) => {
                who.report_lost(Phase::Body, Incident::panic(payload));
                Ok(())
            }
            other => other.give_up(ended),
        };
        if let Err(later) = dropped {
            who.report(Phase::Body, Incident::panic(later));
        }
    }

    #[inline(never)]
    fn report_failure(&mut self, ended: &mut (impl Ended<B> + ?Sized), who: &Who<'_>) {
        let failure = match self {
            Leaving::Body(body) => ended.failure(body).map(|failure| (Phase::Body, failure)),
            Leaving::Raised(error) => Some((Phase::Body, Incident::error(error))),
            Leaving::Interrupted(Some(error)) => Some((Phase::Interrupt, Incident::error(error))),
            _ => None,
        };
        if let Some((phase, incident)) = failure {
            who.report_lost(phase, incident);
        }
    }

    /// Puts something else in its place, and says whether that was done: what panics when it is dropped leaves instead.
    // Each type of body has a copy of these: one of each is enough.
    #[inline(never)]
    fn replace(&mut self, by: Self, ended: &mut (impl Ended<B> + ?Sized), who: &Who<'_>) -> bool {
        match mem::replace(self, by).give_up(ended) {
            Ok(()) => true,
            Err(payload) => {
                self.panic(payload, Phase::Body, ended, who);
                false
            }
        }
    }

    /// Drops it. Fails with what panicked then.
    pub(crate) fn give_up(self, ended: &mut (impl Ended<B> + ?Sized)) -> Result<(), Payload> {
        match self {
            Leaving::Body(body) => ended.give_up(body),
            Leaving::Panicked(payload) => {
                drop(Incident::panic(payload));
                Ok(())
            }
            other => drop_caught(other),
        }
    }

    fn completes(&self, cause: Cause) -> bool {
        match self {
            Leaving::Body(_) => cause.is_completed(),
            Leaving::Nothing => true,
            _ => false,
        }
    }

    fn is_panic(&self, ended: &(impl Ended<B> + ?Sized)) -> bool {
        match self {
            Leaving::Body(body) => ended.is_panic(body),
            Leaving::Panicked(_) => true,
            _ => false,
        }
    }

    fn ends_with(&self, verdict: Verdict, ended: &(impl Ended<B> + ?Sized), cause: Cause) -> bool {
        let can_end = !self.completes(cause) && !matches!(self, Leaving::Dropped);
        match verdict {
            Verdict::Propagate => false,
            Verdict::Suppress => can_end && !self.is_panic(ended),
            Verdict::SuppressPanic => can_end,
        }
    }
}

/// Where the body's end is somebody else's, and all that is known of it is what the exits are told.
impl Ended<Cause> for dyn Left + '_ {
    fn failure(&mut self, _: &mut Cause) -> Option<Incident> {
        Left::failure(self)
    }

    fn is_panic(&self, cause: &Cause) -> bool {
        *cause == Cause::Panicked
    }

    fn give_up(&mut self, _: Cause) -> Result<(), Payload> {
        Left::give_up(self)
    }
}

impl<E: Debug + 'static> Leaving<Cause, E> {
    /// Where the exits of a body begin that ended so.
    pub(crate) fn of(cause: Cause) -> Self {
        match cause {
            Cause::Completed | Cause::Failed(_) | Cause::Panicked => Leaving::Body(cause),
            Cause::Cancelled => Leaving::Cancelled,
            Cause::Dropped => Leaving::Dropped,
        }
    }

    /// What the next exit is told.
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Leaving::Body(cause) => *cause,
            Leaving::Raised(_) => Cause::Failed(ErrorType::of::<E>()),
            Leaving::Interrupted(_) | Leaving::Cancelled => Cause::Cancelled,
            Leaving::Nothing => Cause::Completed,
            Leaving::Panicked(_) => Cause::Panicked,
            Leaving::Dropped => Cause::Dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, Ended, ErrorType, Exited, Incident, Leaving, Payload, Verdict, Who};
    use crate::report::{self, Entry};

    /// What is going to leave, and what does when the exit of each column has ended. `+` is in front of what is reported.
    ///
    /// FLO-6, ERR-3, ERR-4, SUP-1, SUP-2, SUP-4, PAN-2, CAN-6.
    const BY_ITSELF: &str = "
| leaves       | returns   | suppresses | suppresses panics | fails                    | panics                 |
| ------------ | --------- | ---------- | ----------------- | ------------------------ | ---------------------- |
| value        | value     | value      | value             | exit's error             | exit's panic           |
| failure      | failure   | nothing    | nothing           | failure + exit's error   | exit's panic + failure |
| error        | error     | nothing    | nothing           | error + exit's error     | exit's panic + error   |
| interruption | error     | nothing    | nothing           | error + exit's error     | exit's panic + error   |
| moves on     | nothing   | nothing    | nothing           | nothing + exit's error   | exit's panic           |
| cancelled    | cancelled | nothing    | nothing           | cancelled + exit's error | exit's panic           |
| nothing      | nothing   | nothing    | nothing           | exit's error             | exit's panic           |
| panic        | panic     | panic      | nothing           | panic + exit's error     | panic + exit's panic   |
| drop         | drop      | drop       | drop              | drop + exit's error      | drop + exit's panic    |
";

    /// The same while one further out interrupts.
    const INTERRUPTED: &str = "
| leaves       | returns             | suppresses | suppresses panics | fails                              | panics                 |
| ------------ | ------------------- | ---------- | ----------------- | ---------------------------------- | ---------------------- |
| value        | cancelled           | cancelled  | cancelled         | cancelled + exit's error           | exit's panic           |
| failure      | cancelled + failure | cancelled  | cancelled         | cancelled + exit's error + failure | exit's panic + failure |
| error        | cancelled + error   | cancelled  | cancelled         | cancelled + exit's error + error   | exit's panic + error   |
| interruption | cancelled + error   | cancelled  | cancelled         | cancelled + exit's error + error   | exit's panic + error   |
| moves on     | cancelled           | cancelled  | cancelled         | cancelled + exit's error           | exit's panic           |
| cancelled    | cancelled           | cancelled  | cancelled         | cancelled + exit's error           | exit's panic           |
| nothing      | cancelled           | cancelled  | cancelled         | cancelled + exit's error           | exit's panic           |
| panic        | panic               | panic      | cancelled         | panic + exit's error               | panic + exit's panic   |
| drop         | drop                | drop       | drop              | drop + exit's error                | drop + exit's panic    |
";

    const ERROR: &str = "error";
    const EXITS_ERROR: &str = "exit's error";

    /// A body that ended with what its name says.
    struct Named;

    impl Ended<&'static str> for Named {
        fn failure(&mut self, body: &mut &'static str) -> Option<Incident> {
            (*body == "failure").then(|| Incident::error(&Name("failure")))
        }

        fn give_up(&mut self, _: &'static str) -> Result<(), Payload> {
            Ok(())
        }
    }

    struct Name(&'static str);

    impl std::fmt::Debug for Name {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    fn leaving(name: &str) -> (Leaving<&'static str, Name>, Cause) {
        let failed = Cause::Failed(ErrorType::of::<Name>());
        match name {
            "value" => (Leaving::Body("value"), Cause::Completed),
            "failure" => (Leaving::Body("failure"), failed),
            "error" => (Leaving::Raised(Name(ERROR)), failed),
            "interruption" => (Leaving::Interrupted(Some(Name(ERROR))), Cause::Cancelled),
            "moves on" => (Leaving::Interrupted(None), Cause::Cancelled),
            "cancelled" => (Leaving::Cancelled, Cause::Cancelled),
            "nothing" => (Leaving::Nothing, Cause::Completed),
            "panic" => (Leaving::Panicked(Box::new("panic")), Cause::Panicked),
            "drop" => (Leaving::Dropped, Cause::Dropped),
            other => panic!("nothing leaves as {other}"),
        }
    }

    fn exited(name: &str) -> Exited<Verdict, Name> {
        match name {
            "returns" => Exited::Returned(Verdict::Propagate),
            "suppresses" => Exited::Returned(Verdict::Suppress),
            "suppresses panics" => Exited::Returned(Verdict::SuppressPanic),
            "fails" => Exited::Failed(Name(EXITS_ERROR)),
            "panics" => Exited::Panicked(Box::new("exit's panic")),
            other => panic!("no exit ends as {other}"),
        }
    }

    fn left(leaving: &Leaving<&'static str, Name>) -> &'static str {
        match leaving {
            Leaving::Body(name) | Leaving::Raised(Name(name)) => name,
            Leaving::Interrupted(_) => "interruption",
            Leaving::Cancelled => "cancelled",
            Leaving::Nothing => "nothing",
            Leaving::Panicked(payload) => payload.downcast_ref().copied().unwrap_or("?"),
            Leaving::Dropped => "drop",
        }
    }

    async fn cell(leaves: &str, exit: &str, outside: bool) -> String {
        let (mut leaving, cause) = leaving(leaves);
        let after = async {
            let who = Who::named("manager", cause);
            leaving.after(exited(exit), outside, &mut Named, &who);
        };
        let ((), reported) = report::collect(after).await;
        let what = |Entry { incident, .. }: Entry| match incident {
            Incident::Error { debug, .. } => debug,
            Incident::Panicked(message) => message,
            other => other.to_string(),
        };
        let reported = reported.into_iter().map(what);
        let mut cells = vec![left(&leaving).to_owned()];
        cells.extend(reported);
        cells.join(" + ")
    }

    #[tokio::test]
    async fn the_end_of_an_exit_changes_what_leaves() {
        for (table, outside) in [(BY_ITSELF, false), (INTERRUPTED, true)] {
            let rows = table.trim().lines().map(|row| {
                let cells = row.trim_matches('|').split('|').map(str::trim);
                cells.collect::<Vec<_>>()
            });
            let rows: Vec<_> = rows.collect();
            for row in &rows[2..] {
                for (exit, expected) in rows[0].iter().zip(row).skip(1) {
                    let seen = cell(row[0], exit, outside).await;
                    assert_eq!(seen, *expected, "{} leaves, exit {exit}, {outside}", row[0]);
                }
            }
        }
    }
}
