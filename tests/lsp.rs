//! The language server, by a client that speaks the protocol to the built binary over its stdin and stdout.

mod common;

use common::site::TempSite;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

struct Client {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    next: u64,
    /// By URI: the diagnostics published last.
    published: std::collections::BTreeMap<String, Value>,
}

impl Client {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_osmose"))
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (to, from) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut client = Client { child, to, from: BufReader::new(from), next: 0, published: Default::default() };
        let ready = client.request("initialize", json!({ "processId": null, "rootUri": null, "capabilities": {} }));
        for capability in [
            "completionProvider",
            "hoverProvider",
            "definitionProvider",
            "renameProvider",
            "documentFormattingProvider",
        ] {
            assert!(!ready["capabilities"][capability].is_null(), "{ready}");
        }
        client.notify("initialized", json!({}));
        client
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("it listens");
        self.to.flush().expect("it listens");
    }

    fn read(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).expect("a header") > 0, "it has ended");
            match line.trim().split_once(": ") {
                Some(("Content-Length", n)) => length = n.parse().expect("a number"),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.from.read_exact(&mut body).expect("a body");
        serde_json::from_slice(&body).expect("JSON")
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// The whole answer; what is published meanwhile is kept.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let message = self.read();
            if message["method"] == "textDocument/publishDiagnostics" {
                let uri = message["params"]["uri"].as_str().expect("a URI").to_owned();
                self.published.insert(uri, message["params"]["diagnostics"].clone());
            } else if message["id"] == id {
                return message;
            }
        }
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params);
        assert!(answer.get("error").is_none_or(Value::is_null), "{answer}");
        answer["result"].clone()
    }

    fn at(&mut self, method: &str, doc: &Doc, needle: &str, plus: usize) -> Value {
        self.request(method, doc.position(needle, plus))
    }

    fn stop(mut self) {
        self.request("shutdown", Value::Null);
        self.notify("exit", Value::Null);
        assert!(self.child.wait().expect("it ends").success());
    }
}

struct Doc {
    uri: String,
    text: String,
}

impl Doc {
    fn open(client: &mut Client, site: &TempSite, name: &str, text: &str) -> Self {
        let uri = format!("file://{}", site.file(name).display());
        let item = json!({ "uri": uri, "languageId": "osmose-rules", "version": 1, "text": text });
        client.notify("textDocument/didOpen", json!({ "textDocument": item }));
        Doc { uri, text: text.to_owned() }
    }

    fn change(&mut self, client: &mut Client, text: &str) {
        text.clone_into(&mut self.text);
        let document = json!({ "uri": self.uri, "version": 2 });
        client.notify(
            "textDocument/didChange",
            json!({ "textDocument": document, "contentChanges": [{ "text": text }] }),
        );
    }

    fn position(&self, needle: &str, plus: usize) -> Value {
        let offset = self.text.find(needle).unwrap_or_else(|| panic!("{needle} is not there")) + plus;
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let position = json!({
            "line": before.matches('\n').count(), "character": before[line_start..].encode_utf16().count()
        });
        json!({ "textDocument": { "uri": self.uri }, "position": position })
    }
}

fn labels(items: &Value) -> Vec<&str> {
    items.as_array().expect("a list").iter().filter_map(|i| i["label"].as_str()).collect()
}

const RULES: &str = "# Größe 😀\nrule greet {\n  for each room r where r.display\n  when p enters r\n  do r.display.show(\"hello {r}\")\n}\nrule calm { when p leaves m7 do m7.recorder.pause() }\n";

#[test]
fn an_editor_gets_what_it_asks_for() {
    let site = TempSite::example("coworking");
    site.write("rules/zz.rules", RULES);
    let mut client = Client::start();
    let mut doc = Doc::open(&mut client, &site, "rules/zz.rules", RULES);

    let hover = client.at("textDocument/hover", &doc, "calm", 1)["contents"]["value"].to_string();
    for part in ["cost:", "human latency:", "drives: m7.recorder", "operations"] {
        assert!(hover.contains(part), "{hover}");
    }
    let hover = client.at("textDocument/hover", &doc, "m7.recorder", 4)["contents"]["value"].to_string();
    assert!(hover.contains("recorder m7.recorder") && hover.contains("used by:") && hover.contains("calm"), "{hover}");
    assert!(hover.contains("commands:") && hover.contains("pause"), "{hover}");
    assert_eq!(client.published[&doc.uri], json!([]), "nothing is wrong with it");

    let definition = client.at("textDocument/definition", &doc, "m7.recorder", 1);
    assert!(
        definition["uri"].as_str().is_some_and(|u| u.ends_with("devices.toml") || u.ends_with("floorplan.geojson"))
    );
    let definition = client.at("textDocument/definition", &doc, "enters r", 7);
    assert_eq!((definition["uri"].as_str(), &definition["range"]["start"]["line"]), (Some(&*doc.uri), &json!(2)));

    let mut rename = doc.position("enters r", 7);
    rename["newName"] = json!("place");
    let edit = client.request("textDocument/rename", rename.clone());
    let edits = edit["changes"][&doc.uri].as_array().expect("edits").clone();
    assert_eq!(edits.len(), 5, "binder, where, when, do and the hole of the text: {edits:?}");
    rename["newName"] = json!("for");
    assert!(client.ask("textDocument/rename", rename)["error"]["message"].as_str().is_some());
    let mut rename = doc.position("calm", 0);
    rename["newName"] = json!("quiet");
    let edit = client.request("textDocument/rename", rename);
    assert_eq!(edit["changes"][&doc.uri][0]["newText"], "quiet");

    // A counter's name is renamed where each zone has its own, and in the holes of texts.
    doc.change(
        &mut client,
        "counter visits per zone\nrule v { for each room r when p enters r do r.visits.add(); notify(ana, \"{r.visits} came\") }\n",
    );
    let mut rename = doc.position("counter visits", 8);
    rename["newName"] = json!("comings");
    let edit = client.request("textDocument/rename", rename);
    assert_eq!(edit["changes"][&doc.uri].as_array().map(Vec::len), Some(3), "{edit}");

    doc.change(
        &mut client,
        "rule a { when p enters m7 do m7.recorder. }\nrule b { when p enters mm7 do m7.recorder.pause() }",
    );
    let members = client.at("textDocument/completion", &doc, "recorder.", 9);
    let found = labels(&members);
    assert!(["pause", "start", "state"].iter().all(|l| found.contains(l)), "{found:?}");
    let members = client.at("textDocument/completion", &doc, "m7.", 3);
    let found = labels(&members);
    assert!(["recorder", "lights", "capacity"].iter().all(|l| found.contains(l)), "{found:?}");
    let names = client.at("textDocument/completion", &doc, "enters mm7", 7);
    let found = labels(&names);
    assert!(["m7", "ana", "project-x", "fire-panel", "when", "lasting"].iter().all(|l| found.contains(l)), "{found:?}");
    let diagnostics = client.published[&doc.uri].to_string();
    assert!(diagnostics.contains("\"code\":\"syntax\"") && diagnostics.contains("did you mean `m7`?"), "{diagnostics}");

    doc.change(&mut client, "rule a{when p enters m7\ndo m7.recorder.pause()}");
    let request = json!({ "textDocument": { "uri": doc.uri }, "options": { "tabSize": 2, "insertSpaces": true } });
    let edits = client.request("textDocument/formatting", request);
    assert_eq!(edits[0]["newText"], "rule a {\n  when p enters m7\n  do m7.recorder.pause()\n}\n");
    client.stop();
}

#[test]
fn what_is_not_known_is_refused_and_the_server_goes_on() {
    let mut client = Client::start();
    assert_eq!(client.ask("workspace/symbol", json!({ "query": "" }))["error"]["code"], -32601);
    let hover = json!({ "textDocument": { "uri": "file:///nowhere" }, "position": { "line": 0, "character": 0 } });
    assert_eq!(client.ask("textDocument/hover", hover)["error"]["code"], -32602);
    client.stop();
}
