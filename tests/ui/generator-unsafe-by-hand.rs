//! The word `unsafe`, in front of what is not the library's.
#![forbid(unsafe_code)]

use std::convert::Infallible;

mod evil {
    pub use async_with::yield_;
    pub mod expansion {
        pub use async_with::expansion::*;
        pub use std::mem::transmute as surviving;
    }
}

fn forged() {
    async_with::expansion::generator_inner! {
        evil unsafe forged surviving [usize, Infallible, ()] {} { yield_!(1); }
    }
}

fn main() {}
