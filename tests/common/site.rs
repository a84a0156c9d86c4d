//! A copy of an example site in a folder of its own, its addresses rewritten to free ports.

use super::root;
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

/// How every address in the examples begins.
const HOST: &str = "127.0.0.1:";
/// Below the range that Linux gives to sockets that name no port, so that nobody gets one of ours by chance.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A site to run, gone when dropped.
pub(crate) struct TempSite {
    dir: tempfile::TempDir,
    /// From the port in the example to the one in the copy.
    ports: BTreeMap<u16, u16>,
}

/// A UDP port of loopback that nobody holds. Processes begin at different places and never go back, so that two tests
/// do not meet on one.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    let begin = (std::process::id() % u32::from(span)) as u16 / 64 * 64;
    for _ in 0..span {
        let port = PORTS.start + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % span;
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no UDP port is free on loopback");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).unwrap_or_else(|e| panic!("{} cannot be listed: {e}", from.display())) {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        match entry.file_type().expect("a type") {
            t if t.is_dir() && name != ".osmose" && name != "traces" => copy(&entry.path(), &to.join(name)),
            t if t.is_file() => _ = std::fs::copy(entry.path(), to.join(name)).expect("a copy"),
            _ => {}
        }
    }
}

impl TempSite {
    /// A copy of `examples/NAME`.
    pub(crate) fn example(name: &str) -> Self {
        Self::example_with(name, "")
    }

    /// The same with more devices.
    pub(crate) fn example_with(name: &str, devices: &str) -> Self {
        let site = Self { dir: tempfile::tempdir().expect("a temporary folder"), ports: BTreeMap::new() };
        copy(&root().join("examples").join(name), site.path());
        site.write("devices.toml", &(site.read("devices.toml") + devices));
        site.on_free_ports()
    }

    /// A site of the given files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let site = Self { dir: tempfile::tempdir().expect("a temporary folder"), ports: BTreeMap::new() };
        files.iter().for_each(|(path, text)| site.write(path, text));
        site.on_free_ports()
    }

    fn on_free_ports(mut self) -> Self {
        let devices = self.read("devices.toml");
        let mut pieces = devices.split(HOST);
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let digits = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
            let port: u16 = piece[..digits].parse().expect("a port");
            let ours = *self.ports.entry(port).or_insert_with(free_port);
            text += &format!("{HOST}{ours}{}", &piece[digits..]);
        }
        self.write("devices.toml", &text);
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path inside the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.file(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{} cannot be read: {e}", path.display()))
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }

    /// Replaces what must be there.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} does not hold {from:?}");
        self.write(name, &text.replacen(from, to, 1));
    }

    /// The address in this copy of a port of the example.
    pub(crate) fn address(&self, port: u16) -> String {
        format!("{HOST}{}", self.ports[&port])
    }

    /// A socket where the example's devices listen.
    pub(crate) fn devices(&self, port: u16) -> UdpSocket {
        UdpSocket::bind(self.address(port)).expect("the port was free")
    }

    /// A socket that sends to where the example's engine listens.
    pub(crate) fn sender(&self, port: u16) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(self.address(port)).expect("loopback");
        socket
    }
}
