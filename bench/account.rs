//! What a process has used until now, by Linux' own account of it.

use std::fs::read_to_string;

/// `/proc/PID/stat` counts in these.
const TICKS_A_SECOND: f64 = 100.0;

/// User and system time of all threads of a process, also of those that have ended.
pub fn cpu_seconds(pid: u32) -> f64 {
    let account = read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // utime and stime are the 12th and 13th after the name in brackets.
    let after_name = account.rsplit(") ").next().expect("a name");
    let times = after_name.split(' ').skip(11).take(2);
    times.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / TICKS_A_SECOND
}

/// The most that was resident at once since the process began, or since [`forget_peak`].
pub fn peak_rss_bytes(pid: u32) -> u64 {
    let status = read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}
