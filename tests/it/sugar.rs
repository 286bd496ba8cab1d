//! The associated types of a manager, read off its signatures.

use std::any::{TypeId, type_name};
use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::rc::Rc;

use async_with::{ScopedAsyncContextManager, prelude::*};
use async_with_tests::{Boom, Log};

/// The names of `Resource`, `Error` and `Exit`.
fn types<M: AsyncContextManager>() -> [&'static str; 3] {
    [
        type_name::<M::Resource>(),
        type_name::<M::Error>(),
        type_name::<M::Exit>(),
    ]
}

fn are<M: AsyncContextManager, R: 'static, E: 'static, V: 'static>() {
    let found = [
        TypeId::of::<M::Resource>(),
        TypeId::of::<M::Error>(),
        TypeId::of::<M::Exit>(),
    ];
    let expected = [TypeId::of::<R>(), TypeId::of::<E>(), TypeId::of::<V>()];
    assert_eq!(found, expected, "{:?}", types::<M>());
}

struct Plain(Log);

#[async_context_manager]
impl AsyncContextManager for Plain {
    async fn enter(&mut self) -> Result<u64, Boom> {
        self.0.write("enter");
        Ok(7)
    }

    async fn exit(self, number: u64, cause: Cause) -> Result<(), Boom> {
        self.0.write(format!("exit {number}: {cause}"));
        Ok(())
    }
}

#[tokio::test]
async fn the_manager_works_in_a_block() {
    let log = Log::new();
    let block = async {
        async_with! { Plain(log.clone()) as number => {
            *number += 1;
        }}
        Ok::<_, Boom>(())
    };
    assert_eq!(block.await, Ok(()));
    assert_eq!(log.take(), ["enter", "exit 8: completed"]);
    are::<Plain, u64, Boom, ()>();
}

/// SUP-1: the type of the verdict is inferred too.
#[test]
fn the_verdict_is_read_off_exit() {
    struct Suppressing;

    #[async_context_manager]
    impl AsyncContextManager for Suppressing {
        async fn enter(&mut self) -> std::result::Result<(), Infallible> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> core::result::Result<Verdict, Infallible> {
            Ok(Verdict::Suppress)
        }
    }
    are::<Suppressing, (), Infallible, Verdict>();
}

/// Aliases with one argument, with two in another order, and with none.
#[test]
fn aliases_are_left_to_rustc() {
    type Swapped<E, T> = Result<T, E>;
    type Opened = Result<String, Boom>;
    type Maybe<T> = anyhow::Result<Option<T>>;

    struct Io;
    struct Anyhow;
    struct Both;
    struct Ordered;

    #[async_context_manager]
    impl AsyncContextManager for Io {
        async fn enter(&mut self) -> io::Result<u8> {
            Ok(1)
        }

        async fn exit(self, _: u8, _: Cause) -> io::Result<Verdict> {
            Ok(Verdict::Propagate)
        }
    }
    #[async_context_manager]
    impl AsyncContextManager for Anyhow {
        async fn enter(&mut self) -> Maybe<u8> {
            Ok(None)
        }

        async fn exit(self, _: Self::Resource, _: Cause) -> anyhow::Result<()> {
            Ok(())
        }
    }
    #[async_context_manager]
    impl AsyncContextManager for Both {
        async fn enter(&mut self) -> Opened {
            Ok(String::new())
        }

        async fn exit(self, _: String, _: Cause) -> anyhow::Result<(), Boom> {
            Ok(())
        }
    }
    #[async_context_manager]
    impl AsyncContextManager for Ordered {
        async fn enter(&mut self) -> Swapped<Boom, u8> {
            Ok(1)
        }

        async fn exit(self, _: u8, _: Cause) -> Swapped<Boom, ()> {
            Ok(())
        }
    }
    are::<Io, u8, io::Error, Verdict>();
    are::<Anyhow, Option<u8>, anyhow::Error, ()>();
    are::<Both, String, Boom, ()>();
    are::<Ordered, u8, Boom, ()>();
}

/// What is written by hand wins, and what the signatures call by `Self::` does not loop.
#[test]
fn types_by_hand_and_types_of_self_work() {
    struct Hand;
    struct Crossed;
    struct Around;

    #[async_context_manager]
    impl AsyncContextManager for Hand {
        type Resource = u8;
        type Error = Boom;

        async fn enter(&mut self) -> Result<Self::Resource, Self::Error> {
            Ok(1)
        }

        async fn exit(self, _: Self::Resource, _: Cause) -> Result<(), Self::Error> {
            Ok(())
        }
    }
    #[async_context_manager]
    impl AsyncContextManager for Crossed {
        async fn enter(&mut self) -> Result<Self::Resource, Boom> {
            Ok(vec![])
        }

        async fn exit(self, _: Vec<Self::Error>, _: Cause) -> Result<Verdict, Self::Error> {
            Ok(Verdict::Propagate)
        }
    }
    #[async_context_manager]
    impl AsyncContextManager for Around {
        async fn enter(&mut self) -> io::Result<Self::Resource> {
            Ok(1)
        }

        async fn exit(self, _: u8, _: Cause) -> Result<(), <Self as AsyncContextManager>::Error> {
            Ok(())
        }
    }
    are::<Hand, u8, Boom, ()>();
    are::<Crossed, Vec<Boom>, Boom, Verdict>();
    are::<Around, u8, io::Error, ()>();
}

/// Generics, lifetimes and bounds of the `impl`; a scoped manager that borrows and is not `Send`.
#[tokio::test]
async fn scoped_managers_with_generics_and_lifetimes_work() {
    struct Lent<'a, T, E> {
        value: &'a Cell<Option<T>>,
        error: PhantomData<Rc<E>>,
    }

    #[async_context_manager]
    impl<'a, T: Clone, E> ScopedAsyncContextManager for Lent<'a, T, E>
    where
        E: Debug + From<Infallible> + 'static,
    {
        async fn enter(&mut self) -> Result<(&'a Cell<Option<T>>, T), E> {
            let value = self.value.take().expect("it is there");
            self.value.set(Some(value.clone()));
            Ok((self.value, value))
        }

        async fn exit(self, (cell, value): Self::Resource, _: Cause) -> Result<(), E> {
            cell.set(Some(value));
            Ok(())
        }
    }
    let cell = Cell::new(Some(String::from("a")));
    let lent = Lent::<_, Infallible> {
        value: &cell,
        error: PhantomData,
    };
    async_with! { lent as (_, text) => { text.push('b') } }
    assert_eq!(cell.take().as_deref(), Some("ab"));
}

/// Methods without `async` that return the future by `impl Future`, and the provided ones.
#[tokio::test]
async fn futures_and_provided_methods_are_kept() {
    struct Interrupting;

    #[async_context_manager]
    impl AsyncContextManager for Interrupting {
        fn enter(&mut self) -> impl Future<Output = Result<u8, Boom>> + Send {
            std::future::ready(Ok(1))
        }

        fn exit(self, _: u8, _: Cause) -> impl Future<Output = Result<Verdict, Boom>> + Send {
            std::future::ready(Ok(Verdict::Propagate))
        }

        fn interrupt(&self, _: &u8) -> impl Interruption<Boom> + Send + use<> {
            std::future::ready(Boom("interrupted"))
        }
    }
    let block = async {
        async_with! { Interrupting => { std::future::pending::<()>().await } }
        Ok(())
    };
    assert_eq!(block.await, Err(Boom("interrupted")));
    are::<Interrupting, u8, Boom, Verdict>();
}

/// `crate = path`, and names of the user's that hide those of the library.
#[test]
fn the_runtime_crate_is_named() {
    mod inside {
        pub(super) mod library {
            pub(in super::super) use async_with::*;
        }
        use library::{AsyncContextManager, Cause};

        type Result<T> = core::result::Result<T, super::Boom>;
        pub(super) struct Renamed;

        #[library::async_context_manager(crate = self::library)]
        impl AsyncContextManager for Renamed {
            async fn enter(&mut self) -> Result<u8> {
                Ok(1)
            }

            async fn exit(self, _: u8, _: Cause) -> Result<()> {
                Ok(())
            }
        }
    }
    are::<inside::Renamed, u8, Boom, ()>();
}
