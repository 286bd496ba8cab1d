//! tokio's locks and semaphores, as in Python's `async with lock:`.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::{
    AcquireError, Mutex, MutexGuard, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard,
    OwnedSemaphorePermit, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit,
};

use crate::{AsyncContextManager, Cause, ScopedAsyncContextManager};

/// Locks for reading: an `Arc<RwLock<T>>`, or an `&RwLock<T>`. The resource is the guard.
///
/// Besides, `Arc<Mutex<T>>` and `&Mutex<T>`, `Arc<Semaphore>` and `&Semaphore` are managers themselves, as in Python's
/// `async with lock:`. An `Arc` makes a [surviving](AsyncContextManager) manager, a reference a
/// [scoped](ScopedAsyncContextManager) one. When the block is dropped, a surviving one releases its lock in its turn, after the
/// exits inside, which may need the lock still. A scoped one cannot outlive the frame that its lock is borrowed in: it is let go
/// at once, before these exits have run (rule CAN-3).
///
/// ```
/// use async_with::{async_with, callback, drain};
/// use std::sync::{Arc, mpsc::channel};
/// use tokio::sync::Mutex;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let file = Arc::new(Mutex::new(Vec::new()));
/// let (same, (is_locked, seen)) = (file.clone(), channel());
/// let close = callback(async move || drop(is_locked.send(same.try_lock().is_err())));
/// let work = async {
///     async_with! { file.clone() as lines, close => {
///         lines.push("begun");
///         std::future::pending::<()>().await;
///     }}
/// };
/// tokio::select! {
///     biased;
///     () = work => {}
///     () = tokio::task::yield_now() => {} // The block is dropped; the lock is held until the exit inside is done.
/// }
/// drain().await;
/// assert_eq!(seen.recv(), Ok(true));
/// assert_eq!(*file.lock().await, ["begun"]);
/// # }
/// ```
///
/// By reference, where nothing inside needs the lock in its exit:
///
/// ```
/// use async_with::{async_with, reading, writing};
/// use tokio::sync::{Mutex, RwLock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let limits = RwLock::new(vec![3, 4]);
/// let count = Mutex::new(0);
/// async_with! { writing(&limits) as limits => { limits.push(5) } }
/// async_with! { reading(&limits) as limits, &count as count => {
///     **count += limits.len();
/// }}
/// assert_eq!(count.into_inner(), 3);
/// # }
/// ```
///
/// # Cancel safety
///
/// Dropped during enter, the caller loses the place in the queue.
#[must_use = "a manager does nothing unless it is entered"]
pub fn reading<L>(lock: L) -> Reading<L> {
    Reading(lock)
}

/// Locks for writing: an `Arc<RwLock<T>>`, or an `&RwLock<T>`. The resource is the guard. See [`reading`].
#[must_use = "a manager does nothing unless it is entered"]
pub fn writing<L>(lock: L) -> Writing<L> {
    Writing(lock)
}

/// Acquires several permits at once: of an `Arc<Semaphore>`, or an `&Semaphore`. For one, the semaphore is a manager
/// itself; see [`reading`].
///
/// ```
/// use async_with::{async_with, permits};
/// use std::sync::Arc;
/// use tokio::sync::{AcquireError, Semaphore};
///
/// async fn download(connections: &Arc<Semaphore>) -> Result<usize, AcquireError> {
///     async_with! { connections.clone(), permits(2, connections.clone()) as both => {
///         Ok(both.num_permits())
///     }}
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # assert_eq!(download(&Arc::new(Semaphore::new(3))).await.unwrap(), 2);
/// # }
/// ```
///
/// # Errors
///
/// [`AcquireError`] when the semaphore is closed.
///
/// # Cancel safety
///
/// As [`reading`].
#[must_use = "a manager does nothing unless it is entered"]
pub fn permits<S>(count: u32, semaphore: S) -> Permits<S> {
    Permits { count, semaphore }
}

/// The manager of [`reading`].
pub struct Reading<L>(L);

/// The manager of [`writing`].
pub struct Writing<L>(L);

/// The manager of [`permits`].
pub struct Permits<S> {
    count: u32,
    semaphore: S,
}

/// A manager whose resource is a guard: dropping it is all that an exit does.
macro_rules! guarded_by {
    ($Protocol:ident for $Manager:ty, $Guard:ty, $Error:ty, [$($generics:tt)*], |$this:ident| $enter:expr) => {
        impl<$($generics)*> $Protocol for $Manager {
            type Resource = $Guard;
            type Error = $Error;
            type Exit = ();

            async fn enter(&mut self) -> Result<Self::Resource, Self::Error> {
                let $this = self;
                $enter
            }

            async fn exit(self, _: Self::Resource, _: Cause) -> Result<(), Self::Error> {
                Ok(())
            }
        }
    };
}

guarded_by!(
    ScopedAsyncContextManager for &'a Mutex<T>, MutexGuard<'a, T>, Infallible, ['a, T: ?Sized],
    |mutex| Ok(mutex.lock().await)
);
guarded_by!(
    AsyncContextManager for Arc<Mutex<T>>, OwnedMutexGuard<T>, Infallible, [T: ?Sized + Send + 'static],
    |mutex| Ok(Arc::clone(mutex).lock_owned().await)
);
guarded_by!(
    ScopedAsyncContextManager for Reading<&'a RwLock<T>>, RwLockReadGuard<'a, T>, Infallible,
    ['a, T: ?Sized],
    |lock| Ok(lock.0.read().await)
);
guarded_by!(
    AsyncContextManager for Reading<Arc<RwLock<T>>>, OwnedRwLockReadGuard<T>, Infallible,
    [T: ?Sized + Send + Sync + 'static],
    |lock| Ok(Arc::clone(&lock.0).read_owned().await)
);
guarded_by!(
    ScopedAsyncContextManager for Writing<&'a RwLock<T>>, RwLockWriteGuard<'a, T>, Infallible,
    ['a, T: ?Sized],
    |lock| Ok(lock.0.write().await)
);
guarded_by!(
    AsyncContextManager for Writing<Arc<RwLock<T>>>, OwnedRwLockWriteGuard<T>, Infallible,
    [T: ?Sized + Send + Sync + 'static],
    |lock| Ok(Arc::clone(&lock.0).write_owned().await)
);
guarded_by!(
    ScopedAsyncContextManager for &'a Semaphore, SemaphorePermit<'a>, AcquireError, ['a],
    |semaphore| semaphore.acquire().await
);
guarded_by!(
    AsyncContextManager for Arc<Semaphore>, OwnedSemaphorePermit, AcquireError, [],
    |semaphore| Arc::clone(semaphore).acquire_owned().await
);
guarded_by!(
    ScopedAsyncContextManager for Permits<&'a Semaphore>, SemaphorePermit<'a>, AcquireError, ['a],
    |permits| permits.semaphore.acquire_many(permits.count).await
);
guarded_by!(
    AsyncContextManager for Permits<Arc<Semaphore>>, OwnedSemaphorePermit, AcquireError, [],
    |permits| Arc::clone(&permits.semaphore).acquire_many_owned(permits.count).await
);
