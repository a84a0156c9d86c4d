//! A headless Chromium and its DevTools protocol: as much of it as the tests of the page need.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// How long anything may take before a test gives up: CI machines are slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Names under which it may be installed.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// A browser with one page open; ended when dropped.
pub(crate) struct Browser {
    child: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: String,
    next_id: u64,
    /// What the page complained of: console errors and warnings, exceptions, refused requests.
    pub(crate) complaints: Vec<String>,
    /// Every address that was asked for.
    pub(crate) asked: Vec<String>,
    _profile: tempfile::TempDir,
}

/// Where the browser is; `None`, with a line for CI, where there is none.
pub(crate) fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).flat_map(|dir| NAMES.map(|n| dir.join(n))).find(|p| p.is_file());
    if found.is_none() {
        println!("skip: no Chromium here (apt-get install chromium): the page is not tested in a browser");
    }
    found
}

impl Browser {
    /// Starts one with an empty page.
    pub(crate) fn start(program: &PathBuf) -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(program);
        command
            .args(["--headless=new", "--remote-debugging-port=0", "--no-first-run", "--no-default-browser-check"])
            // Tests run as root in containers, whose kernels often refuse the sandbox; the pages are our own.
            .args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars", "--mute-audio"])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-extensions",
                "--disable-sync",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("Chromium starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|l| l.strip_prefix("DevTools listening on ").map(str::to_owned))
            .expect("Chromium says where it listens");
        // What it says afterwards is read away, or it would block.
        std::thread::spawn(move || lines.for_each(drop));
        let (socket, _) = tungstenite::connect(&address).expect("DevTools answers");
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout can be set");
        }
        let mut browser = Self {
            child,
            socket,
            session: String::new(),
            next_id: 0,
            complaints: Vec::new(),
            asked: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let session = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Network.enable", "Log.enable"] {
            browser.call(domain, json!({}));
        }
        browser
    }

    /// Calls a method and gives its result.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.socket.send(Message::text(message.to_string())).expect("DevTools listens");
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            let Some(heard) = self.hear() else { continue };
            if heard["id"] == id {
                assert!(heard.get("error").is_none(), "{method}: {}", heard["error"]);
                return heard["result"].clone();
            }
        }
        panic!("{method} was not answered within {PATIENCE:?}");
    }

    /// One message; notes what is an event.
    fn hear(&mut self) -> Option<Value> {
        let text = match self.socket.read() {
            Ok(Message::Text(text)) => text,
            Ok(_) => return None,
            Err(tungstenite::Error::Io(e))
                if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                return None;
            }
            Err(error) => panic!("Chromium is gone: {error}"),
        };
        let heard: Value = serde_json::from_str(&text).expect("DevTools speaks JSON");
        let params = &heard["params"];
        match heard["method"].as_str() {
            Some("Runtime.consoleAPICalled")
                if matches!(params["type"].as_str(), Some("error" | "warning" | "assert")) =>
            {
                self.complaints.push(params["args"].to_string());
            }
            Some("Runtime.exceptionThrown") => self.complaints.push(params["exceptionDetails"].to_string()),
            Some("Log.entryAdded") if matches!(params["entry"]["level"].as_str(), Some("error" | "warning")) => {
                self.complaints.push(params["entry"].to_string());
            }
            Some("Network.requestWillBeSent") => {
                self.asked.extend(params["request"]["url"].as_str().map(str::to_owned))
            }
            Some("Network.webSocketCreated") => self.asked.extend(params["url"].as_str().map(str::to_owned)),
            _ => {}
        }
        Some(heard)
    }

    /// Opens an address.
    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        self.until("the page to be loaded", "document.readyState === 'complete'");
    }

    /// The value of an expression; a promise is waited for.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let said = self
            .call("Runtime.evaluate", json!({"expression": expression, "returnByValue": true, "awaitPromise": true}));
        assert!(said.get("exceptionDetails").is_none(), "{expression}: {}", said["exceptionDetails"]);
        said["result"]["value"].clone()
    }

    /// The value of an expression as text.
    pub(crate) fn text(&mut self, expression: &str) -> String {
        self.eval(expression).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true.
    pub(crate) fn until(&mut self, what: &str, expression: &str) {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if self.eval(&format!("!!({expression})")) == true {
                return;
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        panic!("waited {PATIENCE:?} for {what}; complaints: {:#?}", self.complaints);
    }

    /// The window's size in CSS pixels, how many pixels of the picture one of them is, and the theme.
    pub(crate) fn show_as(&mut self, width: u32, height: u32, dense: f64, theme: &str) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": dense, "mobile": width < 700}),
        );
        self.media(theme, "no-preference");
        self.settle();
    }

    /// The theme, and whether motion is to be reduced (`reduce`) or not (`no-preference`).
    pub(crate) fn media(&mut self, theme: &str, motion: &str) {
        let features = json!([
            {"name": "prefers-color-scheme", "value": theme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Waits until what was changed is laid out and drawn.
    pub(crate) fn settle(&mut self) {
        self.eval(
            "new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(r))))",
        );
    }

    /// A picture of what is seen, as a PNG file's bytes.
    pub(crate) fn picture(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", json!({"format": "png", "optimizeForSpeed": false}));
        let text = shot["data"].as_str().expect("a picture");
        data_encoding::BASE64.decode(text.as_bytes()).expect("base64")
    }

    /// Presses a key by its name in DOM events; `Shift+` before it holds that down.
    pub(crate) fn press(&mut self, key: &str) {
        let (key, held) = key.strip_prefix("Shift+").map_or((key, 0), |key| (key, 8));
        let text = if key.chars().count() == 1 { key } else { "" };
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            _ => 0,
        };
        let text = if key == "Enter" { "\r" } else { text };
        let event = |kind: &str| json!({"type": kind, "key": key, "text": text, "modifiers": held, "windowsVirtualKeyCode": code});
        self.call("Input.dispatchKeyEvent", event("keyDown"));
        self.call("Input.dispatchKeyEvent", event("keyUp"));
    }

    /// Clicks the middle of the first element that a selector finds.
    pub(crate) fn click(&mut self, selector: &str) {
        self.click_found(selector, &format!("document.querySelector({selector:?})"));
    }

    /// Clicks the middle of the element that an expression gives.
    pub(crate) fn click_found(&mut self, what: &str, expression: &str) {
        let find = format!(
            "(() => {{ const e = {expression}; if (!e) return null; e.scrollIntoView({{block: 'nearest'}}); const b = \
             e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
        );
        let at = self.eval(&find);
        assert!(at.is_array(), "there is no {what}");
        self.click_at(&at);
    }

    /// Clicks at a point of the window, `[x, y]`.
    pub(crate) fn click_at(&mut self, at: &Value) {
        self.drag(at, at);
    }

    /// Presses at one point of the window, moves to another and lets go.
    pub(crate) fn drag(&mut self, from: &Value, to: &Value) {
        self.mouse("mousePressed", from);
        if from != to {
            for share in [0.3, 0.6, 1.0] {
                let between = |i: usize| {
                    let (a, b) = (from[i].as_f64().expect("pixels"), to[i].as_f64().expect("pixels"));
                    a + (b - a) * share
                };
                self.mouse("mouseMoved", &json!([between(0), between(1)]));
            }
        }
        self.mouse("mouseReleased", to);
    }

    fn mouse(&mut self, kind: &str, at: &Value) {
        let event = json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "buttons": 1, "clickCount": 1});
        self.call("Input.dispatchMouseEvent", event);
    }

    /// Turns the wheel at a point of the window.
    pub(crate) fn wheel(&mut self, at: &Value, by: f64) {
        let event = json!({"type": "mouseWheel", "x": at[0], "y": at[1], "deltaX": 0, "deltaY": by});
        self.call("Input.dispatchMouseEvent", event);
    }

    /// Fails where the page complained, or asked anybody but this machine.
    pub(crate) fn expect_clean(&mut self) {
        // What is on its way is still heard.
        self.eval("new Promise((r) => setTimeout(r, 100))");
        assert!(self.complaints.is_empty(), "the page complained: {:#?}", self.complaints);
        let inside = |url: &&String| {
            ["http://127.0.0.1:", "ws://127.0.0.1:", "data:", "about:"].iter().any(|p| url.starts_with(p))
        };
        let outside: Vec<&String> = self.asked.iter().filter(|u| !inside(u)).collect();
        assert!(outside.is_empty(), "requests left this machine: {outside:?}");
        assert!(self.asked.iter().any(|u| u.starts_with("ws://127.0.0.1:")), "the socket was seen: {:?}", self.asked);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
