//! A program that listens in a folder and on a port of its own.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::eventually;

/// Killed with the test.
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
    /// `command` answers what runs it in that folder, to listen on that address.
    pub async fn start(name: &str, command: impl Fn(&Path, SocketAddr) -> Command) -> Self {
        // Another program may take the free port before this one does.
        let mut log = String::new();
        for _ in 0..5 {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let folder = tempfile::tempdir().unwrap();
            let stderr = File::create(folder.path().join("log")).unwrap();
            let mut command = command(folder.path(), address);
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
            let child =
                child.unwrap_or_else(|cause| panic!("{name}: {cause}; `make test` installs it"));
            let mut program = Self { address, child, folder };
            if program.is_up(name).await {
                return program;
            }
            log = fs::read_to_string(program.folder.path().join("log")).unwrap();
        }
        panic!("{name} does not start: {log}");
    }

    /// Waits until it listens; `false` if it ended instead.
    async fn is_up(&mut self, name: &str) -> bool {
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
