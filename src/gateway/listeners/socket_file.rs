//! The file of a unix socket on which the gateway listens.
//!
//! 1. A socket file on which no process listens is left over from a process that was killed: it is replaced. Any other
//!    file with the path is an error, and so is the socket of a process that listens.
//! 2. The file has its permissions before the first process can connect.
//! 3. The file is removed at the end, unless another process has replaced it by then.

use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind},
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::{config::SocketMode, http::server::listener::BACKLOG};

/// The file of a socket, which is removed when this value is dropped.
#[derive(Debug)]
pub(in crate::gateway) struct SocketFile {
    path: PathBuf,
    /// The device and the inode, by which the file is recognised.
    id: (u64, u64),
}

impl SocketFile {
    /// Listens on a unix socket with the path `path`. The kernel then holds connections until the gateway accepts
    /// them: a second gateway that starts at the same time must find a process that listens.
    ///
    /// # Errors
    /// The path has another file, or a process listens there, or the directory does not admit this process.
    pub(super) fn listen(path: &Path, mode: SocketMode) -> io::Result<(Self, UnixListener)> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let address = SockAddr::unix(path)?;
        match socket.bind(&address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                remove_stale(path, &address)?;
                socket.bind(&address)?;
            }
            bound => bound?,
        }
        let file = Self { path: path.to_owned(), id: id(path)? };
        // bind(2) reduces the permissions by the umask of the process, so set them now.
        fs::set_permissions(path, Permissions::from_mode(mode.bits()))?;
        socket.listen(BACKLOG.into())?;
        Ok((file, socket.into()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !id(&self.path).is_ok_and(|id| id == self.id) {
            return;
        }
        if let Err(cause) = fs::remove_file(&self.path) {
            tracing::warn!(
                %cause, path = %self.path.display(),
                "the gateway could not remove its socket file; the next gateway with this path replaces it"
            );
        }
    }
}

/// The device and the inode of the file itself, even if it is a symbolic link.
fn id(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Removes a socket file on which no process listens.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let in_use = |cause: &str| io::Error::new(ErrorKind::AddrInUse, cause.to_owned());
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(in_use(
            "the path has a file that is no socket: remove it, or choose another path",
        ));
    }
    let client = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A listener whose queue is full would block the connection.
    client.set_nonblocking(true)?;
    match client.connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() != ErrorKind::WouldBlock => {
            let cause = format!(
                "the path has a socket of which it is unknown whether a process listens: {error}"
            );
            Err(in_use(&cause))
        }
        Ok(()) | Err(_) => Err(in_use("another process listens on this socket")),
    }
}
