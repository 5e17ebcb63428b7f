//! What the log has been told of Kafka lately, so that an error that repeats is not a line each
//! time: librdkafka tries again every few milliseconds, for as long as it takes.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How soon the same reason is told again.
const TELL_AGAIN: Duration = Duration::from_mins(5);
/// More different reasons than this in that time are not told.
const MAX_REASONS: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Told {
    at: HashMap<String, Instant>,
}

impl Told {
    /// Whether this reason, or the same with other numbers in it, has not been told lately.
    pub(super) fn is_news(&mut self, reason: &str) -> bool {
        let now = Instant::now();
        self.at.retain(|_, told| now < *told + TELL_AGAIN);
        let kind: String = reason.chars().filter(|c| !c.is_ascii_digit()).collect();
        if self.at.len() >= MAX_REASONS || self.at.contains_key(&kind) {
            return false;
        }
        self.at.insert(kind, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reason_is_told_once_in_five_minutes() {
        let mut told = Told::default();
        assert!(told.is_news("broker 1 is down"));
        assert!(told.is_news("wrong password"));
        tokio::time::advance(Duration::from_secs(299)).await;
        assert!(!told.is_news("broker 2 is down"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(told.is_news("broker 3 is down"));
        assert!(!told.is_news("broker 3 is down"));
    }

    #[tokio::test(start_paused = true)]
    async fn reasons_without_end_are_not_kept_without_end() {
        let mut told = Told::default();
        let news = (0..1000).filter(|n| told.is_news(&"x".repeat(*n))).count();
        assert_eq!((news, told.at.len()), (MAX_REASONS, MAX_REASONS));
    }
}
