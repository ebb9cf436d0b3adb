//! Waits for a database, inside and outside of an asynchronous runtime; for one in a file on the thread that asks.

use std::future::Future;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Waits for a database in a file: its driver has a thread of its own. What waits holds up its thread, as any write to a disk does.
pub(crate) struct ForFile;

impl ForFile {
    /// What the future gives.
    #[expect(
        clippy::unused_self,
        reason = "one way to wait for both kinds of databases"
    )]
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        // The share of a task that may be asking is not to be used up.
        futures_executor::block_on(tokio::task::unconstrained(work))
    }
}

/// Waits for a database of either kind.
pub(crate) enum Wait {
    File(ForFile),
    Socket(Reactor),
}

/// Watches the sockets of a connection.
pub(crate) struct Reactor {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Wait {
    /// For a database behind a socket.
    ///
    /// # Errors
    /// When a thread or a runtime cannot be made.
    pub(crate) fn for_socket() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("database".to_owned());
        // Whether it is told to stop or the other end is gone: it stops.
        let thread = thread.spawn(move || drop(runtime.block_on(stopped)))?;
        Ok(Self::Socket(Reactor {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        }))
    }

    /// What the future gives.
    pub(crate) fn block_on<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        match self {
            Self::File(file) => file.block_on(work),
            Self::Socket(reactor) => reactor.block_on(work),
        }
    }
}

impl Reactor {
    /// On a thread beside the caller's: on one that runs tasks a future that yields would wait for this very call to end.
    fn block_on<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        let done = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let _inside = self.handle.enter();
                futures_executor::block_on(work)
            });
            thread.join()
        });
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has stopped too.
            let _ = thread.join();
        }
    }
}
