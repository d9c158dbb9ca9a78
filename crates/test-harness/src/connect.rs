//! Connections to servers on TCP and on unix sockets.

use std::io;

use logout_gateway::ListenAddress;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;

pub(super) type Stream = Either<TcpStream, UnixStream>;

pub(super) async fn connect(address: &ListenAddress) -> io::Result<Stream> {
    match address {
        ListenAddress::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Either::Left(stream))
        }
        ListenAddress::Unix(path) => UnixStream::connect(path).await.map(Either::Right),
    }
}
