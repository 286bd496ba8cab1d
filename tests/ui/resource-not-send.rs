//! The resource of a surviving manager is not `Send`.

use std::convert::Infallible;
use std::rc::Rc;

use async_with::prelude::*;

struct Lease;

impl AsyncContextManager for Lease {
    type Resource = Rc<u64>;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<Rc<u64>, Infallible> {
        Ok(Rc::new(7))
    }

    async fn exit(self, _: Rc<u64>, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

fn main() {}
