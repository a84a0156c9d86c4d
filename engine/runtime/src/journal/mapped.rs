//! The one mapped file of the project: the journal ring's memory, shared with the kernel so that it outlives us.
//!
//! All unsafe code of this crate stands here, and it is one call.
#![allow(unsafe_code, reason = "mapping a file is unsafe by nature; this file exists to hold that one call")]

use std::fs::File;
use std::io;
use std::path::Path;

/// A file mapped shared and writable, whole and preallocated.
#[derive(Debug)]
pub struct Mapped {
    map: memmap2::MmapMut,
    /// Held for as long as the map is: the lock that keeps a second engine out.
    _file: File,
}

impl Mapped {
    /// Maps `path`, made and allocated to `capacity` bytes where it is shorter; fails where another process holds it.
    ///
    /// # Errors
    /// What the system says: no space, no permission, or [`io::ErrorKind::WouldBlock`] where another engine runs on
    /// the same state folder.
    pub fn open(path: &Path, capacity: u64) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.try_lock().map_err(|e| match e {
            std::fs::TryLockError::Error(e) => e,
            std::fs::TryLockError::WouldBlock => io::Error::from(io::ErrorKind::WouldBlock),
        })?;
        allocate(&file, capacity)?;
        // SAFETY: the map is sound as long as nobody truncates the file or writes it beside us while it is mapped.
        // The exclusive lock above keeps other engines out for as long as `_file` lives, the file is private to its
        // owner (mode 0600), and nothing in this project shortens it. Bytes are read as plain integers only, so
        // stray writes could spoil a record (its CRC tells) but not memory safety.
        let map = unsafe { memmap2::MmapMut::map_mut(&file)? };
        Ok(Self { map, _file: file })
    }
}

/// Writes zeros to the end, rather than leaving a hole: a full disk shows now, not as a SIGBUS in the hot path.
fn allocate(file: &File, capacity: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let mut at = file.metadata()?.len();
    let zeros = vec![0u8; 1 << 20];
    while at < capacity {
        let n = zeros.len().min((capacity - at) as usize);
        file.write_all_at(&zeros[..n], at)?;
        at += n as u64;
    }
    Ok(())
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl AsMut<[u8]> for Mapped {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_engine_is_kept_out_and_what_was_written_stays() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("journal.ring");
        let mut a = Mapped::open(&path, 8192).expect("maps");
        a.as_mut()[100] = 42;
        let second = Mapped::open(&path, 8192).expect_err("locked");
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
        drop(a);
        assert_eq!(Mapped::open(&path, 8192).expect("free again").as_ref()[100], 42);
    }
}
