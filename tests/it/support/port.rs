//! Ports of the loopback that stay a test's own while nobody listens there.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// A port that the system gives to nobody else for as long as this is held, be it for a listener or for a connection
/// outwards. Connections to it are refused, until somebody listens there by its number: whoever sets `SO_REUSEADDR`
/// may, as PostgreSQL, Redis and tokio's listeners do.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    /// Bound, and never listening.
    _held: TcpSocket,
}

impl Port {
    /// Any that is free.
    pub(crate) fn free() -> Self {
        let held = bound("127.0.0.1:0".parse().unwrap());
        Self { address: held.local_addr().unwrap(), _held: held }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its number.
    pub(crate) fn number(&self) -> u16 {
        self.address.port()
    }

    /// Listens there, until that is dropped.
    pub(crate) fn listen(&self) -> TcpListener {
        bound(self.address).listen(128).unwrap()
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_port_is_refused_until_somebody_listens_and_afterwards_and_is_nobody_elses() {
        let port = Port::free();
        for _ in 0..3 {
            TcpStream::connect(port.address()).await.unwrap_err();
            assert!(std::net::UdpSocket::bind(port.address()).is_ok(), "another protocol's port is another one");
            let listener = port.listen();
            TcpStream::connect(port.address()).await.unwrap();
            drop(listener);
        }
        let without_reuse = TcpSocket::new_v4().unwrap();
        without_reuse.bind(port.address()).unwrap_err();
        let others: Vec<_> = (0..200).map(|_| Port::free()).collect();
        assert!(others.iter().all(|other| other.number() != port.number()));
    }
}
