//! Where futures are tried out: polled by hand, dropped at will, and with the exits that they detach run in place.

use std::any::Any;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::executor::Job;
use crate::nest;

/// How often exits may ask to be polled again before they are taken to be endless.
const ROUNDS: usize = 100_000;

/// Runs detached exits of this thread, without a runtime and without others knowing.
pub(super) struct Bench {
    jobs: Rc<RefCell<Vec<Task>>>,
    bell: Arc<Bell>,
    /// How long nobody has to wake a future before it is taken to be forgotten; `None` is for ever.
    patience: Option<Duration>,
}

struct Task {
    job: Job,
    flag: Arc<Flag>,
}

impl Bench {
    pub(super) fn new(patience: Option<Duration>) -> Self {
        Self {
            jobs: Rc::default(),
            bell: Arc::default(),
            patience,
        }
    }

    /// Runs `f`, and takes what it detaches.
    pub(super) fn within<T>(&self, f: impl FnOnce() -> T) -> T {
        let (jobs, bell) = (Rc::clone(&self.jobs), Arc::clone(&self.bell));
        let spawner = move |job| {
            let flag = Flag::new(&bell);
            jobs.borrow_mut().push(Task { job, flag });
        };
        nest::local::within(Rc::new(spawner), f)
    }

    /// A flag that is raised when the waker made of it is woken. It is up at first.
    pub(super) fn flag(&self) -> Arc<Flag> {
        Flag::new(&self.bell)
    }

    /// Keeps a future, so that what its drop detaches stays here.
    pub(super) fn hold<F>(&self, future: F) -> Held<'_, F> {
        let future = Some(Box::pin(future));
        Held {
            bench: self,
            future,
        }
    }

    /// Polls the future once.
    pub(super) fn poll<F: Future + ?Sized>(
        &self,
        future: Pin<&mut F>,
        flag: &Arc<Flag>,
    ) -> Poll<F::Output> {
        flag.lower();
        let waker = Waker::from(Arc::clone(flag));
        self.within(|| future.poll(&mut Context::from_waker(&waker)))
    }

    /// Polls what was detached and woken, each exit once. Returns whether there is more to do at once.
    fn run_detached(&self) -> bool {
        // Not borrowed while they are polled: they may detach others.
        let (ready, waiting) = self
            .jobs
            .take()
            .into_iter()
            .partition(|task: &Task| task.flag.is_up());
        self.jobs.replace(waiting);
        for mut task in ready {
            if self.poll(task.job.as_mut(), &task.flag).is_pending() {
                self.jobs.borrow_mut().push(task);
            } else {
                self.within(|| drop(task));
            }
        }
        self.jobs.borrow().iter().any(|task| task.flag.is_up())
    }

    /// Runs what was detached until `done`. Returns whether that was so before patience was over.
    pub(super) async fn until(&self, mut done: impl FnMut() -> bool) -> bool {
        let mut alarm = None;
        let mut rounds = 0;
        poll_fn(|cx| {
            self.bell.answer(cx.waker());
            if done() {
                return Poll::Ready(true);
            }
            let busy = self.run_detached();
            if done() {
                return Poll::Ready(true);
            }
            if busy {
                // Patience is for those who wait.
                alarm = None;
                rounds += 1;
                cx.waker().wake_by_ref();
                return if rounds < ROUNDS {
                    Poll::Pending
                } else {
                    Poll::Ready(false)
                };
            }
            if let Some(patience) = self.patience {
                let alarm = alarm.get_or_insert_with(|| Alarm::after(patience, &self.bell));
                if alarm.is_over() {
                    return Poll::Ready(false);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Waits until somebody raises the flag. Returns whether that was before patience was over.
    pub(super) async fn woken(&self, flag: &Flag) -> bool {
        self.until(|| flag.is_up()).await
    }

    /// Runs what was detached to its end. Returns whether all of it got there before patience was over.
    pub(super) async fn settled(&self) -> bool {
        self.until(|| self.jobs.borrow().is_empty()).await
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What a dropped job detaches is dropped too.
        loop {
            let Some(task) = self.jobs.borrow_mut().pop() else {
                return;
            };
            self.within(|| drop(task));
        }
    }
}

/// A future on the bench.
pub(super) struct Held<'b, F> {
    bench: &'b Bench,
    future: Option<Pin<Box<F>>>,
}

impl<F> Held<'_, F> {
    pub(super) fn as_mut(&mut self) -> Pin<&mut F> {
        match &mut self.future {
            Some(future) => future.as_mut(),
            None => unreachable!("only the drop takes it"),
        }
    }
}

impl<F> Drop for Held<'_, F> {
    fn drop(&mut self) {
        self.bench.within(|| drop(self.future.take()));
    }
}

/// Wakes the task that runs the bench.
#[derive(Default)]
struct Bell(Mutex<Option<Waker>>);

impl Bell {
    fn answer(&self, waker: &Waker) {
        let mut answering = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !answering
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            *answering = Some(waker.clone());
        }
    }

    fn ring(&self) {
        let waker = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Says whether a future was woken.
pub(super) struct Flag {
    up: AtomicBool,
    bell: Arc<Bell>,
}

impl Flag {
    fn new(bell: &Arc<Bell>) -> Arc<Self> {
        Arc::new(Self {
            up: AtomicBool::new(true),
            bell: Arc::clone(bell),
        })
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }

    pub(super) fn lower(&self) {
        self.up.store(false, Ordering::SeqCst);
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.up.store(true, Ordering::SeqCst);
        self.bell.ring();
    }
}

/// Rings after a while, from a thread of its own, because there may be no runtime with timers.
struct Alarm {
    over: Arc<AtomicBool>,
    thread: Thread,
}

impl Alarm {
    fn after(patience: Duration, bell: &Arc<Bell>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (set, bell) = (Arc::clone(&over), Arc::clone(bell));
        let handle = thread::spawn(move || {
            let start = std::time::Instant::now();
            while !set.load(Ordering::SeqCst) {
                if let Some(left) = patience.checked_sub(start.elapsed()) {
                    thread::park_timeout(left);
                } else {
                    set.store(true, Ordering::SeqCst);
                    bell.ring();
                }
            }
        });
        Self {
            over,
            thread: handle.thread().clone(),
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// Runs a future on this thread, without a runtime, and the exits that it detaches: for tests that need none.
///
/// ```
/// use async_with::testing::{block_on, pend};
///
/// assert_eq!(block_on(async { pend(3).await; 7 }), 7);
/// ```
///
/// # Panics
///
/// When the future, or an exit that it detached, does not finish: nobody wakes it for a minute, because it waits for
/// something that does not come, or such an exit wakes itself for ever.
pub fn block_on<F: Future>(future: F) -> F::Output {
    const PATIENCE: Duration = Duration::from_secs(60);

    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let bench = Bench::new(Some(PATIENCE));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(async {
        let mut future = bench.hold(future);
        let flag = bench.flag();
        loop {
            if let Poll::Ready(output) = bench.poll(future.as_mut(), &flag) {
                drop(future);
                return bench.settled().await.then_some(output);
            }
            if !bench.woken(&flag).await {
                return None;
            }
        }
    });
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(Some(output)) => return output,
            Poll::Ready(None) => panic!(
                "the future, or an exit that it detached, does not finish: nobody wakes it, or it wakes itself for ever"
            ),
            Poll::Pending => thread::park(),
        }
    }
}

/// What a panic said.
pub(super) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| message(&*payload))
}

pub(super) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(no message)".to_owned())
}
