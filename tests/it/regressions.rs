//! What random programs have shown to be wrong, as small as it gets.

use async_with::prelude::*;
use async_with_tests::{Boom, Log};

/// ATT-2: the forms inside of an attributed function are on in the bodies of `async_with!` too. rustc did not know the
/// attribute `with` there.
#[tokio::test]
async fn marked_statements_in_the_body_of_a_macro() {
    #[async_with]
    async fn forms(log: &Log, good: bool) -> Result<u64, Boom> {
        let value = async_with! { log.suppressing("a") => {
            #[with]
            let b = log.fallible("b");
            b.note();
            async_with!(log.manager("c"), {
                #[with(log.manager("d") as d)]
                {
                    d.check(good)?;
                }
            });
            b.value
        } else {
            #[with]
            let e = log.manager("e");
            e.value
        }};
        Ok(value)
    }
    let log = Log::new();
    assert_eq!(forms(&log, true).await, Ok(1));
    let expected = [
        "enter a",
        "enter b",
        "use b",
        "enter c",
        "enter d",
        "exit d: completed",
        "exit c: completed",
        "exit b: completed",
        "exit a: completed",
    ];
    assert_eq!(log.take(), expected);
    assert_eq!(forms(&log, false).await, Ok(0));
    let events = log.take();
    assert_eq!(
        events[events.len() - 3..],
        ["exit a: failed Boom", "enter e", "exit e: completed"]
    );
}
