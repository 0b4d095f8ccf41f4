//! How many come in at once: connections, and of those the requests that cost this node something.

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
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout, Instant, Sleep},
};

/// Longest silence of a connection, in both directions: whoever waits for an answer has given up before.
const SILENCE: Duration = Duration::from_secs(120);
/// Longest wait for a place: strangers that ask for much take turns with those that have a right to an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Too much is asked for at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this node has {most} requests of this kind at work, and others wait; ask again later")]
pub struct Busy {
    /// At once.
    pub most: usize,
}

/// Places for requests that cost time or disk.
pub struct Places {
    most: usize,
    pub(super) patience: Duration,
    proofs: Arc<Semaphore>,
    deliveries: Arc<Semaphore>,
}

impl Places {
    /// `most` of each kind at once, at least one.
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let places = || Arc::new(Semaphore::new(most));
        Self {
            most,
            patience: PATIENCE,
            proofs: places(),
            deliveries: places(),
        }
    }

    /// A place for who asks for a proof, to be kept while it is looked up: anybody may ask.
    pub async fn proof(&self) -> Result<OwnedSemaphorePermit, Busy> {
        self.place(&self.proofs).await
    }

    /// A place for a delivery that comes in. To be asked for once the manifest is found right, so that no stranger takes
    /// it and then sends nothing.
    pub async fn delivery(&self) -> Result<OwnedSemaphorePermit, Busy> {
        self.place(&self.deliveries).await
    }

    async fn place(&self, places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Busy> {
        let place = timeout(self.patience, places.clone().acquire_owned()).await;
        let busy = Busy { most: self.most };
        place.map_err(|_| busy)?.map_err(|_| busy)
    }
}

/// A listener that lets so many in at once; the others wait in the system's queue.
pub struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    silence: Duration,
}

impl Door {
    /// At most `most` connections, at least one.
    pub fn new(listener: TcpListener, most: usize) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))),
            silence: SILENCE,
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
            longest: self.silence,
            silence: Box::pin(sleep(self.silence)),
            _place: place,
        };
        (guest, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that is let in. It ends when nothing comes or goes for too long; its place is free again then.
pub struct Guest {
    stream: TcpStream,
    longest: Duration,
    silence: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Guest {
    /// What a look at the stream comes to, given that it has come to `found`.
    fn heard<T>(
        &mut self,
        context: &mut Context<'_>,
        found: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if found.is_ready() {
            self.silence.as_mut().reset(Instant::now() + self.longest);
            return found;
        }
        ready!(self.silence.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let found = Pin::new(&mut this.stream).poll_read(context, buffer);
        this.heard(context, found)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let found = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.heard(context, found)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let found = Pin::new(&mut this.stream).poll_write_vectored(context, bytes);
        this.heard(context, found)
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
    use axum::{routing::get, Router};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const SOON: Duration = Duration::from_millis(200);

    /// Serves a word to `most` at once, who may be silent for `silence`.
    async fn serve(most: usize, silence: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut door = Door::new(listener, most);
        door.silence = silence;
        let address = door.local_addr().unwrap();
        let routes = Router::new().route("/", get(async || "word"));
        tokio::spawn(async move { axum::serve(door, routes).await });
        address
    }

    /// Asks, and stays connected.
    async fn ask(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";
        stream.write_all(request).await.unwrap();
        stream
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

    #[tokio::test]
    async fn one_too_many_waits_until_a_place_is_free() {
        let address = serve(2, SILENCE).await;
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
        let address = serve(1, SOON).await;
        // It never asks for anything.
        let mut silent = TcpStream::connect(address).await.unwrap();
        tokio::time::sleep(SOON / 2).await;
        let mut other = ask(address).await;
        let ended = timeout(10 * SOON, silent.read_u8()).await;
        assert!(ended.unwrap().is_err());
        assert!(is_answered(&mut other).await);
    }

    #[tokio::test]
    async fn who_finds_no_place_for_too_long_is_told() {
        let mut places = Places::new(2);
        places.patience = SOON;
        let mut held = vec![places.proof().await, places.proof().await];
        assert_eq!(places.proof().await.err(), Some(Busy { most: 2 }));
        // The other kind is not concerned.
        let delivery = places.delivery().await;
        assert!(delivery.is_ok());
        let (waiting, ()) = tokio::join!(places.proof(), async { drop(held.pop()) });
        assert!(waiting.is_ok());
    }
}
