//! The machine that a run was made on.

use serde_json::{Value, json};

/// Its system, processor and memory, as far as the system says.
pub fn describe() -> Value {
    let processor = line("/proc/cpuinfo", "model name");
    let memory = line("/proc/meminfo", "MemTotal").and_then(|text| {
        let kibibytes: f64 = text.split_whitespace().next()?.parse().ok()?;
        Some((kibibytes / 1024.0 / 1024.0 * 10.0).round() / 10.0)
    });
    let cores = std::thread::available_parallelism().map(std::num::NonZero::get);
    json!({
        "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        "processor": processor,
        "logical_processors": cores.ok(),
        "memory_gib": memory,
    })
}

/// The value of the first line of a system file that begins with a key.
fn line(file: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
