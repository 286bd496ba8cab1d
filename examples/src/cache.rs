//! Balances that need not be read again.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use async_with::{AsyncContextManager, Cause, async_context_manager};

use crate::journal::Journal;

/// Balances by account.
pub type Balances = BTreeMap<&'static str, i64>;

/// Lends an empty map to the body. On exit, the balances in it are kept when the body completed; otherwise what was
/// known about these accounts is forgotten.
///
/// It stands to the left of the transaction, so that it exits after it: a commit that fails is a failure to the cache.
#[derive(Debug)]
pub struct Cache {
    /// What is known to everybody.
    pub known: Arc<Mutex<Balances>>,
    /// Where to write that it happened.
    pub journal: Journal,
}

#[async_context_manager]
impl AsyncContextManager for Cache {
    async fn enter(&mut self) -> Result<Balances, Infallible> {
        self.journal.entered("cache");
        Ok(Balances::new())
    }

    async fn exit(self, balances: Balances, cause: Cause) -> Result<(), Infallible> {
        let how = if cause.is_completed() {
            "keeps"
        } else {
            "forgets"
        };
        let names: Vec<_> = balances.keys().copied().collect();
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|name, _| !balances.contains_key(name));
            if cause.is_completed() {
                known.extend(balances);
            }
        }
        let how = match &names[..] {
            [] => "changes nothing".to_owned(),
            names => format!("{how} {}", names.join(" and ")),
        };
        self.journal.exited("cache", cause, how);
        Ok(())
    }
}
