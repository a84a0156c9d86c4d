//! Which cores there are and which we may use: read once, before anything is pinned (afterwards the answer would be
//! the pinned thread's own mask).

use osmose_model::site::{Idle, Topology};

/// The processors of this machine and of this process.
#[derive(Clone, Debug)]
pub struct Cores {
    allowed: Vec<core_affinity::CoreId>,
    online: usize,
}

/// Why the engine cannot be composed as the site asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// A spinning thread would starve the rest of the machine.
    #[error(
        "idle = \"spin\" needs a core to spare: {spinning} spinning thread(s), {allowed} core(s) allowed to this \
         process, {online} online. Set idle = \"yield\" in site.toml, or give the process more cores."
    )]
    NoCoreToSpin {
        /// Threads that would spin.
        spinning: usize,
        /// Cores in this process's mask.
        allowed: usize,
        /// Cores of the machine.
        online: usize,
    },
}

impl Cores {
    /// What the system says now. Call it before pinning.
    #[must_use]
    pub fn read() -> Self {
        let allowed = core_affinity::get_core_ids().unwrap_or_default();
        let listed = std::fs::read_to_string("/sys/devices/system/cpu/online").ok().and_then(|s| count_list(&s));
        let online = listed.unwrap_or(allowed.len()).max(allowed.len()).max(1);
        Self { allowed, online }
    }

    /// Cores in this process's mask.
    #[must_use]
    pub fn allowed(&self) -> usize {
        self.allowed.len().max(1)
    }
    /// Cores of the machine.
    #[must_use]
    pub fn online(&self) -> usize {
        self.online
    }

    /// What `auto` means here.
    #[must_use]
    pub fn topology(&self, asked: Topology) -> Topology {
        match asked {
            Topology::Auto => match self.allowed() {
                0..=2 => Topology::Fused,
                3..=7 => Topology::Split,
                _ => Topology::Dedicated,
            },
            other => other,
        }
    }

    /// Refuses to spin where that would starve others: allowed for `spinning` threads only where
    /// `spinning <= min(cores allowed, cores online - 1)`.
    ///
    /// # Errors
    /// [`ComposeError::NoCoreToSpin`], with the way to mend it.
    pub fn allow(&self, idle: Idle, spinning: usize) -> Result<(), ComposeError> {
        let fits = spinning <= self.allowed().min(self.online.saturating_sub(1));
        if idle == Idle::Spin && !fits {
            let (allowed, online) = (self.allowed(), self.online);
            return Err(ComposeError::NoCoreToSpin { spinning, allowed, online });
        }
        Ok(())
    }

    /// Pins the calling thread to the `n`-th allowed core from the last (the first ones serve the system's interrupts
    /// on most machines); gives its number, or `None` where there is no such core or the system refused, which is a
    /// warning and a reported mode, never fatal.
    #[must_use]
    pub fn pin(&self, n: usize) -> Option<usize> {
        let core = *self.allowed.iter().rev().nth(n)?;
        core_affinity::set_for_current(core).then_some(core.id)
    }
}

impl Cores {
    /// Keeps the calling thread, one at the side, out of the stepping thread's way: on the other cores where there are any;
    /// on the only one it gets what nobody else wants, and is off it at once when the stepping thread wakes (a mere lower
    /// priority would let it go on for a while first). It was done as well as it can be where this says true.
    pub fn step_aside(&self) -> bool {
        let Some((_, others)) = self.allowed.split_last() else { return false };
        if others.is_empty() {
            return give_way();
        }
        let mut set = rustix::thread::CpuSet::new();
        others.iter().for_each(|core| set.set(core.id));
        rustix::thread::sched_setaffinity(None, &set).is_ok()
    }
}

impl Cores {
    /// As [`Cores::step_aside`], and behind whatever else wants the other cores: for work that somebody asked for who can
    /// wait. What the thread starts does the same.
    pub fn step_back(&self) -> bool {
        // On Linux a thread's own niceness; elsewhere the whole process would be made nice.
        let is_nice = cfg!(target_os = "linux")
            && rustix::process::getpriority_process(None)
                .and_then(|now| rustix::process::setpriority_process(None, NICE.max(now)))
                .is_ok();
        self.step_aside() && is_nice
    }
}

/// A third of what a thread gets that is not nice, where both want all of a core; who sleeps mostly is before it at once.
const NICE: i32 = 5;

/// The calling thread runs only while no other one would, on any core that it may use.
fn give_way() -> bool {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy).is_ok()
}

/// Numbers in a list like `0-3,8`.
fn count_list(text: &str) -> Option<usize> {
    let mut n = 0;
    for part in text.trim().split(',') {
        let (a, b) = part.split_once('-').unwrap_or((part, part));
        n += b.parse::<usize>().ok()?.checked_sub(a.parse().ok()?)? + 1;
    }
    Some(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_counted() {
        assert_eq!(count_list("0-1\n"), Some(2));
        assert_eq!(count_list("0,2-4,7"), Some(5));
        assert_eq!(count_list(""), None);
    }

    #[test]
    fn a_thread_that_steps_back_is_nice_and_so_is_what_it_starts_and_nobody_else() {
        let nice = || rustix::process::getpriority_process(None).expect("it can be read");
        let before = nice();
        let cores = Cores::read();
        let back = std::thread::spawn(move || (cores.step_back(), nice(), std::thread::spawn(nice).join()));
        let (done, own, child) = back.join().expect("no panic");
        assert_eq!(nice(), before, "the others stay as they are");
        if done {
            assert_eq!((own, child.expect("no panic")), (NICE.max(before), NICE.max(before)));
        } else {
            println!("skip: this system lets no thread choose its cores");
        }
    }

    #[test]
    fn a_thread_at_the_side_is_off_the_stepping_thread_s_core() {
        let cores = Cores::read();
        let aside = std::thread::spawn(move || {
            let done = cores.step_aside();
            (done, core_affinity::get_core_ids().map_or(0, |c| c.len()), cores)
        });
        let (done, left, cores) = aside.join().expect("no panic");
        if done {
            assert_eq!(left, cores.allowed().saturating_sub(1).max(1));
        } else {
            println!("skip: this system lets no thread choose its cores");
        }
    }

    #[test]
    fn spinning_is_refused_where_no_core_is_to_spare() {
        let two = Cores { allowed: vec![core_affinity::CoreId { id: 0 }, core_affinity::CoreId { id: 1 }], online: 2 };
        assert_eq!(two.allow(Idle::Spin, 1), Ok(()));
        assert!(two.allow(Idle::Spin, 2).unwrap_err().to_string().contains("idle = \"yield\""));
        assert_eq!(two.allow(Idle::Yield, 2), Ok(()));
        let one = Cores { allowed: vec![core_affinity::CoreId { id: 0 }], online: 1 };
        assert!(one.allow(Idle::Spin, 1).is_err());
        assert_eq!(two.topology(Topology::Auto), Topology::Fused);
    }
}
