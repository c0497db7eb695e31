//! The daemon as a process of its own, with what its metrics and the kernel say of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// `lipsyncd serve` on free ports; killed when dropped.
pub struct Program {
    child: Child,
    pub address: SocketAddr,
    metrics: SocketAddr,
    log: String,
}

/// What the kernel says of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    pub resident_kib: u64,
    pub threads: u64,
    pub descriptors: usize,
}

impl Program {
    /// Starts it on the avatars in `avatars` and waits until it serves.
    pub fn start(avatars: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lipsyncd"))
            .arg("serve")
            .env("LIPSYNCD_LISTEN", "127.0.0.1:0")
            .env("LIPSYNCD_METRICS", "127.0.0.1:0")
            .env("LIPSYNCD_AVATARS", avatars)
            .env("LIPSYNCD_BACKEND", "cpu")
            .env("LIPSYNCD_LOG_FORMAT", "json")
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (mut metrics, mut address) = (None, None);
        let mut said = String::new();
        while address.is_none() {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended instead of serving: {said}");
            let after = |words: &str| {
                let (_, rest) = line.split_once(words)?;
                rest.split('"').next()?.trim().parse::<SocketAddr>().ok()
            };
            metrics = metrics.or_else(|| after("metrics on "));
            address = address.or_else(|| after("listening on "));
            said.push_str(&line);
        }
        // Read on, so that it never waits for us; warnings are of interest.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if line.contains("WARN") || line.contains("ERROR") {
                    eprintln!("{line}");
                }
            }
        });
        let metrics = metrics.expect("metrics come first");
        Self { child, address: address.unwrap(), metrics, log: said }
    }

    /// What it said until it served.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// The metrics page.
    pub fn page(&self) -> String {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }

    /// Sum of a metric's series whose line begins with `series`.
    pub fn metric(&self, series: &str) -> f64 {
        let page = self.page();
        let values = page.lines().filter_map(|line| {
            let rest = line.strip_prefix(series)?;
            rest.starts_with([' ', '{', ',']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        values.sum()
    }

    /// What it holds now.
    pub fn holding(&self) -> Holding {
        let of = |file: &str| format!("/proc/{}/{file}", self.child.id());
        let status = std::fs::read_to_string(of("status")).unwrap();
        let number = |key: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let descriptors = std::fs::read_dir(of("fd")).unwrap().count();
        Holding { resident_kib: number("VmRSS:"), threads: number("Threads:"), descriptors }
    }

    /// Whether it has `file` in its address space.
    pub fn has_mapped(&self, file: &Path) -> bool {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.child.id())).unwrap();
        maps.lines().any(|line| line.ends_with(file.to_str().unwrap()))
    }

    /// Asks it to end.
    pub fn ask_to_end(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Its exit code, if it has ended.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().unwrap().map(|status| status.code())
    }

    /// Asks it to end; gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.ask_to_end();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
