//! What the kernel dropped because a socket's buffer was full: nobody else knows of it, so it is asked.

use std::fs;
use std::os::fd::AsFd;

/// Datagrams that the kernel dropped at the given sockets since they were opened. Reads the kernel's tables: it is for
/// the side, not for the hot path.
#[must_use]
pub fn kernel_drops(inodes: &[u64]) -> u64 {
    let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"];
    let tables = tables.iter().filter_map(|path| fs::read_to_string(path).ok());
    tables.map(|table| table.lines().skip(1).filter_map(|l| dropped(l, inodes)).sum::<u64>()).sum()
}

/// The inode of a socket, which is its name in the kernel's tables; `None` where it cannot be had.
#[must_use]
pub fn inode(socket: &impl AsFd) -> Option<u64> {
    rustix::fs::fstat(socket.as_fd()).ok().map(|s| s.st_ino)
}

/// One line: `sl local remote st tx:rx tr:tm retr uid timeout inode ref pointer drops`.
fn dropped(line: &str, inodes: &[u64]) -> Option<u64> {
    let mut words = line.split_ascii_whitespace();
    let inode: u64 = words.nth(9)?.parse().ok()?;
    let drops = words.nth(2)?.parse().ok()?;
    inodes.contains(&inode).then_some(drops)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_line_of_the_kernels_table_is_read() {
        let line = " 1139: 0100007F:1E79 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 28841 2 \
                    0000000000000000 17";
        assert_eq!(dropped(line, &[28841]), Some(17));
        assert_eq!(dropped(line, &[28842]), None);
        assert_eq!(dropped("sl local_address", &[1]), None);
    }

    #[test]
    fn what_does_not_fit_a_socket_is_found_in_the_table() {
        let to = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).expect("a socket");
        to.set_recv_buffer_size(4096).expect("a small buffer");
        to.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bound");
        let to: UdpSocket = to.into();
        let from = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        for _ in 0..200 {
            from.send_to(&[0; 1000], to.local_addr().expect("bound")).expect("loopback takes it");
        }
        to.set_nonblocking(true).expect("a socket's mode");
        let mut came = 0;
        while to.recv(&mut [0; 2000]).is_ok() {
            came += 1;
        }
        let inodes = [inode(&to).expect("it has one")];
        if !std::path::Path::new("/proc/self/net/udp").exists() {
            println!("skip: no /proc here");
            return;
        }
        assert_eq!(came + kernel_drops(&inodes), 200);
    }
}
