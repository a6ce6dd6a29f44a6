//! The listening socket. Each connection has a switch that can close, reset or freeze it from elsewhere, in the middle of anything.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Open,
    /// Open for the peer, dead for us.
    Frozen,
    Closed,
    /// Closed with a reset instead of an end.
    Reset,
}

/// Throws a connection out of its usual course; it never goes back to `Open`.
pub(super) struct Switch {
    standing: watch::Sender<Standing>,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Switch {
    fn new() -> Self {
        Self { standing: watch::Sender::new(Standing::Open), reader: AtomicWaker::new(), writer: AtomicWaker::new() }
    }

    pub fn throw(&self, standing: Standing) {
        self.standing.send_replace(standing);
        self.reader.wake();
        self.writer.wake();
    }

    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// Waits until the connection stands otherwise than `standing`.
    pub async fn leaves(&self, standing: Standing) -> Standing {
        match self.standing.subscribe().wait_for(|now| *now != standing).await {
            Ok(now) => *now,
            Err(_) => Standing::Closed,
        }
    }
}

/// Who is connected, as handlers see it.
#[derive(Clone)]
pub(super) struct Peer {
    pub addr: SocketAddr,
    pub switch: Arc<Switch>,
}

pub(super) struct Gate {
    pub listener: TcpListener,
}

impl Listener for Gate {
    type Io = Guarded;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guarded, SocketAddr) {
        let (stream, addr) = Listener::accept(&mut self.listener).await;
        // Small messages must not wait for the acknowledgement of earlier ones.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        (Guarded { stream, switch: Arc::new(Switch::new()) }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Gate>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Gate>) -> Self {
        Self { addr: *stream.remote_addr(), switch: Arc::clone(&stream.io().switch) }
    }
}

/// A connection that obeys its switch.
pub(super) struct Guarded {
    stream: TcpStream,
    switch: Arc<Switch>,
}

impl Guarded {
    /// What becomes of a write now; `None`: it goes on.
    fn write_barred<T>(&self, cx: &Context<'_>) -> Option<Poll<io::Result<T>>> {
        self.switch.writer.register(cx.waker());
        match self.switch.standing() {
            Standing::Open => None,
            Standing::Frozen => Some(Poll::Pending),
            Standing::Closed | Standing::Reset => Some(Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))),
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Without lingering the system sends a reset.
        if self.switch.standing() == Standing::Reset
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "a connection ends without a reset");
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.switch.reader.register(cx.waker());
        match self.switch.standing() {
            Standing::Open => Pin::new(&mut self.stream).poll_read(cx, buf),
            Standing::Frozen => Poll::Pending,
            Standing::Closed | Standing::Reset => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.write_barred(cx) {
            Some(barred) => barred,
            None => Pin::new(&mut self.stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.write_barred(cx) {
            Some(barred) => barred,
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.write_barred(cx) {
            Some(barred) => barred,
            None => Pin::new(&mut self.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.write_barred::<()>(cx) {
            Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(_)) => Poll::Ready(Ok(())),
            None => Pin::new(&mut self.stream).poll_shutdown(cx),
        }
    }
}
