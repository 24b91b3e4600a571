//! Binds an address and accepts from it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tracing::debug;

use super::tls::Tls;

/// Connections that the kernel keeps until they are accepted (it caps this at `somaxconn`).
const BACKLOG: u32 = 4096;

/// An accept socket.
#[derive(Debug)]
pub struct Listener {
    name: &'static str,
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
}

/// An address that cannot be bound.
#[derive(Debug, Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl Listener {
    /// Binds an address; port 0 takes a free one. `name` is for the log: `data`, `admin`. It must run
    /// in a tokio runtime.
    ///
    /// Without `SO_REUSEPORT`: a second process on the same address is told so, rather than taking
    /// every other connection.
    ///
    /// # Errors
    /// [`BindError`], for instance if another program has the address.
    pub fn bind(
        name: &'static str,
        address: SocketAddr,
        tls: Option<Arc<Tls>>,
    ) -> Result<Self, BindError> {
        let socket = bind(address).map_err(|source| BindError { address, source })?;
        let address = socket.local_addr().map_err(|source| BindError { address, source })?;
        Ok(Self { name, socket, address, tls })
    }

    /// The name for the log.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
    }

    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.socket.accept().await?;
        // Without it a small chunk of a stream waits for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        Ok((stream, peer))
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
