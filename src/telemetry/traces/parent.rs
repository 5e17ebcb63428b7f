//! The headers of W3C Trace Context (<https://www.w3.org/TR/trace-context/>).

/// A longer `tracestate` is left out, as the standard allows.
const LONGEST_STATE: usize = 512;

/// The span that has produced a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) flags: u8,
    /// What tracers have added, as it was written.
    pub(super) state: Option<Box<str>>,
}

impl Parent {
    /// `None` for a header that is not well-formed, and for a trace that is not sampled. `state` is only
    /// looked up for one that is.
    pub(super) fn sampled<'r>(
        header: &[u8],
        state: impl FnOnce() -> Option<&'r [u8]>,
    ) -> Option<Self> {
        let (version, rest) = hex::<1>(header)?;
        let (trace, rest) = hex::<16>(rest.strip_prefix(b"-")?)?;
        let (span, rest) = hex::<8>(rest.strip_prefix(b"-")?)?;
        let ([flags], rest) = hex::<1>(rest.strip_prefix(b"-")?)?;
        // Version 00 ends here; a later one may go on with another field, and 255 is none.
        let ends = match version {
            [0] => rest.is_empty(),
            [255] => false,
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        let is_named = trace != [0; 16] && span != [0; 8];
        if !ends || !is_named || flags & 1 == 0 {
            return None;
        }
        let fits = |state: &&[u8]| (1..=LONGEST_STATE).contains(&state.len()) && is_text(state);
        let state = state().filter(fits).and_then(|state| std::str::from_utf8(state).ok());
        Some(Self { trace, span, flags, state: state.map(Into::into) })
    }
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// So many bytes in lower-case hexadecimal, as the standard has them, and what follows.
fn hex<const N: usize>(text: &[u8]) -> Option<([u8; N], &[u8])> {
    let (digits, rest) = text.split_at_checked(2 * N)?;
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some((bytes, rest))
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(header: &[u8]) -> Option<Parent> {
        Parent::sampled(header, || None)
    }

    #[test]
    fn the_standards_own_example_is_read() {
        let parent = Parent::sampled(GOOD.as_bytes(), || Some(b"congo=t61rcWkgMzE")).unwrap();
        assert_eq!(u128::from_be_bytes(parent.trace), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(u64::from_be_bytes(parent.span), 0x00f0_67aa_0ba9_02b7);
        assert_eq!(parent.flags, 1);
        assert_eq!(parent.state.as_deref(), Some("congo=t61rcWkgMzE"));
    }

    #[test]
    fn what_the_standard_calls_invalid_is_no_parent() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
        let later = GOOD.replacen("00", "01", 1) + "-more";
        assert!(read(later.as_bytes()).is_some());
    }

    #[test]
    fn a_tracestate_that_is_no_text_or_too_long_is_left_out() {
        for bad in [&b"a=\xff"[..], b"a=\n", &[b'a'; 513], b""] {
            let parent = Parent::sampled(GOOD.as_bytes(), || Some(bad)).unwrap();
            assert_eq!(parent.state, None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(header: Vec<u8>, state: Vec<u8>) {
            let _ = Parent::sampled(&header, || Some(&state));
        }

        /// One byte of a good header may be anything: what is still read says it back.
        #[test]
        fn what_is_read_is_what_is_written(at in 0..GOOD.len(), byte: u8) {
            let mut header = GOOD.as_bytes().to_vec();
            header[at] = byte;
            if let Some(Parent { trace, span, flags, .. }) = read(&header) {
                let (trace, span) = (u128::from_be_bytes(trace), u64::from_be_bytes(span));
                let again = format!("{trace:032x}-{span:016x}-{flags:02x}");
                prop_assert_eq!(again.as_bytes(), &header[3..]);
            }
        }
    }
}
