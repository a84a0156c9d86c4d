//! Times of day, days of the week, the sun over the site, and calendars.

use super::Checker;
use super::names::Meaning;
use super::rule::Scope;
use crate::diag::Span;
use crate::program::{Booking, ClockRef, Cond};
use crate::syntax::ast::{AstNode, Expr};
use osmose_model::ids::ZoneId;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, NS_PER_S};
use osmose_model::tri::Tri;

/// How long a time of day counts as now: a clock that steps over the very instant does not lose the schedule.
const SCHEDULE_WINDOW: DurationNs = DurationNs(60 * NS_PER_S);
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The site's bookings, ascending by calendar and beginning.
pub(super) fn bookings(site: &Site) -> Vec<Booking> {
    let mut bookings: Vec<Booking> = site
        .bookings
        .iter()
        .map(|b| Booking { calendar: b.calendar, zone: b.zone, from: b.from.0, to: b.to.0, organiser: b.organiser })
        .collect();
    bookings.sort_by_key(|b| (b.calendar, b.from, b.to, b.zone));
    bookings
}

impl Checker<'_> {
    /// Reports where the site is on no place on earth, so that it has no sun.
    pub(super) fn sun_place(&mut self, span: Span) {
        if self.site.frame.origin_deg.is_none() {
            let help = "give `[frame] origin = { lat_deg = ..., lon_deg = ... }` in site.toml";
            self.error_help("no-place", span, "where on earth this site is is not known, so it has no sun", help);
        }
    }

    /// A time of day: `22:00`, `sunset`, `sunrise + 30 min`; `None` after reporting.
    fn clock(&mut self, scope: &mut Scope, expr: &Expr) -> Option<ClockRef> {
        let expr = &scope.resolved(expr);
        if let Expr::Bin(bin) = expr {
            let sides: Vec<Expr> = bin.exprs().collect();
            if let ([base, offset], Some(sign)) = (sides.as_slice(), bin.operator()) {
                let by = self.duration(offset)?.0;
                let by = match sign.text() {
                    "+" => by,
                    "-" => -by,
                    _ => {
                        self.error("type", bin.span(), "a time of day can be moved by `+` and `-` only");
                        return None;
                    }
                };
                return Some(match self.clock(scope, base)? {
                    ClockRef::At(ns) => ClockRef::At((ns + by).rem_euclid(86_400 * NS_PER_S)),
                    ClockRef::Sun { rises, offset_ns, slot } => {
                        ClockRef::Sun { rises, offset_ns: offset_ns + by, slot }
                    }
                });
            }
        }
        match self.meaning(scope, expr) {
            Meaning::Clock(ns) => Some(ClockRef::At(ns)),
            Meaning::SunClock { rises, offset_ns } => {
                self.sun_place(expr.span());
                let slot = match self.slot(scope, expr.span(), false) {
                    crate::program::SlotRef::Instance(slot) | crate::program::SlotRef::Track(slot) => slot,
                };
                Some(ClockRef::Sun { rises, offset_ns, slot })
            }
            other => {
                self.wrong_kind(expr.span(), "a time of day such as 22:00", &other);
                None
            }
        }
    }

    /// `time in 22:00..06:00`, `time in sunset - 30 min..23:00`
    pub(super) fn time_in(&mut self, scope: &mut Scope, low: &Expr, high: &Expr, span: Span) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let (Some(from), Some(to)) = (self.clock(scope, low), self.clock(scope, high)) else { return WRONG };
        if from == to {
            self.error("time-of-day", span, "this span of time is empty");
        }
        scope.deps.clock = true;
        Cond::TimeIn { from, to }
    }

    /// `time is 07:30`, `time is sunset - 15 min`
    pub(super) fn time_is(&mut self, scope: &mut Scope, subject: &Meaning, of: &Expr, instant: &Expr) -> Cond {
        const WRONG: Cond = Cond::Const(Tri::Unknown);
        let Meaning::TimeOfDay = subject else {
            self.wrong_kind(of.span(), "`time`", subject);
            return WRONG;
        };
        let Some(at) = self.clock(scope, instant) else { return WRONG };
        scope.deps.clock = true;
        let slot = match self.slot(scope, instant.span(), false) {
            crate::program::SlotRef::Instance(slot) | crate::program::SlotRef::Track(slot) => slot,
        };
        let window = scope.catch_up.unwrap_or(SCHEDULE_WINDOW).max(SCHEDULE_WINDOW);
        Cond::TimeIs { at, window, slot }
    }

    /// `day is monday`, `day is weekday`, `day is weekend`
    pub(super) fn day_is(&mut self, scope: &mut Scope, word: &str, span: Span) -> Cond {
        scope.deps.clock = true;
        let days = match word {
            "weekday" => 0b001_1111,
            "weekend" => 0b110_0000,
            _ => match DAYS.iter().position(|d| *d == word) {
                Some(day) => 1 << day,
                None => {
                    let known: Vec<&str> = DAYS.iter().copied().chain(["weekday", "weekend"]).collect();
                    self.unknown_name(span, "day", word, known);
                    return Cond::Const(Tri::Unknown);
                }
            },
        };
        Cond::DayIn(days)
    }

    /// `sun is up`, `sun is down`
    pub(super) fn sun_is(&mut self, scope: &mut Scope, word: &str, span: Span) -> Cond {
        self.sun_place(span);
        scope.deps.clock = true;
        let slot = match self.slot(scope, span, false) {
            crate::program::SlotRef::Instance(slot) | crate::program::SlotRef::Track(slot) => slot,
        };
        match word {
            "up" => Cond::SunUp { slot },
            "down" => self.negated(Cond::SunUp { slot }),
            _ => {
                self.unknown_name(span, "state of the sun", word, ["up", "down"]);
                Cond::Const(Tri::Unknown)
            }
        }
    }

    /// `r.booking is started`, `r.booking is free`, `holidays is active`
    pub(super) fn booking_is(
        &mut self,
        scope: &mut Scope,
        calendar: u16,
        zone: Option<ZoneId>,
        word: &str,
        span: Span,
        length: DurationNs,
    ) -> Cond {
        scope.deps.clock = true;
        scope.deps.booked = true;
        let booked = Cond::Booked { calendar, zone, length };
        match word {
            "started" | "active" => booked,
            "free" | "inactive" => self.negated(booked),
            _ => {
                self.unknown_name(span, "state of a calendar", word, ["started", "active", "free", "inactive"]);
                Cond::Const(Tri::Unknown)
            }
        }
    }
}
