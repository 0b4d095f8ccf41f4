//! How many connections are let in at once, and for how long each may keep its place.

use std::{
    future::{pending, Future},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{ready, Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, Instant, Sleep},
};

/// How long a connection keeps its place.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Until the head of its first request is whole: what it wants is said at once.
    head: Duration,
    /// For each request, for each answer, and for each [`STRIDE`] of either: whoever waits for an answer has given up
    /// before.
    stride: Duration,
}

const PATIENCE: Patience = Patience {
    head: Duration::from_secs(15),
    stride: Duration::from_secs(120),
};
/// Bytes that must come or go in time; single ones keep no place.
const STRIDE: usize = 1 << 14;
/// What the head of a request ends with.
const HEAD_END: &[u8; 4] = b"\r\n\r\n";

/// A listener that lets so many in at once; the others wait in the system's queue.
pub struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    patience: Patience,
}

impl Door {
    /// At most `most` connections, at least one.
    pub fn new(listener: TcpListener, most: usize) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))),
            patience: PATIENCE,
        }
    }
}

impl Listener for Door {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        let Ok(place) = self.places.clone().acquire_owned().await else {
            // They are never closed.
            return pending().await;
        };
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let guest = Guest {
            stream,
            patience: self.patience.stride,
            end: Box::pin(sleep(self.patience.head)),
            head: Some(0),
            does: Does::Read,
            moved: 0,
            _place: place,
        };
        (guest, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that is let in. It ends when too little comes and goes; its place is free again then.
pub struct Guest {
    stream: TcpStream,
    patience: Duration,
    end: Pin<Box<Sleep>>,
    /// Bytes of [`HEAD_END`] that were read last; `None` once the first head is whole.
    head: Option<usize>,
    does: Does,
    /// Bytes since more time was given.
    moved: usize,
    _place: OwnedSemaphorePermit,
}

/// What was done last with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Read,
    Write,
}

impl Guest {
    /// What a look at the stream comes to that is not ready: an error when the time is over.
    fn waits<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.end.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// So many bytes came or went. Where that is a request's or an answer's beginning, or enough of one, there is time for
    /// more.
    fn moves(&mut self, does: Does, bytes: usize) {
        if self.head.is_some() {
            return;
        }
        self.moved = self.moved.saturating_add(bytes);
        if self.does != does || self.moved >= STRIDE {
            self.give_time();
        }
        self.does = does;
    }

    fn give_time(&mut self) {
        self.moved = 0;
        self.end.as_mut().reset(Instant::now() + self.patience);
    }

    /// Looks for the end of the first request's head.
    fn reads_head(&mut self, bytes: &[u8]) {
        let Some(mut found) = self.head else {
            return;
        };
        for byte in bytes {
            found = match HEAD_END.get(found) {
                Some(wanted) if wanted == byte => found + 1,
                _ => usize::from(*byte == HEAD_END[0]),
            };
            if found == HEAD_END.len() {
                self.head = None;
                return self.give_time();
            }
        }
        self.head = Some(found);
    }

    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Pending => return self.waits(context),
            Poll::Ready(Ok(bytes)) => self.moves(Does::Write, bytes),
            Poll::Ready(Err(_)) => {}
        }
        wrote
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let found = Pin::new(&mut this.stream).poll_read(context, buffer);
        if found.is_pending() {
            return this.waits(context);
        }
        let read = buffer.filled().get(before..).unwrap_or_default();
        this.moves(Does::Read, read.len());
        this.reads_head(read);
        found
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.wrote(context, wrote)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write_vectored(context, bytes);
        this.wrote(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::{
        routing::{get, post},
        Router,
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    use super::*;

    const SOON: Duration = Duration::from_millis(200);
    const LATE: Duration = Duration::from_secs(60);

    /// Serves a word to `most` at once.
    async fn serve(most: usize, head: Duration, stride: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut door = Door::new(listener, most);
        door.patience = Patience { head, stride };
        let address = door.local_addr().unwrap();
        let word = async || "word";
        let routes = Router::new()
            .route("/", get(word))
            .route("/", post(async |_: axum::body::Bytes| "word"));
        tokio::spawn(async move { axum::serve(door, routes).await });
        address
    }

    /// Asks, and stays connected.
    async fn ask(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        ask_again(&mut stream).await;
        stream
    }

    async fn ask_again(stream: &mut TcpStream) {
        let request = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";
        stream.write_all(request).await.unwrap();
    }

    async fn is_answered(stream: &mut TcpStream) -> bool {
        let mut answer = vec![];
        let read = async {
            while !answer.ends_with(b"word") {
                if stream.read_buf(&mut answer).await.unwrap() == 0 {
                    return false;
                }
            }
            true
        };
        timeout(SOON, read).await.unwrap_or(false)
    }

    /// Sends a byte every now and then; how long the connection lasts.
    async fn drip(stream: &mut TcpStream) -> Duration {
        let begun = Instant::now();
        while begun.elapsed() < 20 * SOON {
            let wrote = stream.write_all(b"a").await;
            let ended = timeout(SOON / 8, stream.read_u8()).await;
            if wrote.is_err() || ended.is_ok() {
                break;
            }
        }
        begun.elapsed()
    }

    #[tokio::test]
    async fn one_too_many_waits_until_a_place_is_free() {
        let address = serve(2, LATE, LATE).await;
        let mut inside = [ask(address).await, ask(address).await];
        for stream in &mut inside {
            assert!(is_answered(stream).await);
        }
        let mut third = ask(address).await;
        assert!(!is_answered(&mut third).await);
        drop(inside);
        assert!(is_answered(&mut third).await);
    }

    #[tokio::test]
    async fn a_silent_connection_gives_its_place_back() {
        let address = serve(1, SOON, LATE).await;
        // It never asks for anything.
        let mut silent = TcpStream::connect(address).await.unwrap();
        tokio::time::sleep(SOON / 2).await;
        let mut other = ask(address).await;
        let ended = timeout(10 * SOON, silent.read_u8()).await;
        assert!(ended.unwrap().is_err());
        assert!(is_answered(&mut other).await);
    }

    #[tokio::test]
    async fn single_bytes_of_a_head_or_of_a_body_keep_no_place() {
        let address = serve(1, SOON, LATE).await;
        let mut head = TcpStream::connect(address).await.unwrap();
        head.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        assert!(drip(&mut head).await < 10 * SOON);
        let address = serve(1, LATE, SOON).await;
        let mut body = TcpStream::connect(address).await.unwrap();
        let request = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 1000\r\n\r\n";
        body.write_all(request).await.unwrap();
        assert!(drip(&mut body).await < 10 * SOON);
    }

    #[tokio::test]
    async fn who_asks_again_keeps_its_place() {
        let address = serve(1, SOON, SOON).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..6 {
            ask_again(&mut stream).await;
            assert!(is_answered(&mut stream).await);
            tokio::time::sleep(SOON / 2).await;
        }
    }
}
