//! The state as bytes (postcard), so that a restart and a replay from a keyframe continue bit for bit.
//!
//! What the site fixes is not saved but compared: a state belongs to the devices that it was saved for. Where devices were
//! added behind those, it is theirs still, and nothing was told to the new ones yet.

use crate::claims::{Claim, Claims, Want};
use crate::device::{Slot, Standing};
use crate::{Counts, HOLDERS_MAX, Plan, settle};
use osmose_model::command::LevelRank;
use osmose_model::digest::Digest;
use osmose_model::ids::ActuatorId;
use osmose_model::stages::RestoreError;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What this stage is called in errors.
const PART: &str = "arbitration";
/// The layout written below; a saved state of another is refused.
const VERSION: u16 = 3;

#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    version: u16,
    fingerprint: Digest,
    user_level: LevelRank,
    slots: Cow<'a, [Slot]>,
    standings: Cow<'a, [Standing]>,
    /// Ascending by holder.
    claims: Vec<Cow<'a, Claim>>,
    /// Devices whose commands were shed.
    pending: Cow<'a, [ActuatorId]>,
    counts: Counts,
}

pub(crate) fn save(plan: &Plan, out: &mut Vec<u8>) {
    let saved = Saved {
        version: VERSION,
        fingerprint: plan.fingerprints.last().copied().unwrap_or_default(),
        user_level: plan.user_level,
        slots: Cow::Borrowed(&plan.slots),
        standings: Cow::Borrowed(&plan.standings),
        claims: plan.claims.iter().map(Cow::Borrowed).collect(),
        pending: Cow::Borrowed(&plan.dirty),
        counts: plan.counts,
    };
    // Plain data into a vector has no way to fail; if it did, `restore` would refuse what is missing, never misread it.
    if let Ok(bytes) = postcard::to_stdvec(&saved) {
        out.extend_from_slice(&bytes);
    }
}

fn malformed(why: impl Into<String>) -> RestoreError {
    RestoreError::Malformed { part: PART, why: why.into() }
}

fn mismatch(what: &str, found: impl ToString, wanted: impl ToString) -> RestoreError {
    let say = |x: String| format!("{what} {x}");
    RestoreError::Mismatch { part: PART, found: say(found.to_string()), wanted: say(wanted.to_string()) }
}

pub(crate) fn restore(plan: &mut Plan, bytes: &[u8]) -> Result<(), RestoreError> {
    let (version, _) = postcard::take_from_bytes::<u16>(bytes).map_err(|e| malformed(e.to_string()))?;
    if version != VERSION {
        return Err(mismatch("layout", version, VERSION));
    }
    let (saved, rest): (Saved<'_>, _) = postcard::take_from_bytes(bytes).map_err(|e| malformed(e.to_string()))?;
    if !rest.is_empty() {
        return Err(malformed(format!("{} bytes behind it", rest.len())));
    }
    let devices = saved.standings.len();
    if plan.fingerprints.get(devices) != Some(&saved.fingerprint) {
        let own = plan.fingerprints.last().copied().unwrap_or_default();
        return Err(mismatch("actuators", saved.fingerprint, own));
    }
    let properties = plan.devices.get(devices).map_or(plan.slots.len(), |added| added.first);
    if saved.slots.len() != properties {
        return Err(malformed("it has another number of properties"));
    }
    let mut claims = Claims::new(plan.claims.room() as u32, plan.slots.len(), plan.devices.len());
    for claim in saved.claims {
        let sound = match claim.want {
            Want::Hold { slot, .. } => (slot as usize) < properties,
            Want::Forbid { device, .. } => device.index() < devices,
        };
        if !sound || claim.holder.0 >= HOLDERS_MAX || claims.get(claim.holder).is_some() {
            return Err(malformed(format!("holder {} cannot be", claim.holder)));
        }
        claims.reserve(claim.holder.0 + 1);
        claims.insert(claim.into_owned());
    }
    let mut dirty_by = vec![settle::CLEAN; plan.devices.len()];
    for device in saved.pending.iter() {
        match dirty_by.get_mut(device.index()) {
            Some(by) if *by == settle::CLEAN => *by = settle::PENDING,
            _ => return Err(malformed(format!("device {device} cannot be pending"))),
        }
    }
    plan.user_level = saved.user_level;
    plan.slots.fill(Slot::default());
    plan.slots[..properties].copy_from_slice(&saved.slots);
    plan.standings.fill(Standing::default());
    plan.standings[..devices].copy_from_slice(&saved.standings);
    plan.claims = claims;
    plan.dirty.clear();
    plan.dirty.extend_from_slice(&saved.pending);
    plan.dirty_by = dirty_by;
    plan.counts = saved.counts;
    plan.note_leases();
    Ok(())
}
