// Starts `osmose lsp` for rules files. Everything else is the language server's.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function activate() {
  const command = workspace.getConfiguration("osmose").get("path") || "osmose";
  const server = { command, args: ["lsp"] };
  client = new LanguageClient("osmose-rules", "Osmose rules", server, {
    documentSelector: [{ scheme: "file", language: "osmose-rules" }],
  });
  return client.start();
}

function deactivate() {
  return client ? client.stop() : undefined;
}

module.exports = { activate, deactivate };
