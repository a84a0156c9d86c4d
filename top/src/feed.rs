//! The connection: a thread that reads messages and comes back after it was lost.

use serde_json::Value;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tungstenite::Message;
use tungstenite::client::client_with_config;
use tungstenite::protocol::WebSocketConfig;

/// Messages on their way to the screen at most; the thread waits where it is full, and the server drops who waits long.
const WAITING_MAX: usize = 64;
/// The longest message: the plan of a large building.
const MESSAGE_BYTES_MAX: usize = 32 << 20;
/// How long connecting may take, and how long the engine may say nothing (it speaks every second).
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const SILENT_MAX: Duration = Duration::from_secs(5);
/// Between two tries.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the thread tells.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// The connection stands; what was known is void.
    Connected,
    /// A message.
    Message(Value),
    /// There is no connection, and why.
    Lost(String),
}

/// Where the engine is looked for cannot be one.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no address of a page: give HOST:PORT like 127.0.0.1:7800, or http://127.0.0.1:7800 as `run` printed it"
)]
pub struct AddressError(String);

/// Host and port of what `osmose run` prints as `web=…`.
///
/// ```
/// assert_eq!(osmose_top::url("http://127.0.0.1:7800/").unwrap(), "127.0.0.1:7800");
/// assert!(osmose_top::url("here").is_err());
/// ```
///
/// # Errors
/// [`AddressError`] where it is none.
pub fn url(said: &str) -> Result<String, AddressError> {
    let plain = said.strip_prefix("http://").unwrap_or(said).trim_end_matches('/');
    let port = plain.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match port {
        Some((host, port)) if !host.is_empty() && port > 0 && !plain.contains('/') => Ok(plain.to_owned()),
        _ => Err(AddressError(said.to_owned())),
    }
}

/// Begins to read; ends when the receiver is dropped.
///
/// # Errors
/// Where the system gives no thread.
pub(crate) fn start(to: String) -> std::io::Result<Receiver<Told>> {
    let (tx, rx) = sync_channel(WAITING_MAX);
    std::thread::Builder::new().name("osmose-top-feed".into()).spawn(move || {
        loop {
            let why = read(&to, &tx);
            if tx.send(Told::Lost(why)).is_err() {
                return;
            }
            std::thread::sleep(AGAIN_AFTER);
        }
    })?;
    Ok(rx)
}

fn connect(to: &str) -> Result<TcpStream, String> {
    let all: Vec<SocketAddr> = to.to_socket_addrs().map_err(|e| format!("{to}: {e}"))?.collect();
    let mut why = format!("{to} is no address");
    for addr in all {
        match TcpStream::connect_timeout(&addr, CONNECT_WITHIN) {
            Ok(stream) => return Ok(stream),
            Err(e) => why = format!("nothing answers at {addr} ({e})"),
        }
    }
    Err(why)
}

/// Reads until something ends it; gives back what.
fn read(to: &str, tx: &SyncSender<Told>) -> String {
    let stream = match connect(to) {
        Ok(stream) => stream,
        Err(why) => return why,
    };
    if let Err(e) = stream.set_read_timeout(Some(SILENT_MAX)) {
        return e.to_string();
    }
    let config =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX)).max_frame_size(Some(MESSAGE_BYTES_MAX));
    let mut socket = match client_with_config(format!("ws://{to}/ws"), stream, Some(config)) {
        Ok((socket, _)) => socket,
        Err(e) => return format!("what answers at {to} is no page of Osmose ({e})"),
    };
    if tx.send(Told::Connected).is_err() {
        return String::new();
    }
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => match serde_json::from_str(&text) {
                Ok(message) => {
                    if tx.send(Told::Message(message)).is_err() {
                        return String::new();
                    }
                }
                Err(e) => return format!("the engine said what is no JSON ({e})"),
            },
            Ok(Message::Close(_)) => return "the engine ended".to_owned(),
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => {
                return "the engine ended".to_owned();
            }
            Err(tungstenite::Error::Io(e)) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return format!("the engine has said nothing for {} s", SILENT_MAX.as_secs());
            }
            Err(e) => return format!("the connection was lost ({e})"),
        }
    }
}
