//! Loopback sockets, limits, and who may ask what.
//!
//! The page is for people at this machine: the server listens on loopback only, and a request must name loopback as its
//! host and, where a browser says whose page asks, as its origin. So neither a neighbour nor another site's script (also
//! not by a name that was bent to 127.0.0.1) gets at a building. Everything has a limit; a page that takes nothing for
//! a while is dropped.

use crate::assets;
use crate::outlet::Outlet;
use crate::request::{REQUEST_BYTES_MAX, REQUESTS_PER_S_MAX, Request};
use axum::Router;
use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Pages at once at most.
pub const PAGES_MAX: usize = 64;
/// Connections at once at most.
pub const CONNECTIONS_MAX: usize = 256;
/// A page that takes nothing for so long is dropped.
const STALLED: Duration = Duration::from_secs(10);
/// A connection that has not said what it wants by then is dropped.
const HEADER_WITHIN: Duration = Duration::from_secs(5);
/// How often a stop is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Bytes on their way to one page before it counts as stalled.
const UNSENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes that the kernel may hold for one page: it would take megabytes for each that takes nothing in.
const KERNEL_BYTES: usize = 256 * 1024;

/// The messages that tell how things are, and how long they are waited for.
const NOW: [&str; 4] = ["hello", "events", "snap", "stat"];
const NOW_WITHIN: Duration = Duration::from_secs(3);

/// What pages are fed from: a running engine or a replay.
pub trait Feed: Send + Sync + 'static {
    /// A page has come. What it is to see goes to its outlet, from now until the visitor is dropped. Of a recording it
    /// wants to see an instant, seconds of the log, or the newest.
    fn open(&self, page: Arc<Outlet>, at_s: Option<f64>) -> Box<dyn Visitor>;
}

/// A page, as the feed sees it.
pub trait Visitor: Send {
    /// It asked something. Must not take long: work is done elsewhere.
    fn asked(&mut self, request: Request);
}

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Not an address.
    #[error("{0:?} is no address for the page: give HOST:PORT like 127.0.0.1:7800, or `none`")]
    Address(String),
    /// Others could reach it.
    #[error(
        "the page would be open to others at {0}: it knows no passwords, so it is served on loopback only. Give \
         127.0.0.1:{port}, and reach it from elsewhere through `ssh -L {port}:127.0.0.1:{port}`", port = .0.port()
    )]
    NotLoopback(SocketAddr),
    /// The port cannot be had.
    #[error("the page cannot be served at http://{0}: {1}. Give another port with --web, or --web none")]
    Bind(SocketAddr, std::io::Error),
    /// No thread or runtime.
    #[error("the page cannot be served: {0}")]
    System(#[from] std::io::Error),
}

/// A server that is bound and does not serve yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
}

/// What every request needs.
#[derive(Clone)]
struct Door {
    feed: Arc<dyn Feed>,
    recording: Option<Arc<dyn Feed>>,
    pages: Arc<Semaphore>,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// Binds the page's port; port 0 takes any that is free.
    ///
    /// # Errors
    /// [`ServeError`], with the way to mend it.
    pub fn bind(addr: &str) -> Result<Self, ServeError> {
        let plain = addr.strip_prefix("http://").unwrap_or(addr).replace("localhost", "127.0.0.1");
        let addr: SocketAddr = plain.parse().map_err(|_| ServeError::Address(addr.to_owned()))?;
        if !addr.ip().is_loopback() {
            return Err(ServeError::NotLoopback(addr));
        }
        let listener = TcpListener::bind(addr).map_err(|e| ServeError::Bind(addr, e))?;
        listener.set_nonblocking(true)?;
        // The sockets that are accepted have it from this one.
        socket2::SockRef::from(&listener).set_send_buffer_size(KERNEL_BYTES)?;
        let addr = listener.local_addr()?;
        Ok(Self { listener, addr })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves pages from `feed`, and what was recorded from `recording` to pages that ask for it, on a thread of its own
    /// until `stop` is set.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn serve(
        self,
        feed: Arc<dyn Feed>,
        recording: Option<Arc<dyn Feed>>,
        stop: Arc<AtomicBool>,
    ) -> Result<JoinHandle<()>, ServeError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let door = Door { feed, recording, pages: Arc::new(Semaphore::new(PAGES_MAX)), stop };
        let serve = move || {
            if let Err(error) = runtime.block_on(accept(self.listener, door)) {
                tracing::error!(%error, "the page is not served any more");
            }
        };
        Ok(std::thread::Builder::new().name("osmose-page".into()).spawn(serve)?)
    }
}

async fn accept(listener: TcpListener, door: Door) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let router = Router::new()
        .route("/", get(index))
        .route("/ws", any(socket))
        .route("/recording/{at}", any(recording))
        .route("/now", get(now))
        .route("/{*path}", get(asset))
        .layer(from_fn_with_state(door.clone(), guard))
        .with_state(door.clone());
    while !door.stop.load(Ordering::Relaxed) {
        let Ok(accepted) = timeout(LOOK_EVERY, listener.accept()).await else { continue };
        let Ok((stream, _)) = accepted else {
            // Out of files, or it was gone already: the next one may do.
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        };
        let Ok(permit) = connections.clone().try_acquire_owned() else { continue };
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let _permit: OwnedSemaphorePermit = permit;
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEADER_WITHIN).max_buf_size(16 * 1024);
            // However it ends, it concerns nobody but the browser at its other end.
            let _ = http.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
    }
    Ok(())
}

/// Whether a `Host` or an origin's host is this machine itself.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether the headers say that this machine asks this machine.
fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|v: &HeaderValue| v.to_str().unwrap_or("?"));
    let host = text(header::HOST);
    let host_is_ours = host.is_some_and(is_loopback);
    // A program has no origin; a browser always names it on a socket.
    let origin_is_ours = text(header::ORIGIN).is_none_or(|o| o.strip_prefix("http://") == host);
    host_is_ours && origin_is_ours
}

async fn guard(State(door): State<Door>, request: axum::extract::Request, next: Next) -> Response {
    if door.stop.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if !is_ours(request.headers()) {
        return (StatusCode::FORBIDDEN, "This page is for this machine: open it as http://127.0.0.1.\n")
            .into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src \
                          'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn index() -> Response {
    file("index.html")
}

async fn asset(Path(path): Path<String>) -> Response {
    file(&path)
}

fn file(path: &str) -> Response {
    match assets::find(path) {
        Some((kind, text)) => ([(header::CONTENT_TYPE, kind)], Body::from(text)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What a page is told when it opens, as one JSON object by type: for programs that want to look once.
async fn now(State(door): State<Door>) -> Response {
    let busy = || (StatusCode::SERVICE_UNAVAILABLE, "As many pages as there may be are open.\n").into_response();
    let Ok(_permit) = door.pages.clone().try_acquire_owned() else { return busy() };
    let outlet = Arc::new(Outlet::default());
    let visitor = door.feed.open(outlet.clone(), None);
    let mut all = serde_json::Map::new();
    let gather = async {
        while !NOW.iter().all(|kind| all.contains_key(*kind)) {
            let Some(message) = outlet.take() else {
                outlet.wait().await;
                continue;
            };
            if let Ok(message) = serde_json::from_str::<serde_json::Value>(&message)
                && let Some(kind) = message["type"].as_str().map(str::to_owned)
            {
                all.insert(kind, message);
            }
        }
    };
    let told = timeout(NOW_WITHIN, gather).await;
    drop(visitor);
    outlet.close();
    match told {
        Ok(()) => {
            let body = serde_json::Value::Object(all).to_string();
            ([(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response()
        }
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "The engine has given no picture yet.\n").into_response(),
    }
}

async fn socket(State(door): State<Door>, upgrade: WebSocketUpgrade) -> Response {
    let feed = door.feed.clone();
    open(door, feed, None, upgrade)
}

/// What was recorded: around an instant (`/recording/134.3`), or the newest (`/recording/now`).
async fn recording(State(door): State<Door>, Path(at): Path<String>, upgrade: WebSocketUpgrade) -> Response {
    let at_s = at.parse().ok().filter(|s: &f64| s.is_finite());
    match door.recording.clone() {
        Some(feed) if at_s.is_some() || at == "now" => open(door, feed, at_s, upgrade),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A socket whose page is fed from `feed`.
fn open(door: Door, feed: Arc<dyn Feed>, at_s: Option<f64>, upgrade: WebSocketUpgrade) -> Response {
    let Ok(permit) = door.pages.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "As many pages as there may be are open.\n").into_response();
    };
    upgrade
        .max_message_size(REQUEST_BYTES_MAX)
        .max_frame_size(REQUEST_BYTES_MAX)
        .max_write_buffer_size(UNSENT_BYTES_MAX)
        .on_upgrade(move |socket| async move {
            let _permit = permit;
            let outlet = Arc::new(Outlet::default());
            let visitor = feed.open(outlet.clone(), at_s);
            visit(socket, &outlet, visitor, &door.stop).await;
            outlet.close();
        })
}

/// One page, until it goes, stalls or is shut out.
async fn visit(mut socket: WebSocket, outlet: &Outlet, mut visitor: Box<dyn Visitor>, stop: &AtomicBool) {
    let (mut since, mut asked) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) && !outlet.is_closed() {
        while let Some(message) = outlet.take() {
            match timeout(STALLED, socket.send(Message::Text(message))).await {
                Ok(Ok(())) => {}
                _ => return,
            }
        }
        let said = tokio::select! {
            said = socket.recv() => said,
            () = outlet.wait() => continue,
            () = tokio::time::sleep(LOOK_EVERY) => continue,
        };
        let text = match said {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(_))) => return shut_out(&mut socket, "only text is understood").await,
            _ => return,
        };
        if since.elapsed() >= Duration::from_secs(1) {
            (since, asked) = (Instant::now(), 0);
        }
        asked += 1;
        if asked > REQUESTS_PER_S_MAX {
            return shut_out(&mut socket, "too many messages").await;
        }
        match Request::read(&text) {
            Some(request) => visitor.asked(request),
            None => return shut_out(&mut socket, "this is nothing that a page may say").await,
        }
    }
}

async fn shut_out(socket: &mut WebSocket, why: &'static str) {
    let close = Message::Close(Some(CloseFrame { code: close_code::POLICY, reason: why.into() }));
    let _ = timeout(Duration::from_secs(1), socket.send(close)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut all = HeaderMap::new();
        all.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            all.insert(header::ORIGIN, origin.parse().unwrap());
        }
        all
    }

    #[test]
    fn only_this_machine_may_ask_and_only_for_its_own_page() {
        for host in ["127.0.0.1:7800", "localhost:7800", "[::1]:7800", "127.0.0.1"] {
            assert!(is_ours(&headers(host, None)), "{host}");
            assert!(is_ours(&headers(host, Some(&format!("http://{host}")))), "{host}");
        }
        assert!(!is_ours(&headers("building.example:7800", None)), "a name that was bent to loopback");
        assert!(!is_ours(&headers("127.0.0.1.example:7800", None)));
        assert!(!is_ours(&headers("127.0.0.1:7800", Some("http://evil.example"))));
        assert!(!is_ours(&headers("127.0.0.1:7800", Some("http://127.0.0.1:9"))), "another program of this machine");
        assert!(!is_ours(&headers("127.0.0.1:7800", Some("null"))));
        assert!(!is_ours(&HeaderMap::new()));
    }

    #[test]
    fn an_address_that_others_reach_is_refused_with_the_way_round() {
        let said = |addr: &str| Server::bind(addr).unwrap_err().to_string();
        assert!(said("0.0.0.0:7800").contains("ssh -L 7800:127.0.0.1:7800"));
        assert!(said("here").contains("HOST:PORT"));
        let one = Server::bind("127.0.0.1:0").unwrap();
        assert!(said(&one.addr().to_string()).contains("--web none"));
        assert!(Server::bind("localhost:0").is_ok());
    }
}
