//! The names of the macros: each way to bring them into scope, and what may stand beside it. The packages in
//! `tests/renamed` compile this file in other editions.

#![deny(warnings, redundant_imports, unused, unused_qualifications)]

use std::convert::Infallible;

use async_with::{AsyncContextManager, Cause};

/// A manager that lends the number it holds.
struct Lend(u32);

impl AsyncContextManager for Lend {
    type Resource = u32;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<u32, Infallible> {
        Ok(self.0)
    }

    async fn exit(self, _: u32, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The documented line.
mod documented {
    use async_with::prelude::*;

    use super::{Infallible, Lend};

    #[async_context_manager]
    pub(super) async fn lease(number: u32) -> Result<u32, Infallible> {
        let mut number = number;
        let cause: Cause = yield_!(&mut number);
        assert!(cause.is_completed());
    }

    #[attr::async_with(lease(1) as a)]
    pub(super) async fn with_managers(b: u32) -> u32 {
        *a + async_with! { Lend(b) as b => { *b } }
    }

    #[attr::async_with]
    pub(super) async fn bare() -> u32 {
        #[with]
        let a = Lend(1);
        let b = #[with(lease(2) as b)]
        {
            *b
        };
        *a + b
    }

    /// ATT-4: the block, the attribute, a generator and the traits by the one line of the documentation.
    #[tokio::test]
    async fn one_line_brings_all_of_it() {
        let block = async_with! { Lend(1) as a, lease(2).map(|n| **n + 1) as b => { *a + *b } };
        assert_eq!((block, with_managers(3).await, bare().await), (4, 4, 3));
    }

    /// A module of tests, as it is usually written.
    mod tests {
        use super::*;

        #[async_context_manager]
        async fn ten(number: u32) -> Result<u32, Infallible> {
            yield_!(&mut { number * 10 });
        }

        #[attr::async_with(ten(1) as a, lease(2) as b)]
        async fn with_managers() -> u32 {
            *a + *b
        }

        #[attr::async_with]
        async fn bare() -> u32 {
            #[with]
            let a = ten(3);
            let b = #[with(ten(4) as b)]
            {
                *b
            };
            *a + b
        }

        /// ATT-4: all forms through `use super::*`.
        #[tokio::test]
        #[attr::async_with(Lend(5) as five)]
        async fn glob_of_the_module_around() {
            let block = async_with! { Lend(1) as a, ten(2).map(|n| **n) as b => { *a + *b } };
            assert_eq!((block, with_managers().await, bare().await), (21, 12, 70));
            assert_eq!(super::with_managers(*five).await, 6);
        }
    }

    /// A module of tests with imports of its own besides.
    #[allow(unused_imports, reason = "one of the globs brings what the other does")]
    mod more_tests {
        use super::*;
        use async_with::async_with;
        use async_with::prelude::*;

        #[attr::async_with(lease(1) as a)]
        async fn with_managers() -> u32 {
            async_with! { Lend(2) as b => { *a + *b } }
        }

        /// ATT-4: two globs and a name, all of the same macro.
        #[tokio::test]
        async fn globs_and_a_name() {
            let block = async_with! { Lend(1) as a, lease(2).map(|n| **n) as b => { *a + *b } };
            assert_eq!((block, with_managers().await), (3, 3));
        }
    }

    /// What only its own glob brings.
    #[allow(unused_imports, reason = "one of the globs brings what the other does")]
    mod both_globs {
        use super::*;
        use async_with::prelude::*;

        /// ATT-4: two globs.
        #[tokio::test]
        #[attr::async_with]
        async fn two_globs() {
            #[with]
            let a = Lend(1);
            assert_eq!(async_with! { lease(2).map(|n| **n) as b => { *a + *b } }, 3);
        }
    }
}

/// A prelude of the user's own.
mod prelude {
    pub(super) use super::Lend;
    pub(super) use async_with::prelude::*;
}

mod by_a_prelude_of_ones_own {
    use super::prelude::*;

    #[attr::async_with(Lend(1) as a)]
    async fn with_managers() -> u32 {
        *a
    }

    /// ATT-4: through a prelude of the user's own.
    #[tokio::test]
    async fn prelude_of_ones_own() {
        assert_eq!(
            with_managers().await + async_with! { Lend(2) as b => { *b } },
            3
        );
    }

    #[allow(unused_imports, reason = "one of the globs brings what the other does")]
    mod tests {
        use super::super::prelude::*;
        use super::*;
        use async_with::prelude::*;

        /// ATT-4: a prelude of the user's own beside the other ways.
        #[tokio::test]
        #[attr::async_with(Lend(2) as a)]
        async fn prelude_of_ones_own_and_others() {
            assert_eq!(
                *a + with_managers().await + async_with! { Lend(2).map(|n| *n) as b => { *b } },
                5
            );
        }
    }
}

/// The whole crate by a glob, and its prelude.
mod by_the_crate {
    use async_with::prelude::*;
    use async_with::*;

    /// ATT-4: everything there is.
    #[tokio::test]
    #[attr::async_with(nullcontext(1) as a)]
    async fn the_crate_and_the_prelude() {
        assert_eq!(*a + async_with! { nullcontext(2) as b => { *b } }, 3);
    }
}

/// Each by itself with the documented line: nothing in it is called unused.
mod only {
    mod blocks {
        use async_with::prelude::*;

        /// ATT-4: with nothing but blocks.
        #[tokio::test]
        async fn only_blocks() {
            assert_eq!(async_with! { super::super::Lend(1) as a => { *a } }, 1);
        }
    }

    mod blocks_by_name {
        use async_with::async_with;

        /// ATT-4: with nothing but blocks, by the name of the block.
        #[tokio::test]
        async fn only_blocks_by_name() {
            assert_eq!(async_with! { super::super::Lend(1) as a => { *a } }, 1);
        }
    }

    mod the_attribute {
        use async_with::prelude::*;

        #[attr::async_with(super::super::Lend(1) as a)]
        async fn with_managers() -> u32 {
            *a
        }

        /// ATT-4: with nothing but the attribute.
        #[tokio::test]
        async fn only_the_attribute() {
            assert_eq!(with_managers().await, 1);
        }
    }

    mod the_attribute_by_name {
        use async_with::attr::async_with;

        #[async_with(super::super::Lend(1) as a)]
        async fn with_managers() -> u32 {
            *a + async_with! { super::super::Lend(1) as a => { *a } }
        }

        /// ATT-4: with nothing but the attribute, by its name. It brings the block.
        #[tokio::test]
        async fn only_the_attribute_by_name() {
            assert_eq!(with_managers().await, 2);
        }
    }

    mod the_traits {
        use std::convert::Infallible;

        use async_with::prelude::*;

        /// ATT-4: with nothing but a method of a trait.
        #[tokio::test]
        async fn only_the_traits() {
            let run = super::super::Lend(1).run(async |n: &mut u32| Ok::<u32, Infallible>(*n + 1));
            assert_eq!(run.await, Ok(2));
        }
    }
}

/// One attribute inside of another, and above another.
mod attributes_together {
    use async_with::attr;
    use async_with::attr::async_with as with_managers;

    use super::Lend;

    struct Service(u32);

    #[attr::async_with]
    impl Service {
        #[attr::async_with(Lend(self.0) as a)]
        async fn with_managers(&self) -> u32 {
            async_with! { Lend(1) as b => { *a + *b } }
        }

        #[attr::async_with]
        async fn bare(&self) -> u32 {
            #[with]
            let a = Lend(self.0);
            async_with! { Lend(2) as b => { *a + *b } }
        }

        async fn neither(&self) -> u32 {
            #[with]
            let a = Lend(self.0);
            #[attr::async_with(Lend(number) as a)]
            async fn inside(number: u32) -> u32 {
                #[with_managers]
                async fn further_inside() -> u32 {
                    #[with]
                    let a = Lend(1);
                    async_with! { Lend(2) as b => { *a + *b } }
                }
                *a + further_inside().await + async_with! { Lend(2) as b => { *b } }
            }
            inside(*a).await
        }
    }

    #[attr::async_with]
    trait Serve {
        async fn number(&self) -> u32;

        #[attr::async_with(Lend(self.number().await) as a)]
        async fn serve(&self) -> u32 {
            async_with! { Lend(1) as b => { *a + *b } }
        }
    }

    impl Serve for Service {
        async fn number(&self) -> u32 {
            self.0
        }
    }

    #[attr::async_with]
    mod module {
        use async_with::attr;

        use super::Lend;

        #[attr::async_with(Lend(1) as a)]
        pub(super) async fn with_managers() -> u32 {
            async_with! { Lend(2) as b => { *a + *b } }
        }

        pub(super) struct Inside;

        #[attr::async_with]
        impl Inside {
            #[attr::async_with(Lend(1) as a)]
            pub(super) async fn with_managers() -> u32 {
                async_with! { Lend(2) as b => { *a + *b } }
            }
        }
    }

    #[attr::async_with]
    #[attr::async_with(Lend(1) as a)]
    async fn bare_above() -> u32 {
        #[with]
        let b = Lend(2);
        async_with! { Lend(3) as c => { *a + *b + *c } }
    }

    #[attr::async_with(Lend(1) as a)]
    #[attr::async_with]
    async fn bare_below() -> u32 {
        #[with]
        let b = Lend(2);
        async_with! { Lend(3) as c => { *a + *b + *c } }
    }

    #[attr::async_with]
    #[attr::async_with]
    async fn bare_twice() -> u32 {
        #[with]
        let b = Lend(2);
        async_with! { Lend(3) as c => { *b + *c } }
    }

    #[attr::async_with(Lend(1) as a)]
    #[attr::async_with(Lend(2) as b)]
    async fn with_managers_twice() -> u32 {
        #[with]
        let c = Lend(3);
        async_with! { Lend(4) as d => { *a + *b + *c + *d } }
    }

    #[with_managers(Lend(1) as a)]
    #[with_managers]
    async fn renamed(service: &Service) -> u32 {
        #[with]
        let b = Lend(service.0);
        async_with! { Lend(3) as c => { *a + *b + *c } }
    }

    /// ATT-1, ATT-2, ATT-4: both kinds of the attribute, around each other and above one function, in every order, and
    /// under another name.
    #[tokio::test]
    async fn attributes_around_and_above_each_other() {
        let service = Service(5);
        assert_eq!(service.with_managers().await, 6);
        assert_eq!(service.bare().await, 7);
        assert_eq!(service.neither().await, 10);
        assert_eq!(service.serve().await, 6);
        assert_eq!(module::with_managers().await, 3);
        assert_eq!(module::Inside::with_managers().await, 3);
        assert_eq!(bare_above().await, 6);
        assert_eq!(bare_below().await, 6);
        assert_eq!(bare_twice().await, 5);
        assert_eq!(with_managers_twice().await, 10);
        assert_eq!(renamed(&service).await, 9);
    }
}

/// What the attribute brings into scope beside what the user imports.
mod beside_imports {
    mod of_the_block {
        use async_with::{async_with, attr};

        /// ATT-4: an import of the block around, and in the body.
        #[tokio::test]
        #[attr::async_with]
        async fn around_and_inside() {
            async fn nested() -> u32 {
                use async_with::async_with;

                async_with! { super::super::Lend(1) as a => { *a } }
            }
            assert_eq!(
                nested().await + async_with! { super::super::Lend(2) as a => { *a } },
                3
            );
        }
    }

    mod of_everything {
        use super::super::Lend;

        /// ATT-4: the documented line in the body itself.
        #[tokio::test]
        #[async_with::attr::async_with(Lend(1) as a)]
        async fn in_the_body() {
            use async_with::prelude::*;

            #[attr::async_with(Lend(2) as b)]
            async fn nested() -> u32 {
                async_with! { Lend(3).map(|n| *n) as c => { *b + *c } }
            }
            assert_eq!(*a + nested().await, 6);
        }
    }

    mod of_the_attribute {
        use async_with::attr::async_with;

        use super::super::Lend;

        /// ATT-4: the attribute by its name, which a block in its function does not take for the attribute.
        #[tokio::test]
        #[async_with]
        async fn by_its_name() {
            #[async_with(Lend(1) as a)]
            async fn nested() -> u32 {
                async_with! { Lend(2) as b => { *a + *b } }
            }
            assert_eq!(nested().await + async_with! { Lend(3) as a => { *a } }, 6);
        }
    }
}
