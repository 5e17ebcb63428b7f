//! What a write of nothing shows of a database: the same request as a batch's, with an empty body.
//!
//! No health page is asked: some need another login, or none, and say nothing of the bucket.

use reqwest::StatusCode;

use super::{Answer, Failure, Http, host};
use crate::check::Finding;

/// Where in a database the points go.
#[derive(Debug)]
pub(in crate::sink) struct Place {
    /// Such as `bucket plant of acme`.
    pub(in crate::sink) name: String,
    /// What to do if it isn't there.
    pub(in crate::sink) mend: &'static str,
    /// What is to be said of it if it isn't there, and will be made.
    pub(in crate::sink) would_be: Option<String>,
}

/// What is looked at, in the order in which it can fail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Database,
    Encryption,
    Login,
    Place,
    Write,
}

/// The step that has failed.
struct Failed {
    step: Step,
    reason: String,
    mend: String,
    /// Whether the steps before it were taken: not if the request could not even be made.
    asked: bool,
}

/// The findings, from what came of the write of nothing.
pub(in crate::sink) fn findings(
    http: &Http,
    place: &Place,
    written: Result<Answer, Failure>,
) -> Vec<Finding> {
    let failed = match written {
        Ok(answer) => failed_by_answer(&answer, http, place),
        Err(failure) => Some(failed_without_answer(failure)),
    };
    let steps = [Step::Database, Step::Encryption, Step::Login, Step::Place, Step::Write];
    let encrypted = |step: &Step| *step != Step::Encryption || http.url.scheme() == "https";
    steps
        .into_iter()
        .filter(encrypted)
        .map(|step| finding(step, http, place, failed.as_ref()))
        .collect()
}

fn finding(step: Step, http: &Http, place: &Place, failed: Option<&Failed>) -> Finding {
    let (item, ok) = match step {
        Step::Database => ("database", format!("{} answers", host(&http.url))),
        Step::Encryption => ("encryption", encryption(http).to_owned()),
        Step::Login => ("login", login(http).to_owned()),
        Step::Place => (place.name.as_str(), "is there".to_owned()),
        Step::Write => ("write", "a write of nothing is taken".to_owned()),
    };
    match (failed, &place.would_be) {
        (Some(failed), Some(would_be)) if failed.step == step && step == Step::Place => {
            Finding::unknown(item, would_be)
        }
        (Some(failed), _) if failed.step == step => {
            Finding::failed(item, &failed.reason, &failed.mend)
        }
        (Some(failed), _) if failed.step < step || !failed.asked => {
            Finding::unknown(item, "not looked at, because of what has failed")
        }
        _ => Finding::ok(item, ok),
    }
}

fn encryption(http: &Http) -> &'static str {
    if http.insecure { "any certificate is trusted" } else { "its certificate is trusted" }
}

fn login(http: &Http) -> &'static str {
    if http.login.is_some() { "is not refused" } else { "none is given, and none is asked for" }
}

fn failed_without_answer(failure: Failure) -> Failed {
    let at = |step, asked, reason, mend: &str| Failed { step, reason, mend: mend.into(), asked };
    match failure {
        Failure::LoginFile(reason) => {
            at(Step::Login, false, reason, "put a login there, which Tidegate may read")
        }
        Failure::TlsFile(reason) => at(
            Step::Encryption,
            false,
            reason,
            "put PEM there, which Tidegate may read, or change `tls_config`",
        ),
        Failure::Certificate(reason) => {
            at(Step::Encryption, true, reason, "mend the certificates, or change `tls_config`")
        }
        Failure::Proxy(reason) => at(Step::Database, true, reason, "change `proxy_url`"),
        Failure::Away { reason, .. } => at(
            Step::Database,
            true,
            reason,
            "look at `url`, and whether the database runs and can be reached from here",
        ),
    }
}

fn failed_by_answer(answer: &Answer, http: &Http, place: &Place) -> Option<Failed> {
    let status = answer.status;
    let (step, mend) = match status {
        _ if status.is_success() && !answer.is_page() => return None,
        StatusCode::UNAUTHORIZED if http.login.is_none() => {
            (Step::Login, "configure a login: `token`, `authorization` or `basic_auth`")
        }
        StatusCode::UNAUTHORIZED => (Step::Login, "correct the login, or the file that it is in"),
        StatusCode::FORBIDDEN => (Step::Login, "give this login the right to write there"),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            (Step::Database, "write `proxy_url` as `http://USER:PASSWORD@HOST:PORT`")
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            (Step::Write, "try again later; `tidegate run` waits by itself")
        }
        _ if status.is_server_error() => {
            (Step::Write, "look at the database's own log; `tidegate run` waits by itself")
        }
        _ => (Step::Place, place.mend),
    };
    let reason = answer.reason();
    Some(Failed { step, reason, mend: mend.into(), asked: true })
}
