//! What may befall an exchange with a database.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{DATE, RETRY_AFTER};

use super::Random;
use super::http::Answer;

/// One kind; chance decides the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The connection is reset, and the database has seen nothing.
    Reset,
    /// The database receives half of the request, and the connections end.
    TruncatedRequest,
    /// The database has written, and its answer breaks off in the middle.
    TruncatedAnswer,
    /// The database has written, and the connection ends without an answer.
    LostAcknowledgement,
    /// No answer until the sender gives up; the database has written or not.
    Stall,
    /// The exchange takes long, but not too long.
    Slow,
    /// 429 with `Retry-After` in seconds.
    TooManyRequestsSeconds,
    /// 429 with `Retry-After` as a date.
    TooManyRequestsDate,
    /// 500; the database has written or not.
    ServerError,
    /// 503; the database has not written.
    Unavailable,
}

impl Fault {
    pub const ALL: [Self; 10] = [
        Self::Reset,
        Self::TruncatedRequest,
        Self::TruncatedAnswer,
        Self::LostAcknowledgement,
        Self::Stall,
        Self::Slow,
        Self::TooManyRequestsSeconds,
        Self::TooManyRequestsDate,
        Self::ServerError,
        Self::Unavailable,
    ];

    /// As a report names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reset => "connection_reset",
            Self::TruncatedRequest => "truncated_request",
            Self::TruncatedAnswer => "truncated_answer",
            Self::LostAcknowledgement => "lost_acknowledgement",
            Self::Stall => "stall",
            Self::Slow => "slow",
            Self::TooManyRequestsSeconds => "status_429_retry_after_seconds",
            Self::TooManyRequestsDate => "status_429_retry_after_date",
            Self::ServerError => "status_500",
            Self::Unavailable => "status_503",
        }
    }

    /// Whether the database gets the request whole, so that it may have written all the same.
    pub(super) fn passes_on(self, random: &mut Random) -> bool {
        match self {
            Self::TruncatedAnswer | Self::LostAcknowledgement | Self::Slow => true,
            Self::Stall | Self::ServerError => random.below(2) == 0,
            _ => false,
        }
    }

    /// The answer of a server that can't now.
    pub(super) fn refusal(self) -> Option<Answer> {
        Some(match self {
            Self::TooManyRequestsSeconds => {
                Answer::of_status(StatusCode::TOO_MANY_REQUESTS).with(RETRY_AFTER, "1")
            }
            Self::TooManyRequestsDate => {
                #[expect(clippy::disallowed_methods, reason = "a server's date is the clock's")]
                let now = SystemTime::now();
                Answer::of_status(StatusCode::TOO_MANY_REQUESTS)
                    .with(DATE, &httpdate::fmt_http_date(now))
                    .with(RETRY_AFTER, &httpdate::fmt_http_date(now + Duration::from_secs(2)))
            }
            Self::ServerError => Answer::of_status(StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unavailable => Answer::of_status(StatusCode::SERVICE_UNAVAILABLE),
            _ => return None,
        })
    }
}
