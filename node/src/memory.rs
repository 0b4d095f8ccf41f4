//! Memory, in bytes, where the system tells (Linux, proc(5)).

use std::fs;

/// All memory of this machine.
pub fn total() -> Option<u64> {
    field("/proc/meminfo", "MemTotal:")
}

/// The most memory this process ever had.
pub fn peak() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

fn field(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}
