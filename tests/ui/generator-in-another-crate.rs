//! The path is that of a module, where a function that is `unsafe` has the name of one of the library's.
#![forbid(unsafe_code)]

use std::convert::Infallible;

use async_with::async_context_manager;

mod evil {
    pub mod expansion {
        pub use async_with::expansion::ResultParts;
        #[allow(unused_imports)]
        pub use std::mem::transmute as surviving;
        pub type Generated<R, E, V> = <(R, E, V) as Pick>::Out;
        pub trait Pick {
            type Out;
        }
        impl<R, E, V> Pick for (R, E, V) {
            type Out = &'static String;
        }
    }
}

#[async_context_manager(crate = evil)]
async fn forged(address: usize) -> Result<usize, Infallible> {
    yield_!(address);
}

fn main() {}
