//! Templates: a rule with parameters, written once and used for many places.
//!
//! `template motion-light(r: room, lux: number = 50 lx) { ... }` and `use motion-light(r: m7) as m7-light`. A parameter
//! whose kind names something of the site (zone, wall, device, person, group, sensor) is bound to it as a `for each`
//! variable is; any other stands for the expression that was given, which is checked where it is used.

use super::Checker;
use super::names::Meaning;
use super::rule::{Defaults, Scope, Source};
use crate::diag::Span;
use crate::program::Binding;
use crate::syntax::ast::{self, AstNode, Clause, Expr};

/// Kinds of parameters that stand for an expression.
const VALUES: &[&str] = &["number", "duration", "time", "text", "condition"];

/// A template as declared.
#[derive(Clone, Debug)]
pub(super) struct Template {
    name: String,
    params: Vec<(ast::Name, ast::Name, Option<Expr>)>,
    clauses: Vec<Clause>,
    span: Span,
    file: String,
}

impl Checker<'_> {
    /// `template NAME(param: kind) { ... }`
    pub(super) fn template(&mut self, node: &ast::Template) {
        let Some(name) = node.name() else { return };
        if !self.define(&format!("template {}", name.text()), "template", name.span()) {
            return;
        }
        let mut params: Vec<(ast::Name, ast::Name, Option<Expr>)> = Vec::new();
        for param in node.params() {
            let names: Vec<ast::Name> = param.names().collect();
            let [own, kind] = names.as_slice() else { return };
            if params.iter().any(|(n, ..)| n.text() == own.text()) {
                self.error("defined-twice", own.span(), format!("parameter `{}` stands here twice", own.text()));
                return;
            }
            params.push((own.clone(), kind.clone(), param.expr()));
        }
        let (clauses, span, file) = (node.clauses().collect(), node.span(), self.file.clone());
        self.templates.push(Template { name: name.text(), params, clauses, span, file });
    }

    /// `use NAME(param: value) [as NAME]`
    pub(super) fn use_template(&mut self, node: &ast::Use, defaults: &Defaults) {
        let Some(name) = node.template() else { return };
        let Some(template) = self.templates.iter().find(|t| t.name == name.text()).cloned() else {
            let known: Vec<String> = self.templates.iter().map(|t| t.name.clone()).collect();
            return self.unknown_name(name.span(), "template", &name.text(), known.iter().map(String::as_str));
        };
        let mut given: Vec<(String, Expr, Span)> = Vec::new();
        for (place, arg) in node.args().enumerate() {
            let Some(value) = arg.expr() else { continue };
            let own = arg.name().map(|n| n.text()).or_else(|| template.params.get(place).map(|(n, ..)| n.text()));
            let Some(own) = own.filter(|own| template.params.iter().any(|(n, ..)| n.text() == *own)) else {
                let known: Vec<String> = template.params.iter().map(|(n, ..)| n.text()).collect();
                let word = arg.name().map_or_else(|| value.syntax().text().to_string(), |n| n.text());
                let what = format!("parameter of `{}`", template.name);
                return self.unknown_name(arg.span(), &what, &word, known.iter().map(String::as_str));
            };
            if given.iter().any(|(n, ..)| *n == own) {
                return self.error("arguments", arg.span(), format!("parameter `{own}` is given twice"));
            }
            given.push((own, value, arg.span()));
        }
        let (mut bindings, mut values) = (Vec::new(), Vec::new());
        for (own, kind, default) in &template.params {
            let text = own.text();
            let of_use = given.iter().find(|(n, ..)| *n == text).map(|(_, value, _)| value.clone());
            let Some(value) = of_use.or_else(|| default.clone()) else {
                let help = format!("write `use {}({text}: ...)`", template.name);
                return self.error_help("arguments", node.span(), format!("parameter `{text}` is not given"), help);
            };
            if VALUES.contains(&kind.text().as_str()) {
                values.push((text, value));
            } else {
                match self.thing(kind, &value) {
                    Some(binding) => bindings.push((text, binding)),
                    None => return,
                }
            }
        }
        let called = match node.called() {
            Some(name) => (name.text(), name.span()),
            None => {
                let of: Vec<&str> = bindings.iter().map(|(_, b): &(String, Binding)| self.name_of(*b)).collect();
                let of = if of.is_empty() { String::new() } else { format!(" {}", of.join(" ")) };
                (format!("{}{of}", template.name), node.span())
            }
        };
        // The rule stands in the template's file: that is where its conditions are shown from.
        let here = std::mem::replace(&mut self.file, template.file.clone());
        let from = self.diagnostics.len();
        let mut source = Source::of_template(template.clauses.clone(), called.0, called.1).placed(template.span);
        self.given.clone_from(&values);
        (source.bindings, source.values) = (bindings, values);
        self.rule(source, defaults);
        self.given.clear();
        self.file.clone_from(&here);
        // What was given stands in the file that uses it.
        for diagnostic in &mut self.diagnostics[from..] {
            let of_use = |span: Span| given.iter().any(|(_, _, at)| at.start <= span.start && span.end <= at.end);
            if here != template.file && (of_use(diagnostic.span) || diagnostic.span == called.1) {
                diagnostic.file.clone_from(&here);
            }
        }
    }

    /// What a parameter of a kind of the site is bound to; `None` after reporting.
    fn thing(&mut self, kind: &ast::Name, value: &Expr) -> Option<Binding> {
        let binding = match self.meaning(&mut Scope::default(), value) {
            Meaning::Zone(id) => Binding::Zone(id),
            Meaning::Wall(id) => Binding::Wall(id),
            Meaning::Person(id) => Binding::Person(id),
            Meaning::Group(id) => Binding::Group(id),
            Meaning::Devices(ids) if ids.len() == 1 => Binding::Device(ids[0]),
            Meaning::Sensors(ids) if ids.len() == 1 => Binding::Sensor(ids[0]),
            Meaning::Wrong => return None,
            other => {
                let message = format!("expected a {}, found {}", kind.text(), other.said());
                self.error("type", value.span(), message);
                return None;
            }
        };
        let fits = self.all_of_kind(kind)?.contains(&binding);
        if !fits {
            let message = format!("`{}` is no {}", self.name_of(binding), kind.text());
            self.error("type", value.span(), message);
        }
        fits.then_some(binding)
    }
}
