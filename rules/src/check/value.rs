//! Numbers with units, durations, and the values that commands carry and holds keep.

use super::names::Meaning;
use super::rule::Scope;
use super::{Checker, units};
use crate::diag::{Diagnostic, Span, did_you_mean};
use crate::program::{Num, NumId, TextPart, ValueExpr};
use crate::syntax::ast::{self, AstNode, Expr};
use osmose_model::command::{Text, Value};
use osmose_model::device::{PropertySpec, Unit};
use osmose_model::ids::Name;
use osmose_model::time::{DurationNs, parse_decimal_ns};

impl Checker<'_> {
    pub(super) fn push_num(&mut self, num: Num) -> NumId {
        self.program.nums.push(num);
        (self.program.nums.len() - 1) as NumId
    }

    /// The constant that a number node is, where it is one.
    pub(super) fn constant(&self, id: NumId) -> Option<f64> {
        match self.program.nums[id as usize] {
            Num::Const(value) => Some(value),
            _ => None,
        }
    }

    /// An expression with a template's parameter replaced by what it stands for.
    fn value_of(&self, expr: &Expr) -> Expr {
        match expr {
            Expr::Name(name) => self
                .given
                .iter()
                .find(|(n, _)| *n == name.text())
                .map_or_else(|| expr.clone(), |(_, value)| value.clone()),
            _ => expr.clone(),
        }
    }

    pub(super) fn push_value(&mut self, value: ValueExpr) -> u32 {
        self.program.values.push(value);
        (self.program.values.len() - 1) as u32
    }

    /// The number that `expr` is, with its unit; `None` after reporting.
    pub(super) fn number(&mut self, scope: &mut Scope, expr: &Expr) -> Option<(NumId, Unit)> {
        match self.meaning(scope, expr) {
            Meaning::Number(id, unit) => Some((id, unit)),
            other => self.as_number(scope, &other, expr.span()),
        }
    }

    /// A sensor or a device's numeric property as the number that it shows.
    pub(super) fn as_number(&mut self, scope: &mut Scope, meaning: &Meaning, span: Span) -> Option<(NumId, Unit)> {
        match meaning {
            Meaning::Number(id, unit) => Some((*id, *unit)),
            Meaning::Counter { place, .. } => {
                scope.deps.counters.push(*place);
                Some((self.push_num(Num::Counter(*place)), Unit::One))
            }
            Meaning::Argument(name) => Some((self.push_num(Num::Argument(*name)), Unit::One)),
            Meaning::Sensors(ids) if ids.len() == 1 => {
                let sensor = &self.site.sensors[ids[0].index()];
                use osmose_model::device::SensorKind::{Count, Value};
                let unit = match sensor.kind {
                    Count => Unit::People,
                    Value => sensor.unit.unwrap_or(Unit::One),
                    kind => {
                        let message = format!("sensor `{}` is of kind {kind} and shows no number", sensor.name);
                        self.error("type", span, message);
                        return None;
                    }
                };
                scope.deps.sensors.push(ids[0]);
                Some((self.push_num(Num::Sensor(ids[0])), unit))
            }
            Meaning::Property { ids, spec } if ids.len() == 1 && spec.unit.is_some() => {
                scope.deps.devices.push(ids[0]);
                let property = Name::new(spec.property)?;
                Some((self.push_num(Num::Device { device: ids[0], property }), spec.unit?))
            }
            other => {
                self.wrong_kind(span, "a number", other);
                None
            }
        }
    }

    /// Quantities and arithmetic.
    pub(super) fn number_meaning(&mut self, scope: &mut Scope, expr: &Expr) -> Meaning {
        let found = match expr {
            Expr::Quantity(quantity) => self.quantity(quantity),
            Expr::PercentOf(of) => self.percent_of(scope, of),
            Expr::Neg(neg) => neg.expr().and_then(|inner| {
                let (id, unit) = self.number(scope, &inner)?;
                let zero = self.push_num(Num::Const(0.0));
                Some((self.fold(Num::Sub(zero, id)), unit))
            }),
            Expr::Bin(bin) => self.arithmetic(scope, bin),
            _ => None,
        };
        found.map_or(Meaning::Wrong, |(id, unit)| Meaning::Number(id, unit))
    }

    fn quantity(&mut self, quantity: &ast::Quantity) -> Option<(NumId, Unit)> {
        let number = quantity.number()?;
        let value: f64 = number.text().parse().ok()?;
        let (unit, factor) = match quantity.unit() {
            None => (Unit::One, 1.0),
            Some(text) => match units::unit_of(&text) {
                Some(found) => found,
                None => {
                    let span = quantity.unit_node().map_or(quantity.span(), |u| u.span());
                    self.error("unknown-unit", span, format!("`{text}` is no unit"));
                    return None;
                }
            },
        };
        // A thousand digits parse to infinity, which must never reach the evaluator.
        let value = value * factor;
        if !value.is_finite() {
            self.error("too-large", quantity.span(), "this number is too large");
            return None;
        }
        Some((self.push_num(Num::Const(value)), unit))
    }

    fn percent_of(&mut self, scope: &mut Scope, of: &ast::PercentOf) -> Option<(NumId, Unit)> {
        let mut exprs = of.exprs();
        let (percent, _) = self.number(scope, &exprs.next()?)?;
        let (whole, unit) = self.number(scope, &exprs.next()?)?;
        let hundredth = self.push_num(Num::Const(0.01));
        let share = self.fold(Num::Mul(percent, hundredth));
        Some((self.fold(Num::Mul(share, whole)), unit))
    }

    /// Folds a node whose sides are constants, so that `where` and `80 % of r.capacity` cost nothing later.
    pub(super) fn fold(&mut self, num: Num) -> NumId {
        let value = match num {
            Num::Add(a, b) => self.constant(a).zip(self.constant(b)).map(|(a, b)| a + b),
            Num::Sub(a, b) => self.constant(a).zip(self.constant(b)).map(|(a, b)| a - b),
            Num::Mul(a, b) => self.constant(a).zip(self.constant(b)).map(|(a, b)| a * b),
            Num::Div(a, b) => self.constant(a).zip(self.constant(b)).map(|(a, b)| a / b),
            Num::Min(a, b) => self.constant(a).zip(self.constant(b)).map(|(a, b)| a.min(b)),
            Num::Max(a, b) => self.constant(a).zip(self.constant(b)).map(|(a, b)| a.max(b)),
            _ => None,
        };
        match value.filter(|v| v.is_finite()) {
            Some(value) => self.push_num(Num::Const(value)),
            None => self.push_num(num),
        }
    }

    fn arithmetic(&mut self, scope: &mut Scope, bin: &ast::Bin) -> Option<(NumId, Unit)> {
        let mut exprs = bin.exprs();
        let (left_expr, right_expr) = (exprs.next()?, exprs.next()?);
        let left = self.number(scope, &left_expr);
        let right = self.number(scope, &right_expr);
        let ((a, unit_a), (b, unit_b)) = (left?, right?);
        let operator = bin.operator()?;
        match operator.text() {
            "+" | "-" => {
                if !units::fits(unit_b, unit_a) {
                    self.unit_mismatch(&left_expr, unit_a, &right_expr, unit_b);
                    return None;
                }
                let num = if operator.text() == "+" { Num::Add(a, b) } else { Num::Sub(a, b) };
                Some((self.fold(num), unit_a))
            }
            "*" if unit_a == Unit::One || unit_b == Unit::One => {
                Some((self.fold(Num::Mul(a, b)), if unit_a == Unit::One { unit_b } else { unit_a }))
            }
            "/" if unit_b == Unit::One => Some((self.fold(Num::Div(a, b)), unit_a)),
            "/" if unit_a == unit_b => Some((self.fold(Num::Div(a, b)), Unit::One)),
            "/" if (unit_a, unit_b) == (Unit::Metre, Unit::Second) => {
                Some((self.fold(Num::Div(a, b)), Unit::MetrePerSecond))
            }
            sign => {
                let message = format!("{} {sign} {} has no meaning here", units::said(unit_a), units::said(unit_b));
                self.error("unit", bin.span(), message);
                None
            }
        }
    }

    /// The error for two quantities that should be of one unit; the literal one is to blame.
    pub(super) fn unit_mismatch(&mut self, a: &Expr, unit_a: Unit, b: &Expr, unit_b: Unit) {
        let blame_left = matches!(a, Expr::Quantity(_)) && !matches!(b, Expr::Quantity(_));
        let (blamed, is, other, wanted) = if blame_left { (a, unit_a, b, unit_b) } else { (b, unit_b, a, unit_a) };
        let message = format!("expected {}, found {}", units::said(wanted), units::said(is));
        let diagnostic = Diagnostic::error("unit", &self.file, blamed.span(), message)
            .label(other.span(), format!("this is {}", units::said(wanted)));
        self.report(diagnostic);
    }

    /// A literal length of time, exact; `None` after reporting.
    pub(super) fn duration(&mut self, expr: &Expr) -> Option<DurationNs> {
        let expr = &self.value_of(expr);
        let Expr::Quantity(quantity) = expr else {
            self.error_help("type", expr.span(), "expected a length of time", "write a number and a unit, as `5 min`");
            return None;
        };
        let number = quantity.number()?;
        let Some(factor) = quantity.unit().as_deref().and_then(units::nanoseconds_of) else {
            let said = match quantity.unit() {
                None => "a bare number".to_owned(),
                Some(unit) => units::unit_of(&unit).map_or(unit, |(u, _)| units::said(u).to_owned()),
            };
            let message = format!("expected a length of time (ms, s, min, h), found {said}");
            match quantity.unit().as_deref() {
                Some("m") => {
                    let help = format!("`m` is metres; minutes are `{} min`", number.text());
                    self.error_help("unit", quantity.span(), message, help);
                }
                _ => self.error("unit", quantity.span(), message),
            }
            return None;
        };
        // Digits as billionths, exactly, then times the unit: 0.1 min is 6,000,000,000 ns and no float.
        let billionths = parse_decimal_ns(number.text(), 0).ok().map(i128::from);
        let ns = billionths.map(|n| n * i128::from(factor) / 1_000_000_000);
        match ns.and_then(|ns| i64::try_from(ns).ok()).filter(|ns| *ns <= 366 * 86_400 * 1_000_000_000) {
            Some(ns) => Some(DurationNs(ns)),
            None => {
                self.error("too-large", quantity.span(), "a length of time may be a year at most");
                None
            }
        }
    }

    /// The value that a property of devices is given; `None` after reporting.
    pub(super) fn property_value(&mut self, scope: &mut Scope, spec: &PropertySpec, expr: &Expr) -> Option<u32> {
        let expr = &scope.resolved(expr);
        if let Expr::Paren(paren) = expr {
            return self.property_value(scope, spec, &paren.expr()?);
        }
        if let Expr::If(choice) = expr {
            let parts: Vec<Expr> = choice.exprs().collect();
            let [condition, then, otherwise] = parts.as_slice() else { return None };
            let condition = self.cond(scope, condition);
            let then = self.property_value(scope, spec, then);
            let otherwise = self.property_value(scope, spec, otherwise);
            return Some(self.push_value(ValueExpr::If(condition, then?, otherwise?)));
        }
        if let Some(unit) = spec.unit {
            let (number, found) = self.number(scope, expr)?;
            if found != unit {
                let message = format!("`{}` wants {}, found {}", spec.property, units::said(unit), units::said(found));
                self.error("unit", expr.span(), message);
                return None;
            }
            return Some(self.number_value(number));
        }
        let word = match expr {
            Expr::Name(name) => name.text(),
            Expr::String(text) if !spec.words.is_empty() => text.text(),
            _ => return self.free_value(scope, expr),
        };
        if !spec.words.is_empty() && !spec.words.contains(&word.as_str()) {
            let message = format!("`{}` cannot be `{word}`", spec.property);
            let diagnostic = Diagnostic::error("unknown-value", &self.file, expr.span(), message);
            let diagnostic = match did_you_mean(&word, spec.words.iter().copied()) {
                Some(near) => diagnostic.label(expr.span(), format!("did you mean `{near}`?")),
                None => diagnostic.help(format!("it is one of: {}", spec.words.join(", "))),
            };
            self.report(diagnostic);
            return None;
        }
        Some(self.word_value(&word))
    }

    pub(super) fn number_value(&mut self, number: NumId) -> u32 {
        let value = match self.constant(number) {
            Some(constant) => ValueExpr::Const(Value::Number(constant)),
            None => ValueExpr::Number(number),
        };
        self.push_value(value)
    }

    /// A word as the shortest value that holds it, so that devices compare it as they report it.
    fn word_value(&mut self, word: &str) -> u32 {
        let value = Name::new(word).map_or_else(|| Value::Text(clipped(word)), Value::Name);
        self.push_value(ValueExpr::Const(value))
    }

    /// A value whose type nothing prescribes: an argument such as `reason:`.
    pub(super) fn free_value(&mut self, scope: &mut Scope, expr: &Expr) -> Option<u32> {
        let expr = &scope.resolved(expr);
        if let Expr::String(text) = expr {
            return self.text_with_holes(scope, text);
        }
        if let Expr::Name(name) = expr
            && let "true" | "false" = name.text().as_str()
        {
            let value = ValueExpr::Const(Value::Bool(name.text() == "true"));
            return Some(self.push_value(value));
        }
        let value = match self.meaning(scope, expr) {
            Meaning::Track(var) => ValueExpr::Track(var),
            Meaning::TrackLanguage(var) => ValueExpr::Language(var),
            Meaning::Organiser { calendar, zone } => ValueExpr::Organiser { calendar, zone },
            Meaning::Truth(cond) => {
                let cond = self.push_cond(cond);
                let yes = self.push_value(ValueExpr::Const(Value::Bool(true)));
                let no = self.push_value(ValueExpr::Const(Value::Bool(false)));
                ValueExpr::If(cond, yes, no)
            }
            Meaning::Zone(zone) => ValueExpr::Const(Value::Zone(zone)),
            Meaning::Person(person) => ValueExpr::Const(Value::Person(person)),
            Meaning::Text(text) => return Some(self.word_value(&text)),
            Meaning::Group(group) | Meaning::People(crate::program::Who::Members(group)) => {
                let name = self.site.groups[group.index()].name.clone();
                return Some(self.word_value(&name));
            }
            Meaning::Number(number, _) => return Some(self.number_value(number)),
            other => {
                self.wrong_kind(expr.span(), "a value that a command can carry", &other);
                return None;
            }
        };
        Some(self.push_value(value))
    }

    /// `"{p} left {r}"`: holes are names in scope. Zones are filled in now, the person when the rule fires.
    fn text_with_holes(&mut self, scope: &mut Scope, string: &ast::StringExpr) -> Option<u32> {
        let text = string.text();
        let mut parts: Vec<TextPart> = Vec::new();
        let mut rest = text.as_str();
        while let Some(open) = rest.find('{') {
            literal(&mut parts, &rest[..open]);
            let Some(close) = rest[open..].find('}') else {
                let message = "this text opens a `{` and never closes it";
                self.error_help("text", string.span(), message, "close it with `}`");
                return None;
            };
            let hole = rest[open + 1..open + close].trim().to_owned();
            self.hole(scope, string.span(), &hole, &mut parts)?;
            rest = &rest[open + close + 1..];
        }
        literal(&mut parts, rest);
        match parts.as_slice() {
            [] => Some(self.word_value("")),
            [TextPart::Literal(whole)] => {
                let whole = whole.clone();
                Some(self.word_value(&whole))
            }
            _ => Some(self.push_value(ValueExpr::Text(parts))),
        }
    }

    fn hole(&mut self, scope: &mut Scope, span: Span, hole: &str, parts: &mut Vec<TextPart>) -> Option<()> {
        let (name, member) = hole.split_once('.').map_or((hole, None), |(n, m)| (n, Some(m)));
        if let Some(var) = scope.var(name) {
            scope.use_track(var);
            match member {
                None => parts.push(TextPart::Track(var)),
                Some("language") => parts.push(TextPart::Language(var)),
                Some(_) => return self.number_hole(scope, span, hole, parts),
            }
            return Some(());
        }
        let zone = scope.binding(name).or_else(|| self.site.zone_named(name));
        match (zone, member, scope.bound(name)) {
            (Some(zone), None, _) => literal(parts, &self.site.zones[zone.index()].name),
            (Some(zone), Some("label"), _) => literal(parts, &self.site.zones[zone.index()].label),
            (None, None, Some(binding)) => literal(parts, self.name_of(binding)),
            _ => return self.number_hole(scope, span, hole, parts),
        }
        Some(())
    }

    /// `{count(people in r)}`, `{list(people in r)}`, `{r.visits}`: any number, or who is in a zone.
    fn number_hole(&mut self, scope: &mut Scope, span: Span, hole: &str, parts: &mut Vec<TextPart>) -> Option<()> {
        let parsed = crate::syntax::parse("", &format!("rule x {{ when {hole} }}"));
        let clause = parsed.file().items().find_map(|item| match item {
            ast::Item::Rule(rule) => rule.clauses().next(),
            _ => None,
        });
        let expr = match clause {
            Some(ast::Clause::When(when)) if parsed.diagnostics.is_empty() => when.expr(),
            _ => None,
        };
        let Some(expr) = expr else {
            let known: Vec<String> =
                scope.bindings.iter().map(|b| b.0.clone()).chain(scope.tracks.iter().cloned()).collect();
            self.unknown_name(span, "variable of this rule", hole, known.iter().map(String::as_str));
            return None;
        };
        let from = self.diagnostics.len();
        let part = match &expr {
            Expr::Call(call) if matches!(call.expr(), Some(Expr::Name(f)) if f.text() == "list") => {
                self.listed(scope, call).map(TextPart::People)
            }
            expr => self.number(scope, expr).map(|(number, _)| TextPart::Number(number)),
        };
        // What is wrong inside a hole is said of the whole text: its own places are none of the file's.
        for diagnostic in &mut self.diagnostics[from..] {
            (diagnostic.span, diagnostic.labels) = (span, Vec::new());
        }
        parts.push(part?);
        Some(())
    }

    /// The zone of `list(people in z)`.
    fn listed(&mut self, scope: &mut Scope, call: &ast::Call) -> Option<osmose_model::ids::ZoneId> {
        let arg = call.args().next().and_then(|a| a.expr());
        let sides: Vec<Expr> = match &arg {
            Some(Expr::In(inside)) => inside.exprs().collect(),
            _ => Vec::new(),
        };
        if let [Expr::Name(people), place] = sides.as_slice()
            && people.text() == "people"
            && let Meaning::Zone(zone) = self.meaning(scope, place)
        {
            return Some(zone);
        }
        self.error_help("type", call.span(), "expected whom to list", "write `list(people in r)`");
        None
    }
}

fn literal(parts: &mut Vec<TextPart>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(TextPart::Literal(last)) => last.push_str(text),
        _ => parts.push(TextPart::Literal(text.to_owned())),
    }
}

/// As much of a text as a value holds, cut at a character.
pub(crate) fn clipped(text: &str) -> Text {
    let mut out = Text::new();
    for c in text.chars() {
        if out.try_push(c).is_err() {
            break;
        }
    }
    out
}
