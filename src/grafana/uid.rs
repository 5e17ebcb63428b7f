//! Names for Grafana's objects that are the same at every export.

/// The longest that Grafana takes (`util.MaxUIDLength`).
const LONGEST: usize = 40;

/// A uid of these parts: readable where it fits, with a hash of the whole at its end where it doesn't.
pub fn uid(parts: &[&str]) -> String {
    let whole = parts.join("-");
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let mut uid: String = whole.chars().map(legal).collect();
    if uid.len() > LONGEST || uid != whole {
        uid.truncate(LONGEST - 17);
        uid = format!("{uid}-{:016x}", hash(&whole));
    }
    uid
}

/// FNV-1a, which is the same in every build and version.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
