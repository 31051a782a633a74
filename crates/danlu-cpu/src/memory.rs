//! How much memory there is.

use std::fs::read_to_string;
use std::sync::OnceLock;

/// The bytes of memory that this process may have at most: the machine's, or what its container was given. `None` where
/// the system does not say.
pub(crate) fn limit() -> Option<usize> {
    static LIMIT: OnceLock<Option<usize>> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let machine = read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| of_meminfo(&text));
        let groups = [
            "/sys/fs/cgroup/memory.max",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        ];
        let groups = groups.into_iter().filter_map(|file| {
            let text = read_to_string(file).ok()?;
            text.trim().parse().ok()
        });
        machine.into_iter().chain(groups).min()
    })
}

fn of_meminfo(text: &str) -> Option<usize> {
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kibibytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// A number of bytes as people write it.
pub(crate) fn readable(bytes: usize) -> String {
    match bytes {
        0..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        let text = "MemTotal:       24598912 kB\nMemFree: 1 kB\n";
        assert_eq!(of_meminfo(text), Some(24_598_912 * 1024));
        assert_eq!(of_meminfo("MemTotal: much"), None);
        assert_eq!(readable(25_000_000_000), "25.0 GB");
    }
}
