//! The language server: one thread, messages over stdin and stdout, the site read from the folder around each file.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the loop, and which request goes where |
//! | `place.rs` | documents, positions (UTF-16, as the protocol counts) and the word under a cursor |
//! | `world.rs` | the site around a document, checked with what the editor holds |
//! | `answers.rs` | completion, hover, definition, rename, formatting |

mod answers;
mod place;
mod world;

use crate::outcome::Failure;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use place::{Documents, path_of};
use serde_json::{Value, json};
use world::World;

/// What the server says it can do.
fn capabilities() -> Value {
    json!({
        "textDocumentSync": { "openClose": true, "change": 1, "save": { "includeText": false } },
        "completionProvider": { "triggerCharacters": ["."] },
        "hoverProvider": true,
        "definitionProvider": true,
        "renameProvider": { "prepareProvider": false },
        "documentFormattingProvider": true,
        "positionEncoding": "utf-16",
    })
}

/// Serves one editor over stdin and stdout until it says goodbye.
pub(crate) fn serve() -> Result<(), Failure> {
    let (connection, threads) = Connection::stdio();
    let failed = |e: &dyn std::fmt::Display| Failure::found(format!("the editor's connection failed: {e}"));
    let (id, _) = connection.initialize_start().map_err(|e| failed(&e))?;
    let about = json!({
        "capabilities": capabilities(),
        "serverInfo": { "name": "osmose", "version": env!("CARGO_PKG_VERSION") },
    });
    connection.initialize_finish(id, about).map_err(|e| failed(&e))?;
    let ended = talk(&connection);
    drop(connection);
    threads.join().map_err(|e| failed(&e))?;
    ended.map_err(|e| failed(&e))
}

fn talk(connection: &Connection) -> Result<(), Box<dyn std::error::Error>> {
    let mut documents = Documents::default();
    for message in &connection.receiver {
        match message {
            Message::Request(request) => {
                if connection.handle_shutdown(&request)? {
                    return Ok(());
                }
                connection.sender.send(Message::Response(answer(&documents, request)))?;
            }
            Message::Notification(note) => {
                for publish in noted(&mut documents, &note) {
                    connection.sender.send(Message::Notification(publish))?;
                }
            }
            Message::Response(_) => {}
        }
    }
    Ok(())
}

/// Takes a change of a document in; gives the diagnostics to show.
fn noted(documents: &mut Documents, note: &Notification) -> Vec<Notification> {
    let params = &note.params;
    let uri = params["textDocument"]["uri"].as_str().unwrap_or_default().to_owned();
    match note.method.as_str() {
        "textDocument/didOpen" => {
            documents.put(&uri, params["textDocument"]["text"].as_str().unwrap_or_default());
        }
        "textDocument/didChange" => {
            let last = params["contentChanges"].as_array().and_then(|c| c.last());
            documents.put(&uri, last.and_then(|c| c["text"].as_str()).unwrap_or_default());
        }
        "textDocument/didSave" => {}
        "textDocument/didClose" => {
            documents.remove(&uri);
            return vec![published(&uri, Vec::new())];
        }
        _ => return Vec::new(),
    }
    let Some(path) = path_of(&uri) else { return Vec::new() };
    let world = World::around(&path, documents);
    documents.of_site(&world).map(|(uri, name, text)| published(uri, world.diagnostics(&name, text))).collect()
}

fn published(uri: &str, diagnostics: Vec<Value>) -> Notification {
    Notification::new("textDocument/publishDiagnostics".to_owned(), json!({ "uri": uri, "diagnostics": diagnostics }))
}

fn answer(documents: &Documents, request: Request) -> Response {
    let params = &request.params;
    let uri = params["textDocument"]["uri"].as_str().unwrap_or_default();
    let (Some(text), Some(path)) = (documents.text(uri), path_of(uri)) else {
        return match request.method.starts_with("textDocument/") {
            true => Response::new_err(request.id, ErrorCode::InvalidParams as i32, format!("{uri} is not open")),
            false => {
                let message = format!("`{}` is not known here", request.method);
                Response::new_err(request.id, ErrorCode::MethodNotFound as i32, message)
            }
        };
    };
    let offset = place::offset_of(text, &params["position"]);
    let world = || World::around(&path, documents);
    match request.method.as_str() {
        "textDocument/completion" => Response::new_ok(request.id, answers::completion(&world(), text, offset)),
        "textDocument/hover" => Response::new_ok(request.id, answers::hover(&world(), text, offset)),
        "textDocument/definition" => {
            Response::new_ok(request.id, answers::definition(&world(), documents, uri, text, offset))
        }
        "textDocument/formatting" => Response::new_ok(request.id, answers::formatting(text)),
        "textDocument/rename" => {
            let new = params["newName"].as_str().unwrap_or_default();
            match answers::rename(&world(), documents, uri, text, offset, new) {
                Ok(edit) => Response::new_ok(request.id, edit),
                Err(why) => Response::new_err(request.id, ErrorCode::InvalidParams as i32, why),
            }
        }
        other => {
            let message = format!("`{other}` is not known here");
            Response::new_err(request.id, ErrorCode::MethodNotFound as i32, message)
        }
    }
}
