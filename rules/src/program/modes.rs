//! A mode as operators and tests name it: `house`, or `guests.m7` where it is kept per zone.

use super::{ModeInfo, Program};
use crate::diag::did_you_mean;
use osmose_model::site::Site;
use std::fmt::{Display, Formatter, Result as Told};

/// Why words name no mode with that value. It borrows what it tells, since a step asks too and may not allocate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoSuchMode<'a> {
    /// No rule file declares it.
    Name {
        /// What was said.
        said: &'a str,
        /// What there is.
        modes: &'a [ModeInfo],
    },
    /// It is kept per zone, and no zone was said.
    PerZone(&'a str),
    /// It is one for the building, and a zone was said.
    WholeBuilding(&'a str),
    /// The site has no such zone.
    Zone {
        /// What was said.
        said: &'a str,
        /// The site.
        site: &'a Site,
    },
    /// It never has this value.
    Value {
        /// What was said.
        said: &'a str,
        /// The mode.
        mode: &'a ModeInfo,
    },
}

impl Program {
    /// The place in the state and the number of the value that `path` (`MODE` or `MODE.ZONE`) and `value` mean.
    pub fn mode_named<'a>(
        &'a self,
        site: &'a Site,
        path: &'a str,
        value: &'a str,
    ) -> Result<(u16, u16), NoSuchMode<'a>> {
        let (name, zone) = path.split_once('.').map_or((path, None), |(name, zone)| (name, Some(zone)));
        let mode = self.modes.iter().find(|m| m.name == name);
        let mode = mode.ok_or(NoSuchMode::Name { said: name, modes: &self.modes })?;
        let place = match zone {
            None if mode.per_zone => return Err(NoSuchMode::PerZone(name)),
            None => mode.base,
            Some(_) if !mode.per_zone => return Err(NoSuchMode::WholeBuilding(name)),
            Some(zone) => mode.base + site.zone_named(zone).ok_or(NoSuchMode::Zone { said: zone, site })?.0,
        };
        let at = mode.values.iter().position(|v| v == value).ok_or(NoSuchMode::Value { said: value, mode })?;
        Ok((place, at as u16))
    }
}

impl Display for NoSuchMode<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Told {
        match self {
            Self::Name { said, modes } => {
                let names = || modes.iter().map(|m| m.name.as_str());
                match did_you_mean(said, names()) {
                    Some(near) => write!(f, "no mode is called `{said}`; did you mean `{near}`?"),
                    None if modes.is_empty() => write!(f, "no mode is called `{said}`; the rules declare none"),
                    None => {
                        write!(f, "no mode is called `{said}`; there are: {}", names().collect::<Vec<_>>().join(", "))
                    }
                }
            }
            Self::PerZone(name) => write!(f, "`{name}` is kept per zone: say `{name}.ZONE`"),
            Self::WholeBuilding(name) => write!(f, "`{name}` is one for the whole building: say `{name}`"),
            Self::Zone { said, site } => {
                let near = did_you_mean(said, site.zones.iter().map(|z| z.name.as_str()));
                let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                write!(f, "no zone is called `{said}`{near}")
            }
            Self::Value { said, mode } => {
                write!(f, "`{}` is never `{said}`; it is: {}", mode.name, mode.values.join(", "))
            }
        }
    }
}
