//! Writes the files that are shipped beside the binary into the directory that the argument names:
//!
//! - `man/`: a man page for each command;
//! - `completions/`: the completions for bash, zsh and fish;
//! - `ca-certificates.pem`: the certificate authorities that Mozilla trusts, for images without a system. They come from
//!   a crate, so that the same `Cargo.lock` gives the same file on every machine.

use std::{error::Error, fs, path::Path};

use clap::CommandFactory as _;
use clap_complete::Shell;
use logout_gateway::cli::CommandLine;
use pem::{EncodeConfig, LineEnding, Pem};

const BINARY: &str = "logout-gateway";

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("usage: packaging-assets <directory>")?;
    let directory = Path::new(&directory);
    let command = CommandLine::command();

    let man = directory.join("man");
    fs::create_dir_all(&man)?;
    clap_mangen::generate_to(command.clone(), &man)?;

    let completions = directory.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command.clone(), BINARY, &completions)?;
    }
    fs::write(directory.join("ca-certificates.pem"), certificates())?;
    Ok(())
}

fn certificates() -> String {
    let roots: Vec<_> = webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .map(|certificate| Pem::new("CERTIFICATE", certificate.as_ref()))
        .collect();
    pem::encode_many_config(&roots, EncodeConfig::new().set_line_ending(LineEnding::LF))
}
