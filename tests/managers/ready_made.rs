//! The ready-made managers.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::future::{Future, pending};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, panic_any};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;

use async_with::report::{self, Entry};
use async_with::{
    AsyncClose, AsyncContextManager, Cause, Verdict, async_with, callback, cancellable, closing,
    drain, manage, nullcontext, scoped_nullcontext, suppress, suppress_if, timeout,
};
use async_with_tests::{Boom, Log, pend, short};
use futures::FutureExt;
use tokio::fs::File;
use tokio::io::{
    AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream, BufWriter, DuplexStream, duplex,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::runtimes::within_reason;

/// What is reported, as text.
async fn reports<F: Future>(future: F) -> (F::Output, Vec<String>) {
    let (output, entries) = report::collect(future).await;
    (output, entries.iter().map(Entry::to_string).collect())
}

/// Runs a block of the manager that ends in this way, and what it leaves behind.
async fn end(manager: impl AsyncContextManager<Error = Infallible, Exit = ()>, how: &str) {
    let block = async {
        async_with! { manager => {
            match how {
                "completes" => {}
                "fails" => Err(Boom("body"))?,
                "panics" => std::panic::panic_any("body"),
                _ => pending().await,
            }
        }}
        Ok(())
    };
    let mut block = Box::pin(AssertUnwindSafe(block).catch_unwind());
    let left = match futures::poll!(&mut block) {
        Poll::Ready(Ok(Ok(()))) => "completes",
        Poll::Ready(Ok(Err(Boom(_)))) => "fails",
        Poll::Ready(Err(_)) => "panics",
        Poll::Pending => "is dropped",
    };
    assert_eq!(left, how);
    drop(block);
    drain().await;
}

const WAYS: [&str; 4] = ["completes", "fails", "panics", "is dropped"];

// --- closing ------------------------------------------------------------------------------------------------------

/// Writes when it is closed, and how.
struct Door(Log);

impl AsyncClose for Door {
    type Error = Infallible;

    async fn close(self) -> Result<(), Infallible> {
        self.0.write("close");
        Ok(())
    }
}

/// Tells an abort from a close.
struct Vault(Log);

impl AsyncClose for Vault {
    type Error = Infallible;

    async fn close(self) -> Result<(), Infallible> {
        self.0.write("close");
        Ok(())
    }

    async fn abort(self) -> Result<(), Infallible> {
        self.0.write("abort");
        Ok(())
    }
}

/// EXI-1, CAN-1: the value is closed once, in whichever way the block ends; aborted where the body did not complete.
#[tokio::test]
async fn closing_closes_in_every_case() {
    let log = Log::new();
    for how in WAYS {
        end(closing(Door(log.clone())), how).await;
        assert_eq!(log.take(), ["close"], "{how}");
        end(closing(Vault(log.clone())), how).await;
        let expected = if how == "completes" { "close" } else { "abort" };
        assert_eq!(log.take(), [expected], "{how}");
    }
}

/// ERR-1, ERR-3: what closing fails with is raised when the body completed, and reported otherwise.
#[tokio::test]
async fn closing_raises_the_error() {
    struct Stuck;
    impl AsyncClose for Stuck {
        type Error = Boom;

        async fn close(self) -> Result<(), Boom> {
            Err(Boom("close"))
        }
    }
    async fn with(good: bool) -> Result<(), Boom> {
        async_with! { closing(Stuck) => { if !good { Err(Boom("body"))? } } }
        Ok(())
    }
    assert_eq!(reports(with(true)).await, (Err(Boom("close")), vec![]));
    let (left, entries) = reports(with(false)).await;
    assert_eq!(left, Err(Boom("body")));
    assert!(
        entries[0].ends_with("failed: Boom(\"close\")"),
        "{entries:?}"
    );
}

/// A writer that writes down what is done to it.
struct Recorder {
    log: Log,
    flush_fails: bool,
}

impl AsyncWrite for Recorder {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.log
            .write(format!("write {}", String::from_utf8_lossy(bytes)));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.log.write("flush");
        Poll::Ready(if self.flush_fails {
            Err(ErrorKind::StorageFull.into())
        } else {
            Ok(())
        })
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.log.write("shutdown");
        Poll::Ready(Ok(()))
    }
}

/// What is in the buffer is written, then the writer is flushed and shut down; the latter also when the former fails.
#[tokio::test]
async fn a_buffered_writer_is_flushed_and_shut_down() {
    async fn write(log: &Log, flush_fails: bool) -> io::Result<()> {
        let recorder = Recorder {
            log: log.clone(),
            flush_fails,
        };
        async_with! { closing(BufWriter::new(recorder)) as writer => {
            writer.write_all(b"text").await?;
            log.write("body");
        }}
        Ok(())
    }
    let log = Log::new();
    write(&log, false).await.expect("nothing fails");
    let events = log.take();
    assert_eq!(events[..3], ["body", "write text", "flush"]);
    assert_eq!(events.last().map(String::as_str), Some("shutdown"));
    let error = write(&log, true).await.expect_err("its flush fails");
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(log.take().last().map(String::as_str), Some("shutdown"));
}

/// The peer reads all that was written, and then the end of the stream.
#[tokio::test]
async fn a_stream_is_shut_down() -> io::Result<()> {
    let (stream, mut peer) = duplex(64);
    async_with! { closing(BufStream::new(stream)) as stream => {
        stream.write_all(b"ab").await?;
    }}
    let mut received = String::new();
    peer.read_to_string(&mut received).await?;
    assert_eq!(received, "ab");
    Ok(())
}

/// What was sent before the body failed arrives, and then the end of the stream; what is in the buffer does not.
#[tokio::test]
async fn a_body_that_fails_sends_nothing_of_the_buffer() {
    async fn half<W: AsyncWrite + Unpin>(writer: &mut W) -> io::Result<()> {
        writer.write_all(b"sent").await?;
        writer.flush().await?;
        writer.write_all(b"half of a mess").await?;
        Err(io::Error::other("body"))
    }
    async fn received(peer: &mut DuplexStream) -> String {
        let mut received = String::new();
        peer.read_to_string(&mut received).await.expect("it ends");
        received
    }
    let (stream, mut peer) = duplex(64);
    let block = async {
        async_with! { closing(BufWriter::new(stream)) as writer => { half(writer).await } }
    };
    let (left, entries) = reports(block).await;
    assert_eq!((left.is_err(), entries), (true, vec![]));
    assert_eq!(received(&mut peer).await, "sent");

    let (stream, mut peer) = duplex(64);
    let block = async {
        async_with! { closing(BufStream::new(stream)) as stream => { half(stream).await } }
    };
    let (left, entries) = reports(block).await;
    assert_eq!((left.is_err(), entries), (true, vec![]));
    assert_eq!(received(&mut peer).await, "sent");
}

/// CAN-6: a peer that does not read keeps no deadline waiting: neither of a stream, nor of a pipe.
#[tokio::test]
async fn a_peer_that_does_not_read_keeps_no_deadline_waiting() {
    async fn send(
        writer: impl AsyncWrite + AsyncClose<Error = io::Error> + Unpin,
    ) -> io::Result<()> {
        async_with! { timeout(Duration::from_millis(1)), closing(writer) as writer => {
            writer.write_all(&[0; 40]).await?;
            pending::<()>().await;
        }}
        Ok(())
    }
    let (stream, _peer) = duplex(16);
    let left = within_reason(send(BufWriter::with_capacity(64, stream))).await;
    assert_eq!(left.map_err(|error| error.kind()), Err(ErrorKind::TimedOut));
    let (stream, _peer) = duplex(16);
    let left = within_reason(send(BufStream::with_capacity(64, 64, stream))).await;
    assert_eq!(left.map_err(|error| error.kind()), Err(ErrorKind::TimedOut));
}

/// CAN-6: so does a pipe that nobody reads, which is a file as well.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_pipe_that_nobody_reads_keeps_no_deadline_waiting() -> io::Result<()> {
    let (reader, writer) = io::pipe()?;
    let writer = File::from_std(std::os::fd::OwnedFd::from(writer).into());
    let block = async {
        async_with! { timeout(Duration::from_millis(1)), closing(writer) as writer => {
            // More than a pipe holds; tokio writes it in the background.
            writer.write_all(&[0; 1 << 20]).await?;
            pending::<()>().await;
        }}
        Ok::<_, io::Error>(())
    };
    let left = within_reason(block).await;
    assert_eq!(left.map_err(|error| error.kind()), Err(ErrorKind::TimedOut));
    // The write in the background ends.
    drop(reader);
    Ok(())
}

/// Sockets of both families; the other half stays open until the value is gone.
#[tokio::test]
async fn sockets_are_shut_down() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let stream = TcpStream::connect(listener.local_addr()?).await?;
    let (mut peer, _) = listener.accept().await?;
    async_with! { closing(stream) as stream => {
        stream.write_all(b"tcp").await?;
    }}
    let mut received = String::new();
    peer.read_to_string(&mut received).await?;
    assert_eq!(received, "tcp");

    #[cfg(unix)]
    {
        let (stream, mut peer) = tokio::net::UnixStream::pair()?;
        async_with! { closing(stream) as stream => {
            stream.write_all(b"unix").await?;
        }}
        received.clear();
        peer.read_to_string(&mut received).await?;
        assert_eq!(received, "unix");
    }
    Ok(())
}

/// A file is written when the block has ended, though tokio writes in the background; what then fails is raised.
#[tokio::test]
async fn a_file_is_written_and_its_errors_are_raised() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("async-with-closing-{}", std::process::id()));
    async_with! { closing(File::create(&path).await?) as file => {
        file.write_all(&[7; 10_000]).await?;
    }}
    assert_eq!(std::fs::read(&path)?, [7; 10_000]);

    // Opened for reading: tokio takes the bytes, and learns later that they cannot be written.
    let read_only = File::open(&path).await?;
    let block = async {
        async_with! { closing(read_only) as file => {
            file.write_all(b"lost").await?;
        }}
        Ok::<_, io::Error>(())
    };
    assert!(block.await.is_err());
    std::fs::remove_file(&path)
}

fn spawn(program: &str, arguments: &[&str]) -> io::Result<Child> {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// Whether there is a process, alive or a zombie.
#[cfg(target_os = "linux")]
fn exists(process: u32) -> bool {
    std::path::Path::new(&format!("/proc/{process}")).exists()
}

/// After a body that completed, a process is waited for: its pipes are closed, so that it ends.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_is_waited_for() -> io::Result<()> {
    // The one reads to the end of its input, the other writes until nobody reads.
    for program in ["cat", "yes"] {
        let child = spawn(program, &[])?;
        let process = child.id().expect("it was not waited for");
        let block = async {
            async_with! { closing(child) => {
                assert!(exists(process));
            }}
            Ok::<_, io::Error>(())
        };
        within_reason(block).await?;
        assert!(!exists(process), "{program}");
    }
    // One that was waited for already.
    async_with! { closing(spawn("true", &[])?) as child => {
        assert!(child.wait().await?.success());
    }}
    Ok(())
}

/// CAN-1: after a body that did not complete, a process is killed, and leaves no zombie.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_is_killed_when_the_body_did_not_complete() -> io::Result<()> {
    for fails in [true, false] {
        let child = spawn("sleep", &["1000"])?;
        let process = child.id().expect("it was not waited for");
        {
            let mut block = Box::pin(async {
                async_with! { closing(child) => {
                    if fails {
                        Err(io::Error::other("body"))?;
                    }
                    pending::<()>().await;
                }}
                Ok::<_, io::Error>(())
            });
            if fails {
                assert_eq!(
                    block.await.map_err(|error| error.kind()),
                    Err(ErrorKind::Other)
                );
            } else {
                assert!(futures::poll!(&mut block).is_pending());
            }
        }
        within_reason(drain()).await;
        assert!(!exists(process));
    }
    // One that has ended is not killed, which would be an error.
    let block = async {
        async_with! { closing(spawn("true", &[])?) as child => {
            child.wait().await?;
            Err(io::Error::other("body"))
        }}
    };
    let (left, entries): (io::Result<()>, _) = reports(block).await;
    assert_eq!((left.is_err(), entries), (true, vec![]));
    Ok(())
}

// --- nullcontext --------------------------------------------------------------------------------------------------

/// The value is lent, and dropped when the block ends.
#[tokio::test]
async fn nullcontext_lends_the_value() {
    struct Noisy(Log);
    impl Drop for Noisy {
        fn drop(&mut self) {
            self.0.write("drop");
        }
    }
    let log = Log::new();
    for how in WAYS {
        end(nullcontext(Noisy(log.clone())), how).await;
        assert_eq!(log.take(), ["drop"], "{how}");
    }
    let length = async_with! { nullcontext(vec![1]) as list => {
        list.push(2);
        list.len()
    }};
    assert_eq!(length, 2);
}

/// TYP-1: a value that borrows, or is not `Send`, is lent by the scoped one; the future then is what the value is.
#[tokio::test]
async fn scoped_nullcontext_lends_what_borrows() {
    let mut text = String::from("a");
    let shared = std::rc::Rc::new(5);
    async_with! { scoped_nullcontext(&mut text) as text, scoped_nullcontext(shared) as n => {
        pend(1).await;
        text.push_str(&n.to_string());
    }}
    assert_eq!(text, "a5");
}

// --- suppress -----------------------------------------------------------------------------------------------------

/// Wraps an error.
#[derive(Debug)]
struct Wrapped(Boom);

impl Display for Wrapped {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("wrapped")
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

macro_rules! suppresses {
    ($E:ty, $manager:expr, $error:expr) => {{
        async fn block() -> Result<bool, $E> {
            async_with! { $manager => {
                Err($error)?;
                Ok(false)
            } else {
                Ok(true)
            }}
        }
        matches!(block().await, Ok(true))
    }};
}

/// SUP-4: an error of the type is suppressed, also inside of an error object; its causes are not looked at.
#[tokio::test]
async fn suppress_looks_at_the_error_itself() {
    type Object = Box<dyn Error>;
    type Sync = Box<dyn Error + Send + std::marker::Sync>;
    assert!(suppresses!(Boom, suppress::<Boom>(), Boom("a")));
    assert!(suppresses!(Object, suppress::<Boom>(), Boom("a")));
    assert!(suppresses!(Sync, suppress::<Boom>(), Boom("a")));
    assert!(suppresses!(anyhow::Error, suppress::<Boom>(), Boom("a")));
    assert!(!suppresses!(
        Wrapped,
        suppress::<Boom>(),
        Wrapped(Boom("a"))
    ));
    assert!(!suppresses!(Object, suppress::<Boom>(), Wrapped(Boom("a"))));
    assert!(!suppresses!(
        anyhow::Error,
        suppress::<Boom>(),
        Wrapped(Boom("a"))
    ));
    assert!(!suppresses!(Boom, suppress::<Wrapped>(), Boom("a")));
    assert!(!suppresses!(Object, suppress::<io::Error>(), "text"));
}

/// ERR-6: the predicate sees the error, whatever its type.
#[tokio::test]
async fn suppress_if_asks_the_predicate() {
    let a = |raised: &async_with::Raised<'_>| raised.downcast_ref() == Some(&Boom("a"));
    assert!(suppresses!(
        Boom,
        suppress_if(|raised| format!("{raised:?}").contains('a')),
        Boom("a")
    ));
    let log = Log::new();
    let with = async |error| -> Result<(), Boom> {
        async_with! { suppress_if(a), log.manager("inner") => { Err(error)?; } }
        Ok(())
    };
    assert_eq!(with(Boom("a")).await, Ok(()));
    assert_eq!(with(Boom("b")).await, Err(Boom("b")));
    let told = "exit inner: failed Boom";
    assert_eq!(log.take().iter().filter(|event| *event == told).count(), 2);
}

/// SUP-2, SUP-4, CAN-6: a panic, a cancellation from further out and a drop go on, and a completed body is left alone.
#[tokio::test]
async fn suppress_swallows_nothing_else() {
    let everything = || suppress_if(|_| true);
    let panics = async {
        async_with! { everything() => { std::panic::panic_any("body") } }
    };
    assert!(AssertUnwindSafe(panics).catch_unwind().await.is_err());

    let token = CancellationToken::new();
    let inside = token.clone();
    let cancelled = async {
        async_with! { cancellable(token), everything() => {
            inside.cancel();
            pending::<()>().await;
        }}
        Ok::<_, async_with::Cancelled>(())
    };
    assert!(cancelled.await.is_err());

    let value = async_with! { everything() => { 1 } else { 2 } };
    assert_eq!(value, 1);

    let log = Log::new();
    {
        let block = async {
            async_with! { log.manager("a"), everything() => { pending().await } else { log.write("else") } }
        };
        assert!(futures::poll!(&mut Box::pin(block)).is_pending());
    }
    drain().await;
    assert_eq!(log.take(), ["enter a", "exit a: dropped"]);
}

/// PAN-3: a panic of the predicate is one of the body, which is not suppressed.
#[tokio::test]
async fn a_panic_of_the_predicate_goes_on() {
    let block = async {
        async_with! { suppress_if(|_| std::panic::panic_any("predicate")) => { Err(Boom("body"))? } }
        Ok::<_, Boom>(())
    };
    let ((), entries) = reports(async {
        let payload = AssertUnwindSafe(block).catch_unwind().await.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"predicate"));
    })
    .await;
    assert!(
        entries[0].ends_with("failed: Boom(\"body\")"),
        "{entries:?}"
    );
}

// --- callback and manage ------------------------------------------------------------------------------------------

/// EXI-1, CAN-1: the clean-up runs once, in whichever way the block ends, and is told how.
#[tokio::test]
async fn clean_up_runs_in_every_case() {
    let log = Log::new();
    for how in WAYS {
        let (called, managed) = (log.clone(), log.clone());
        end(callback(async move || called.write("called")), how).await;
        assert_eq!(log.take(), ["called"], "{how}");
        let clean_up = async move |value, cause| managed.write(format!("{value} {}", short(cause)));
        end(manage(5, clean_up), how).await;
        let cause = match how {
            "fails" => "failed Boom",
            "is dropped" => "dropped",
            "panics" => "panicked",
            completes => completes.trim_end_matches('s'),
        };
        assert_eq!(
            log.take(),
            [format!("5 {}", cause.replace("complete", "completed"))]
        );
    }
}

/// CAN-2: dropped in the clean-up, it carries on.
#[tokio::test]
async fn clean_up_carries_on() {
    let log = Log::new();
    for polls in 1..4 {
        let (called, managed) = (log.clone(), log.clone());
        let callback = callback(|| async move {
            called.write("callback");
            pend(1).await;
            called.write("called back");
        });
        let manage = manage((), |(), _| async move {
            managed.write("manage");
            pend(1).await;
            managed.write("managed");
        });
        let block = async {
            async_with! { callback, manage => {} }
        };
        let mut block = Box::pin(block);
        for _ in 0..polls {
            let _ = futures::poll!(&mut block);
        }
        drop(block);
        drain().await;
        assert_eq!(log.take(), ["manage", "managed", "callback", "called back"]);
    }
}

/// A clean-up returns nothing, a verdict, or a result of either; types are inferred, closures and functions will do.
#[tokio::test]
async fn clean_up_returns_what_it_has_to_say() {
    async fn give_back(pool: Log, _: Cause) -> Result<(), Boom> {
        pool.write("given back");
        Err(Boom("pool"))
    }
    let log = Log::new();
    let raised: Result<(), Boom> = async {
        async_with! { manage(log.clone(), give_back) => {} }
        Ok(())
    }
    .await;
    assert_eq!(raised, Err(Boom("pool")));
    assert_eq!(log.take(), ["given back"]);

    let raised = async {
        async_with! { callback(|| async { Err(Boom("callback")) }) => {} }
        Ok(())
    };
    assert_eq!(raised.await, Err(Boom("callback")));

    // A function that returns anything, as neither fails.
    let value: u32 = async {
        async_with! { manage(5, async |_, _| {}) as n => { *n } }
    }
    .await;
    assert_eq!(value, 5);

    let suppressed = async |verdict: Verdict| -> Result<u32, Boom> {
        async_with! { manage((), async move |(), _| verdict) => {
            Err(Boom("body"))
        } else {
            Ok(2)
        }}
    };
    assert_eq!(suppressed(Verdict::Suppress).await, Ok(2));
    assert_eq!(suppressed(Verdict::Propagate).await, Err(Boom("body")));

    let both = async {
        async_with! { manage((), async |(), _| Err::<Verdict, _>(Boom("exit"))) => { 1 } else { 2 } };
        Ok(())
    };
    assert_eq!(both.await, Err(Boom("exit")));

    // A clean-up that never returns neither fails nor suppresses.
    let unfinished = async {
        async_with! { callback(|| async {}), manage(5, async |_, _| panic_any("not yet")) as n => { *n } }
    };
    let payload = AssertUnwindSafe(unfinished).catch_unwind().await.err();
    assert_eq!(payload.unwrap().downcast_ref(), Some(&"not yet"));
}

/// The clean-up has the value as the body left it, by value.
#[tokio::test]
async fn clean_up_gets_the_value_back() {
    let log = Log::new();
    let exits = log.clone();
    let manager = manage(vec![1], async move |list: Vec<u32>, _| {
        exits.write(format!("{:?}", list.into_boxed_slice()));
    });
    async_with! { manager as list => { list.push(2); } }
    assert_eq!(log.take(), ["[1, 2]"]);
}
