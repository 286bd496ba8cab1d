//! Closing what was opened.

use std::fmt::Debug;
use std::future::Future;

use crate::slot::Slot;
use crate::{AsyncContextManager, Cause};

/// Lends the value to the body, and closes it when the block ends: Python's `contextlib.aclosing`.
///
/// When the body did not complete, the value is [aborted](AsyncClose::abort), which is to close it, too, unless its
/// type says something else. Closing is an exit as any other: it survives cancellation (rules CAN-1, CAN-2), and its
/// error is raised when the body completed and reported otherwise (rules ERR-1, ERR-3).
///
/// ```
/// use async_with::{async_with, closing};
/// # use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, duplex};
/// # use std::io;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// # let (stream, mut peer) = duplex(64);
/// async_with! { closing(BufWriter::new(stream)) as writer => {
///     writer.write_all(b"hello").await?;
/// }}
/// // What was buffered has arrived, and the end of the stream.
/// let mut received = String::new();
/// peer.read_to_string(&mut received).await?;
/// assert_eq!(received, "hello");
/// # Ok(())
/// # }
/// ```
#[must_use = "a manager does nothing unless it is entered"]
pub fn closing<T: AsyncClose>(value: T) -> Closing<T> {
    Closing(Slot::new(value))
}

/// A value that takes more than a drop to close: the trait behind [`closing`].
///
/// With the feature `io`, it is implemented for tokio's sockets, files, buffered writers and child processes. For a
/// type of another crate there is [`manage`](crate::manage): `manage(value, |value, _| value.close())`.
///
/// ```
/// use async_with::{AsyncClose, async_with, closing};
/// # use std::io;
/// # struct Session;
/// # impl Session {
/// #     async fn log_out(&mut self) -> io::Result<()> { Ok(()) }
/// #     async fn disconnect(self) -> io::Result<()> { Ok(()) }
/// # }
///
/// impl AsyncClose for Session {
///     type Error = io::Error;
///
///     async fn close(mut self) -> io::Result<()> {
///         self.log_out().await?;
///         self.disconnect().await
///     }
/// }
///
/// async fn visit(session: Session) -> io::Result<()> {
///     async_with! { closing(session) as session => {
///         // ..
/// #       let _ = session;
///     }}
///     Ok(())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// # visit(Session).await
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be closed by `closing`",
    label = "this needs to implement `AsyncClose`",
    note = "implement `AsyncClose` for it, or use `manage(value, |value, cause| ..)` when it is a type of another crate; a future has to be awaited first"
)]
#[cfg_attr(
    not(feature = "io"),
    diagnostic::on_unimplemented(
        note = "for a file, socket, writer or child process of tokio, turn on the feature `io` of `async-with`"
    )
)]
pub trait AsyncClose: Send + Sized + 'static {
    /// Why it could not be closed.
    type Error: Debug + Send + 'static;

    /// Closes the value: sends what is left to send, says good-bye, and waits for what has to be waited for.
    ///
    /// # Errors
    ///
    /// When the value could not be closed in order. It is gone nevertheless.
    ///
    /// # Cancel safety
    ///
    /// [`closing`] never drops it half-way: it is carried on elsewhere (rule CAN-2).
    fn close(self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Closes the value after a body that did not complete. By default that is the same.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// As [`close`](Self::close).
    fn abort(self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.close()
    }
}

/// The manager of [`closing`].
pub struct Closing<T>(Slot<T>);

impl<T: AsyncClose> AsyncContextManager for Closing<T> {
    type Resource = T;
    type Error = T::Error;
    type Exit = ();

    async fn enter(&mut self) -> Result<T, T::Error> {
        Ok(self.0.take())
    }

    async fn exit(self, value: T, cause: Cause) -> Result<(), T::Error> {
        if cause.is_completed() {
            value.close().await
        } else {
            value.abort().await
        }
    }
}

#[cfg(feature = "io")]
mod tokio {
    use std::io;

    use tokio::fs::File;
    use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufStream, BufWriter, DuplexStream};
    use tokio::net::TcpStream;
    #[cfg(unix)]
    use tokio::net::UnixStream;
    use tokio::process::Child;

    use super::AsyncClose;

    /// Flushes, then shuts down. The second is tried also when the first fails, so that the other side learns of the
    /// end.
    async fn shut_down<W: AsyncWrite + Unpin>(mut writer: W) -> io::Result<()> {
        let flushed = writer.flush().await;
        let shut_down = writer.shutdown().await;
        flushed.and(shut_down)
    }

    macro_rules! shut_down {
        ($($(#[$meta:meta])* [$($generics:tt)*] $writer:ty;)*) => {$(
            $(#[$meta])*
            impl<$($generics)*> AsyncClose for $writer {
                type Error = io::Error;

                async fn close(self) -> io::Result<()> {
                    shut_down(self).await
                }
            }
        )*};
    }

    shut_down! {
        /// Shuts the writing half down, so that the peer reads the end of the stream.
        [] TcpStream;
        /// Shuts the writing half down, so that the peer reads the end of the stream.
        #[cfg(unix)]
        [] UnixStream;
        /// Shuts the writing half down, so that the peer reads the end of the stream.
        [] DuplexStream;
        /// Waits for the writes that are under way, and raises an error of theirs, which a drop would lose. What is
        /// written has then been handed to the operating system; that it is on the disk is what
        /// [`File::sync_all`] is for, in the body.
        [] File;
        /// Writes what is in the buffer, and shuts the writer down.
        [W: AsyncWrite + Unpin + Send + 'static] BufWriter<W>;
        /// Writes what is in the buffer, and shuts the stream down.
        [S: AsyncRead + AsyncWrite + Unpin + Send + 'static] BufStream<S>;
    }

    /// Leaves no process behind, and no zombie.
    ///
    /// After a body that completed, the pipes that are still here are closed, and the process is waited for, as by
    /// Python's `subprocess.Popen`. Its status is not looked at: a body that wants to know it calls [`Child::wait`].
    /// After a body that did not complete, a process that still runs is killed first.
    impl AsyncClose for Child {
        type Error = io::Error;

        async fn close(mut self) -> io::Result<()> {
            // A process that waits for somebody to read what it writes would never end.
            drop((self.stdin.take(), self.stdout.take(), self.stderr.take()));
            self.wait().await.map(drop)
        }

        async fn abort(mut self) -> io::Result<()> {
            match self.try_wait() {
                Ok(Some(_)) => Ok(()),
                Ok(None) | Err(_) => self.kill().await,
            }
        }
    }
}
