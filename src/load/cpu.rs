//! Processor time of this process and of a daemon on this machine, from /proc.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use crate::machine::{Stat, read};

/// The state of a listening socket in /proc/net/tcp.
const LISTENING: &str = "0A";

/// A process whose time is read.
#[derive(Debug, Clone)]
pub(super) struct Process {
    stat: PathBuf,
}

impl Process {
    /// This one.
    pub(super) fn this() -> Self {
        Self { stat: PathBuf::from("/proc/self/stat") }
    }

    /// The one that listens at `address`, if that is on this machine and may be looked at.
    pub(super) fn listening_at(address: SocketAddr) -> Option<Self> {
        if !is_local(address.ip()) {
            return None;
        }
        let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(read)
            .flat_map(|table| listening_inodes(&table, address.port()))
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        let processes = std::fs::read_dir("/proc").ok()?;
        let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        // A child that has just been forked holds its parent's sockets too, until it becomes another program.
        let holder = pids.filter(|pid| holds_one_of(&process(*pid), &sockets)).min()?;
        Some(Self { stat: process(holder).join("stat") })
    }

    /// Seconds of processor time so far, in user and kernel mode together; `None` when it has ended.
    pub(super) fn seconds(&self) -> Option<f64> {
        Stat::parse(&read(&self.stat)?).map(|stat| stat.cpu_s)
    }
}

/// Whether `ip` is an address of this machine: the route to it begins where it ends.
fn is_local(ip: IpAddr) -> bool {
    let any: IpAddr = if ip.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let route = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((ip, 9)).and_then(|()| socket.local_addr()));
    route.is_ok_and(|local| local.ip() == ip)
}

/// Inodes of the sockets that listen on `port`, from the text of /proc/net/tcp.
fn listening_inodes(table: &str, port: u16) -> Vec<u64> {
    let port = format!("{port:04X}");
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() > 9 && row[3] == LISTENING && row[1].rsplit(':').next() == Some(&port))
        .filter_map(|row| row[9].parse().ok())
        .collect()
}

fn process(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

fn holds_one_of(process: &Path, sockets: &[String]) -> bool {
    let Ok(files) = std::fs::read_dir(process.join("fd")) else { return false };
    files
        .flatten()
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .any(|target| target.to_str().is_some_and(|target| sockets.iter().any(|socket| socket == target)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_process_behind_a_port_is_found_and_its_time_grows() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let process = Process::listening_at(listener.local_addr().unwrap()).expect("we are the one that listens");
        let pid = std::process::id().to_string();
        assert!(process.stat.components().any(|part| part.as_os_str() == pid.as_str()), "{:?}", process.stat);
        let before = process.seconds().unwrap();
        let mut sum = 0u64;
        while process.seconds().unwrap() < before + 0.02 {
            sum = (0..100_000).fold(sum, |sum, n| std::hint::black_box(sum ^ n));
        }
        assert!(Process::this().seconds().unwrap() > before);
        assert!(Process::listening_at("192.0.2.1:80".parse().unwrap()).is_none(), "that is elsewhere");
    }
}
