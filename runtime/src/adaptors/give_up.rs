//! An adaptor's own code panicked while its manager was entered.

use std::panic::resume_unwind;

use crate::Cause;
use crate::manager::{Exited, Managed, Payload, exit_on_level, report_of};
use crate::report::{Incident, Phase};

/// Exits the manager, told [`Cause::Panicked`], and resumes the panic (rule PAN-1). A later failure is reported.
///
/// It is boxed, because it is there in every block and almost never used.
pub(super) async fn give_up<M: Managed, T>(
    manager: M,
    resource: M::Resource,
    phase: Phase,
    payload: Payload,
) -> T {
    Box::pin(async move {
        let name = manager.name();
        let mut unraised = Unraised {
            name,
            phase,
            payload: Some(payload),
        };
        let exit = |level| manager.exit(resource, Cause::Panicked, None, Some(level));
        let exited = exit_on_level(name, exit).await;
        let incident = match exited {
            Exited::Returned(_) => None,
            Exited::Failed(error) => Some(Incident::error(&error)),
            Exited::Panicked(payload) => Some(Incident::panic(payload)),
        };
        if let Some(incident) = incident {
            report_of(name, Phase::Exit, Cause::Panicked, incident);
        }
        match unraised.payload.take() {
            Some(payload) => resume_unwind(payload),
            None => unreachable!("it is taken once"),
        }
    })
    .await
}

/// A panic that is going to be resumed. Dropped before that, it is reported.
struct Unraised {
    name: &'static str,
    phase: Phase,
    payload: Option<Payload>,
}

impl Drop for Unraised {
    fn drop(&mut self) {
        if let Some(payload) = self.payload.take() {
            let incident = Incident::panic(payload);
            report_of(self.name, self.phase, Cause::Dropped, incident);
        }
    }
}
