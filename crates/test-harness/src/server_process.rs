//! A server program, such as nginx, that a test starts in its own directory and on its own port.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use uuid::Uuid;

use super::eventually;

/// A running server program, which is killed when this is dropped.
pub struct ServerProcess {
    pub address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ServerProcess {
    /// Starts the program with the command that `command` returns for a directory and an address, and waits
    /// until the program listens on that address.
    pub async fn start(name: &str, command: impl Fn(&Path, SocketAddr) -> Command) -> Self {
        // Another process may take the free port before the program listens. Try again with another address then.
        let mut log = String::new();
        for _ in 0..5 {
            let address = TcpListener::bind((own_address(), 0)).unwrap().local_addr().unwrap();
            let folder = tempfile::tempdir().unwrap();
            let stderr = File::create(folder.path().join("log")).unwrap();
            let mut command = command(folder.path(), address);
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
            let child =
                child.unwrap_or_else(|cause| panic!("{name}: {cause}; `make test` installs it"));
            let mut program = Self { address, child, folder };
            if program.wait_until_listening(name).await {
                return program;
            }
            log = fs::read_to_string(program.folder.path().join("log")).unwrap();
        }
        panic!("{name} does not start: {log}");
    }

    /// Waits until the program listens; returns `false` if it exited instead.
    async fn wait_until_listening(&mut self, name: &str) -> bool {
        let mut ended = false;
        let settled = || {
            ended = self.child.try_wait().unwrap().is_some();
            let settled = ended || TcpStream::connect(self.address).is_ok();
            async move { settled }
        };
        eventually(&format!("{name} listens or has ended"), settled).await;
        !ended
    }
}

/// A random address of the loopback network 127.0.0.0/8, so that two servers hardly ever have the same. Caddy
/// shares its port with other processes (`SO_REUSEPORT`): with one address for all, two tests that choose the same
/// free port would get each other's requests.
fn own_address() -> Ipv4Addr {
    let [first, second, third, ..] = Uuid::new_v4().into_bytes();
    // No octet of 0 or 255: these stand for a network or a broadcast.
    let [first, second, third] = [first, second, third].map(|octet| octet.clamp(1, 254));
    Ipv4Addr::new(127, first, second, third)
}
