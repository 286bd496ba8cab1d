//! A crate that knows the library under another name: the block finds it by itself, the attribute is told with
//! `crate = path`. No crate is called `async_with` here.

use std::convert::Infallible;

use contexts::{AsyncContextManager, Cause};

/// Exports the block under a name of this crate's.
pub mod reexport {
    /// The library itself, for the attribute's `crate = path`.
    pub use contexts as library;
    pub use contexts::async_with as with_block;
    pub use contexts::attr::async_with as with_managers;
}

/// A manager that lends the number it holds.
#[derive(Clone, Copy, Debug)]
pub struct Open(pub u64);

impl AsyncContextManager for Open {
    type Resource = u64;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(self.0)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Open;

    /// By its path, without an import.
    #[tokio::test]
    async fn the_block_by_its_path() {
        let sum = contexts::async_with! { Open(1) as a, Open(2) as b => { *a + *b } };
        assert_eq!(sum, 3);
    }

    /// With the import that the documentation shows, jumps and `?` included.
    #[tokio::test]
    async fn the_block_with_the_documented_import() {
        use contexts::prelude::*;

        async fn run(limit: u64) -> Result<u64, Verdict> {
            for number in 0..limit {
                async_with! { Open(number) as n => {
                    if *n == 0 {
                        continue;
                    }
                    if *n == 2 {
                        return Ok(*n);
                    }
                    n.checked_sub(1).ok_or(Verdict::Propagate)?;
                }}
            }
            Err(Verdict::Propagate)
        }
        assert_eq!(run(9).await, Ok(2));
        assert_eq!(run(1).await, Err(Verdict::Propagate));
    }

    /// The attribute with managers.
    #[tokio::test]
    async fn the_attribute_with_managers() {
        use contexts::prelude::*;

        #[attr::async_with(crate = contexts, Open(first) as a, Open(2) as b)]
        async fn run(first: u64) -> u64 {
            // The block needs no import here.
            let third = async_with! { Open(3) as c => { *c } };
            *a + *b + third
        }
        assert_eq!(run(1).await, 6);
    }

    /// The bare attribute, on a function, an `impl` block and a module.
    #[tokio::test]
    async fn the_bare_attribute() {
        use contexts::prelude::*;

        #[attr::async_with(crate = contexts)]
        async fn run() -> u64 {
            #[with]
            let a = Open(1);
            let b = #[with(Open(2) as b)]
            {
                *b
            };
            *a + b + async_with! { Open(3) as c => { *c } }
        }
        struct Service;
        #[attr::async_with(crate = ::contexts)]
        impl Service {
            async fn run(&self) -> u64 {
                #[with]
                let a = Open(4);
                *a
            }
        }
        #[attr::async_with(crate = contexts)]
        mod module {
            pub(super) async fn run() -> u64 {
                async_with! { super::Open(5) as a => { *a } }
            }
        }
        assert_eq!(
            (run().await, Service.run().await, module::run().await),
            (6, 4, 5)
        );
    }

    /// One attribute around and above another, through a glob of the module around, and beside an import of the block.
    #[tokio::test]
    async fn attributes_together_through_globs() {
        mod around {
            pub(super) use contexts::prelude::*;

            pub(super) use super::Open;

            pub(super) mod inside {
                use super::*;
                use contexts::async_with;

                pub(in super::super) struct Service;

                #[attr::async_with(crate = contexts)]
                impl Service {
                    #[attr::async_with(crate = contexts, Open(1) as a)]
                    pub(in super::super) async fn run(&self) -> u64 {
                        async_with! { Open(2) as b => { *a + *b } }
                    }
                }

                #[attr::async_with(crate = contexts)]
                #[attr::async_with(crate = crate::reexport::library, Open(1) as a)]
                pub(in super::super) async fn run() -> u64 {
                    #[with]
                    let b = Open(2);
                    async_with! { Open(3) as c => { *a + *b + *c } }
                }
            }
        }
        assert_eq!(around::inside::Service.run().await, 3);
        assert_eq!(around::inside::run().await, 6);
    }

    /// Another crate's re-exports, under other names again.
    #[tokio::test]
    async fn the_macros_under_names_of_a_crate_between() {
        use crate::reexport::{with_block, with_managers};

        #[with_managers(crate = crate::reexport::library, Open(1) as a)]
        async fn run() -> u64 {
            let b = with_block! { Open(2) as b => { *b } };
            let c = crate::reexport::with_block!(Open(3) as c, { *c });
            *a + b + c
        }
        assert_eq!(run().await, 6);
    }
}
