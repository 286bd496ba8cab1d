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
/// With the feature `io`, what tokio has is closed so:
///
/// | | after a body that completed | after one that did not |
/// | --- | --- | --- |
/// | `TcpStream`, `UnixStream`, `DuplexStream` | the writing half is shut down | the same: it waits for nobody |
/// | `BufWriter`, `BufStream` | the buffer is written, then what is in it shut down | the buffer is given up, and nothing sent |
/// | `File` | the writes that are under way are waited for | the same; those to a pipe or a device are not |
/// | `Child` | its pipes are closed, and it is waited for | it is killed, and waited for |
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
    /// A body may have been interrupted because somebody else does not answer: so this is not to wait for a peer. Nor is
    /// it to finish what the body has only begun, as to send the half of a message that is in a buffer.
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
        ($($(#[$meta:meta])* [$($generics:tt)*] $writer:ty, $aborted:ident;)*) => {$(
            $(#[$meta])*
            impl<$($generics)*> AsyncClose for $writer {
                type Error = io::Error;

                async fn close(self) -> io::Result<()> {
                    shut_down(self).await
                }

                async fn abort(self) -> io::Result<()> {
                    $aborted(self).await
                }
            }
        )*};
    }

    shut_down! {
        /// Shuts the writing half down, so that the peer reads the end of the stream.
        [] TcpStream, shut_down;
        /// Shuts the writing half down, so that the peer reads the end of the stream.
        #[cfg(unix)]
        [] UnixStream, shut_down;
        /// Shuts the writing half down, so that the peer reads the end of the stream.
        [] DuplexStream, shut_down;
        /// Waits for the writes that are under way, and raises an error of theirs, which a drop would lose. What is
        /// written has then been handed to the operating system; that it is on the disk is what
        /// [`File::sync_all`] is for, in the body.
        ///
        /// After a body that did not complete, the writes to a pipe or a device are not waited for: they may take until
        /// somebody reads.
        [] File, finish_writes;
        /// Writes what is in the buffer, and shuts the writer down.
        ///
        /// After a body that did not complete, the buffer is given up, and the writer dropped: of a message that the
        /// body had not finished, nothing more is sent, and a peer that does not read keeps nobody waiting.
        [W: AsyncWrite + Unpin + Send + 'static] BufWriter<W>, give_up;
        /// Writes what is in the buffer, and shuts the stream down.
        ///
        /// After a body that did not complete, the buffer is given up, and the stream dropped: of a message that the
        /// body had not finished, nothing more is sent, and a peer that does not read keeps nobody waiting.
        [S: AsyncRead + AsyncWrite + Unpin + Send + 'static] BufStream<S>, give_up;
    }

    /// Drops the writer, and what is in its buffer with it.
    #[allow(clippy::unused_async)] // It stands beside those that wait.
    async fn give_up<W>(writer: W) -> io::Result<()> {
        drop(writer);
        Ok(())
    }

    /// Waits for the writes that are under way, unless they may wait for a reader.
    async fn finish_writes(file: File) -> io::Result<()> {
        if file.metadata().await?.is_file() {
            shut_down(file).await
        } else {
            Ok(())
        }
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
