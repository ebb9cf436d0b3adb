//! Waits for a database on the thread that asks: inside and outside of an asynchronous runtime, without handing the work to another thread.

use std::future::Future;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How to wait. What waits holds up its thread, as any write to a disk does.
pub(crate) struct Wait(Option<Reactor>);

/// Watches the sockets of a connection.
struct Reactor {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Wait {
    /// For a database in a file: its driver has a thread of its own.
    pub(crate) fn for_file() -> Self {
        Self(None)
    }

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
        Ok(Self(Some(Reactor {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })))
    }

    /// What the future gives.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        let _inside = self.0.as_ref().map(|reactor| reactor.handle.enter());
        // The share of a task that may be asking is not to be used up.
        futures_executor::block_on(tokio::task::unconstrained(work))
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
