//! The endpoint that gives metrics out: `GET /metrics` on loopback, over plain HTTP.
//!
//! One thread, one reader at a time, each with so much time and no more: a reader that stalls, or sends its question letter
//! by letter, is cut off and holds up nobody but the reader behind it. The thread reads sums at the side, so that no reader,
//! however slow, reaches the pipeline. A web server's crate would bring a runtime for what is two lines of a protocol.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A reader has this long, question and answer together.
const PATIENCE: Duration = Duration::from_secs(2);
/// A single read or write waits no longer than this before the clock is looked at.
const STEP: Duration = Duration::from_millis(200);
/// The longest question.
const QUESTION_BYTES_MAX: usize = 4096;
/// How often an idle endpoint looks whether it is to end.
const LOOK_UP: Duration = Duration::from_millis(50);

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// Anybody could read it.
    #[error(
        "{0} is not loopback: metrics tell who is where and when, and this endpoint knows no passwords. Give \
         127.0.0.1:PORT, and let a proxy or Prometheus' own agent on this machine carry them on."
    )]
    NotLoopback(SocketAddr),
    /// The port is taken, or the address is not this machine's.
    #[error("cannot serve metrics on {0}: {1}. Another program, or a second engine, may hold the port.")]
    Bind(SocketAddr, std::io::Error),
}

/// A bound endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    listener: TcpListener,
}

impl Endpoint {
    /// Binds it.
    pub(crate) fn bind(addr: SocketAddr) -> Result<Self, ServeError> {
        if !addr.ip().is_loopback() {
            return Err(ServeError::NotLoopback(addr));
        }
        let bound = || {
            let listener = TcpListener::bind(addr)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        Ok(Self { listener: bound().map_err(|e| ServeError::Bind(addr, e))? })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves on a thread of its own until `stop`.
    pub(crate) fn serve(
        self,
        stop: Arc<AtomicBool>,
        render: impl Fn() -> String + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("osmose-metrics".into()).spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                match self.listener.accept() {
                    // What a reader does wrong is the reader's affair.
                    Ok((stream, _)) => _ = answer(&stream, &render),
                    Err(_) => std::thread::sleep(LOOK_UP),
                }
            }
        })
    }
}

/// Answers one question.
fn answer(stream: &TcpStream, render: &impl Fn() -> String) -> std::io::Result<()> {
    let until = Instant::now() + PATIENCE;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(STEP))?;
    stream.set_write_timeout(Some(STEP))?;
    let question = question(stream, until)?;
    let (status, body) = match question.split(' ').collect::<Vec<_>>().as_slice() {
        ["GET", "/metrics", ..] => ("200 OK", render()),
        ["GET", ..] => ("404 Not Found", "Ask for /metrics.\n".to_owned()),
        _ => ("405 Method Not Allowed", "Only GET is answered.\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    write_all(stream, head.as_bytes(), until)?;
    write_all(stream, body.as_bytes(), until)
}

/// The first line of a question, once its head is whole.
fn question(mut stream: &TcpStream, until: Instant) -> std::io::Result<String> {
    let (mut heard, mut buffer) = (Vec::new(), [0; 512]);
    while !heard.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => heard.extend_from_slice(&buffer[..n]),
            Err(e) if is_wait(&e) => {}
            Err(e) => return Err(e),
        }
        if heard.len() > QUESTION_BYTES_MAX || Instant::now() > until {
            return Err(ErrorKind::TimedOut.into());
        }
    }
    Ok(String::from_utf8_lossy(heard.split(|b| *b == b'\r').next().unwrap_or_default()).into_owned())
}

fn write_all(mut stream: &TcpStream, mut bytes: &[u8], until: Instant) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(e) if is_wait(&e) && Instant::now() < until => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn is_wait(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(to: SocketAddr, question: &str) -> String {
        let mut stream = TcpStream::connect(to).expect("it listens");
        stream.write_all(question.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn endpoint(body: String) -> (SocketAddr, Arc<AtomicBool>, JoinHandle<()>) {
        let endpoint = Endpoint::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let (to, stop) = (endpoint.address().expect("bound"), Arc::new(AtomicBool::new(false)));
        let thread = endpoint.serve(stop.clone(), move || body.clone()).expect("a thread");
        (to, stop, thread)
    }

    #[test]
    fn it_answers_what_it_is_asked_and_nothing_else() {
        let (to, stop, thread) = endpoint("osmose_up 1\n".into());
        let good = ask(to, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(good.starts_with("HTTP/1.1 200 OK\r\n") && good.ends_with("\r\n\r\nosmose_up 1\n"), "{good}");
        assert!(ask(to, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(ask(to, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("it ends");
    }

    #[test]
    fn a_reader_that_stalls_is_cut_off_and_the_next_is_answered() {
        // Far more than both sockets' buffers hold: the writer must wait for a reader that never reads.
        let (to, stop, thread) = endpoint("x".repeat(64 << 20));
        let mut stalled = TcpStream::connect(to).expect("it listens");
        stalled.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("written");
        let mut silent = TcpStream::connect(to).expect("it listens");
        silent.write_all(b"GET /metr").expect("written");
        let after = ask(to, "GET /nothing HTTP/1.1\r\n\r\n");
        assert!(after.starts_with("HTTP/1.1 404"), "{after}");
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("it ends");
    }

    #[test]
    fn it_does_not_listen_to_the_network() {
        let open = "0.0.0.0:0".parse().expect("an address");
        let error = Endpoint::bind(open).expect_err("refused").to_string();
        assert!(error.contains("not loopback") && error.contains("127.0.0.1"), "{error}");
    }
}
