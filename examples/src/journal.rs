//! What the managers print, and what they count.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_with::Cause;

/// Prints who is entered and exited, indented by what is open, and knows what is open.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    managers: Arc<Mutex<Vec<&'static str>>>,
}

impl Journal {
    fn managers(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.managers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints a line of the program's own.
    pub fn say(&self, line: impl Display) {
        let depth = self.managers().len();
        println!("{:1$}{line}", "", 2 * depth + 3);
    }

    /// A manager was entered. It calls this last, so that a failed enter leaves nothing open.
    pub fn entered(&self, manager: &'static str) {
        self.say(format_args!("> {manager}"));
        self.managers().push(manager);
    }

    /// A manager was exited. It calls this last, and on every path, so that what is open is never too little.
    ///
    /// # Panics
    ///
    /// When this is not the manager that was entered last.
    pub fn exited(&self, manager: &'static str, cause: Cause, how: impl Display) {
        let cause = match cause {
            Cause::Failed(_) => "failed".to_owned(),
            cause => cause.to_string(),
        };
        let depth = self.managers().len().saturating_sub(1);
        println!("{:1$}< {manager} ({cause}): {how}", "", 2 * depth + 3);
        let innermost = self.managers().pop();
        assert_eq!(innermost, Some(manager), "exits run in reverse order");
    }

    /// How many managers are entered and not yet exited.
    #[must_use]
    pub fn open(&self) -> i64 {
        i64::try_from(self.managers().len()).unwrap_or(i64::MAX)
    }
}
