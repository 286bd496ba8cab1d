//! TABLE

mod contextlib;
mod contextlib_async;
mod coroutines;
mod python;

use std::future::{Future, Ready, ready};

use async_with::report::{self, Entry, Incident};
use async_with::{
    AsyncContextManager, Cause, ExitVerdict, Generated, Raised, Verdict, async_context_manager,
};
use async_with_tests::{Boom, Log, short};

/// A manager that writes down what it is told: which error, not only of which type.
pub(crate) struct Witness<V = ()> {
    log: Log,
    name: &'static str,
    enter: Option<Boom>,
    exit: Option<Boom>,
    verdict: V,
    told: Option<Boom>,
}

pub(crate) fn witness(log: &Log, name: &'static str) -> Witness {
    Witness {
        log: log.clone(),
        name,
        enter: None,
        exit: None,
        verdict: (),
        told: None,
    }
}

impl Witness {
    pub(crate) fn suppressing(self) -> Witness<Verdict> {
        Witness {
            log: self.log,
            name: self.name,
            enter: self.enter,
            exit: self.exit,
            verdict: Verdict::Suppress,
            told: None,
        }
    }
}

impl<V> Witness<V> {
    pub(crate) fn enter_fails(mut self, error: &'static str) -> Self {
        self.enter = Some(Boom(error));
        self
    }

    pub(crate) fn exit_fails(mut self, error: &'static str) -> Self {
        self.exit = Some(Boom(error));
        self
    }
}

impl<V: ExitVerdict + Send + 'static> AsyncContextManager for Witness<V> {
    type Resource = &'static str;
    type Error = Boom;
    type Exit = V;

    async fn enter(&mut self) -> Result<&'static str, Boom> {
        self.log.write(format!("enter {}", self.name));
        self.enter.map_or(Ok(self.name), Err)
    }

    async fn exit(self, _: &'static str, cause: Cause) -> Result<V, Boom> {
        let told = self.told.map_or(short(cause), |error| error.0.to_owned());
        self.log.write(format!("exit {}: {told}", self.name));
        self.exit.map_or(Ok(self.verdict), Err)
    }

    fn inspect(&mut self, _: &mut &'static str, raised: Raised<'_>) {
        self.told = raised.downcast_ref().copied();
    }
}

/// An exit that fails with an error of this name.
pub(crate) fn raises(
    log: &Log,
    name: &'static str,
) -> impl FnOnce(Cause) -> Ready<Result<(), Boom>> + Send + use<> {
    let log = log.clone();
    move |_| {
        log.write(format!("raise {name}"));
        ready(Err(Boom(name)))
    }
}

/// A manager whose exit fails with an error of this name.
pub(crate) fn raising(log: &Log, name: &'static str) -> Generated<(), Boom> {
    #[async_context_manager]
    async fn manager(log: Log, name: &'static str) -> Result<(), Boom> {
        let ((), cause) = yield_!();
        raises(&log, name)(cause).await
    }
    manager(log.clone(), name)
}

/// An exit that suppresses.
pub(crate) fn suppresses(log: &Log) -> impl FnOnce(Cause) -> Ready<Verdict> + Send + use<> {
    let log = log.clone();
    move |cause| {
        log.write(match cause {
            Cause::Failed(_) => "suppress",
            _ => "nothing to suppress",
        });
        ready(Verdict::Suppress)
    }
}

/// An exit that writes down what it is told.
pub(crate) fn tells(
    log: &Log,
    name: &'static str,
) -> impl FnOnce(Cause) -> Ready<()> + Send + use<> {
    let log = log.clone();
    move |cause| ready(log.write(format!("{name}: {}", short(cause))))
}

/// Awaits, and writes down what is raised.
pub(crate) async fn outcome(log: &Log, future: impl Future<Output = Result<(), Boom>>) {
    if let Err(error) = future.await {
        log.write(format!("raised {}", error.0));
    }
}

/// Writes down all errors: the one that was raised, then those that were reported.
pub(crate) fn happened(log: &Log, result: Result<(), Boom>, entries: &[Entry]) {
    let raised = result.err().map(|error| error.0.to_owned());
    let names: Vec<_> = raised.into_iter().chain(reported(entries)).collect();
    log.write(format!("happened: {}", names.join(" ")));
}

/// The names of the errors that were reported.
pub(crate) fn reported(entries: &[Entry]) -> Vec<String> {
    let name = |entry: &Entry| match &entry.incident {
        Incident::Error { debug, .. } => debug.split('"').nth(1).unwrap_or_default().to_owned(),
        other => panic!("{other}"),
    };
    entries.iter().map(name).collect()
}

/// Runs what CPython tests the chaining of exceptions with: the body fails, then an exit, both are suppressed, and then
/// three more exits fail.
pub(crate) async fn chained(
    scenario: &str,
    log: &Log,
    run: impl Future<Output = Result<(), Boom>>,
) {
    let (result, entries) = report::collect(run).await;
    assert_eq!(result, Err(Boom("Attribute")));
    assert_eq!(reported(&entries), ["Value", "Key", "Index"]);
    let raised: Vec<_> = log.take();
    let expected = [
        "raise Value",
        "suppress",
        "raise Attribute",
        "raise Key",
        "raise Index",
        "happened: ZeroDivision Value",
        "happened: Attribute Key Index",
    ];
    assert_eq!(raised, expected[..5]);
    python::logs(scenario, &expected);
}
