//! What the answers to a remote write mean. Sources: Prometheus' `storage/remote/write_handler.go`,
//! Mimir's `pkg/distributor` and `pkg/ingester/errors.go`, Cortex' `pkg/ingester` and
//! `pkg/util/validation`, Thanos' `pkg/receive`, VictoriaMetrics' `lib/protoparser/promremotewrite`.

mod lines;

use reqwest::StatusCode;
use reqwest::header::HeaderName;

use super::forms::Form;
use super::samples;
use crate::batch::Batch;
use crate::sink::http::Answer;
use crate::sink::{Rejected, Scope, SinkError};

/// What Prometheus' storage says of samples that others stand in the way of
/// (`storage/interface.go`). All its relatives are built on that storage.
const SUPERSEDED: [&str; 4] =
    ["out of order sample", "duplicate sample for timestamp", "too old sample", "out of bounds"];

/// What Thanos says of labels (`pkg/store/labelpb`).
const LABELS: [&str; 3] = ["out of order labels", "duplicate labels", "label set contains"];

/// How Cortex begins when its distributor refuses a sample (`pkg/util/validation/errors.go`).
const CORTEX: [&str; 10] = [
    "label name too long",
    "label value too long",
    "sample invalid label",
    "sample invalid metric name",
    "sample missing metric name",
    "duplicate label name",
    "labels not sorted",
    "series has too many labels",
    "timestamp too old",
    "timestamp too new",
];

/// What VictoriaMetrics says of the size compressed and not (`stream/streamparser.go`,
/// `lib/encoding/snappy`), and Cortex (`pkg/util/http.go`).
const TOO_LARGE: [&str; 4] = [
    "too big unpacked request",
    "too big data size",
    "too big decompressed data size",
    "received message larger than max",
];

/// How many elements of each kind a receiver of remote write 2.0 has written, by its own count. The
/// samples first.
const WRITTEN: [HeaderName; 3] = [
    HeaderName::from_static("x-prometheus-remote-write-samples-written"),
    HeaderName::from_static("x-prometheus-remote-write-histograms-written"),
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written"),
];

/// Whatever isn't recognisably the database's own verdict on samples is left to
/// [`Answer::general`].
pub(in crate::sink) fn classify(
    form: Form,
    answer: &Answer,
    batch: &Batch,
) -> Result<(), SinkError> {
    match answer.status {
        // A login page, with the 200 of a proxy. Receivers answer with no body, or a short text.
        status if status.is_success() && answer.is_page() => Err(answer.misconfigured()),
        // 204 of Prometheus and VictoriaMetrics, 200 of the others. Mimir's and Cortex' 202: another
        // replica of a high-availability pair has delivered the sample; that takes labels that a
        // person has set up for it.
        status if status.is_success() && form == Form::V2 => counted(answer, batch),
        status if status.is_success() => Ok(()),
        _ if answer.is_page() => Err(answer.general()),
        StatusCode::BAD_REQUEST if form == Form::V2 => Err(partial(answer, batch)),
        StatusCode::BAD_REQUEST => Err(verdict(answer, batch, false)),
        StatusCode::CONFLICT => Err(thanos(answer, batch)),
        // Prometheus before 2.50 answers 500 here (its CHANGELOG, #13335), and would for ever.
        StatusCode::INTERNAL_SERVER_ERROR if answer.body.trim() == "too old sample" => {
            Err(rolled_back(answer, batch, false))
        }
        _ => Err(answer.general()),
    }
}

/// Whether the receiver knows this form, as far as the answer tells.
///
/// Of 2.0 that is what its specification says: a 415, a 400 of older receivers, or a success without
/// the counts, for which a receiver of 1.0 has decoded nothing. VictoriaMetrics' zstd is refused with
/// 400 or 415.
pub(super) fn is_understood(form: Form, answer: &Answer, verdict: &Result<(), SinkError>) -> bool {
    let refused = [StatusCode::BAD_REQUEST, StatusCode::UNSUPPORTED_MEDIA_TYPE];
    let is_refused =
        refused.contains(&answer.status) && matches!(verdict, Err(SinkError::Misconfigured { .. }));
    let is_unheard =
        answer.status.is_success() && !answer.is_page() && samples_written(answer).is_none();
    match form {
        Form::V1 => true,
        Form::V1Zstd => !is_refused,
        Form::V2 => !is_refused && !is_unheard,
    }
}

/// What a receiver of 2.0 says it has written. A count that is missing beside others is 0.
fn samples_written(answer: &Answer) -> Option<usize> {
    let [samples, others @ ..] = &WRITTEN;
    match answer.header(samples) {
        Some(count) => count.parse().ok(),
        None => others.iter().any(|name| answer.header(name).is_some()).then_some(0),
    }
}

/// A success of 2.0 is one of all samples, by the receiver's own count.
fn counted(answer: &Answer, batch: &Batch) -> Result<(), SinkError> {
    let (status, sent) = (answer.status, batch.len());
    let Some(written) = samples_written(answer) else {
        let reason = format!(
            "{status} without a count of samples written: the receiver knows remote write 1.0 only, \
             and has written nothing; set `protobuf_message: auto`, or `prometheus.WriteRequest`"
        );
        return Err(SinkError::Misconfigured { reason });
    };
    if written >= sent || status == StatusCode::ACCEPTED {
        return Ok(());
    }
    let reason =
        format!("{status}, but the receiver has written {written} of {sent} samples by its count");
    let (scope, rest_written) = (Scope::Batch, written > 0);
    Err(SinkError::Rejected(Rejected { scope, rest_written, superseded: false, reason }))
}

/// A 400 to 2.0, for which a receiver writes the valid samples, and counts them.
fn partial(answer: &Answer, batch: &Batch) -> SinkError {
    let rest_written = samples_written(answer).is_some_and(|written| written > 0);
    match lines::told(answer, batch) {
        Some((scope, superseded)) => rejected(answer, scope, superseded, rest_written),
        None => verdict(answer, batch, rest_written),
    }
}

fn verdict(answer: &Answer, batch: &Batch, rest_written: bool) -> SinkError {
    let body = answer.body.as_str();
    // Mimir names its errors (`pkg/util/globalerror`). The series that stands behind, or a label
    // before it, may have any text.
    let head = body.split(". The affected ").next().unwrap_or_default();
    if let Some((_, id)) = head.rsplit_once("(err-mimir-") {
        return mimir(answer, id, batch);
    }
    if TOO_LARGE.iter().any(|text| body.contains(text)) {
        return answer.too_large();
    }
    let is_superseded = SUPERSEDED.iter().any(|text| body.contains(text));
    // Cortex' ingester (`errTSDBIngest`): the first of them; the others were taken.
    if body.contains("err: ") && body.contains(". timestamp=") {
        return rejected(answer, first(answer, batch), is_superseded, true);
    }
    if CORTEX.iter().any(|start| body.starts_with(start)) {
        return rejected(answer, Scope::Batch, false, true);
    }
    // "out of bounds: timestamp is too far in the future" (`timeLimitAppender`; 2.42 takes such
    // samples): nothing that is stored stands in its way.
    if body.contains("too far in the future") {
        return rejected(answer, Scope::Batch, false, rest_written);
    }
    if is_superseded {
        return rolled_back(answer, batch, rest_written);
    }
    // Nothing else that Prometheus or VictoriaMetrics answer with 400 is about samples: a body that
    // can't be decompressed or decoded, a path that isn't theirs.
    answer.general()
}

/// One superseded sample, and Prometheus rolls the whole request of 1.0 back and doesn't say which it
/// was.
///
/// Of one series it is the earliest in any case: what is refused of samples in the order of time is
/// a run at their beginning. Several series are told apart by halves of them.
fn rolled_back(answer: &Answer, batch: &Batch, rest_written: bool) -> SinkError {
    let scope = match samples::by_series(batch) {
        None => Scope::Batch,
        // Prometheus 3 says at what time there is another value.
        Some(_) if let Some(item) = lines::duplicate(&answer.body, batch) => {
            Scope::Items(vec![(item, answer.reason())])
        }
        Some(series) if series.len() == 1 => Scope::Items(vec![(series[0][0], answer.reason())]),
        Some(series) => half_of(&series),
    };
    rejected(answer, scope, true, rest_written)
}

/// Mimir takes in the rest of the request.
fn mimir(answer: &Answer, id: &str, batch: &Batch) -> SinkError {
    let is = |name: &str| id.starts_with(name);
    if is("distributor-max-write-message-size") {
        return answer.too_large();
    }
    // Limits of a tenant: they heal by time or by a person, and are no fault of the samples.
    if is("max-series-per-") || is("tenant-") {
        return answer.misconfigured();
    }
    let superseded =
        ["sample-out-of-order", "sample-duplicate-timestamp", "sample-timestamp-too-old"];
    rejected(answer, first(answer, batch), superseded.into_iter().any(is), true)
}

/// Thanos: out of order, duplicate, too old and bad labels alike, each with a count; the valid samples
/// were appended. Before 0.20 with just `conflict` for all of them.
fn thanos(answer: &Answer, batch: &Batch) -> SinkError {
    let body = answer.body.as_str();
    let labels = LABELS.iter().any(|text| body.contains(text));
    let samples = SUPERSEDED.iter().any(|text| body.contains(text));
    if !labels && !samples && !body.trim_end().ends_with("conflict") {
        return answer.general();
    }
    let scope = if labels { Scope::Batch } else { counted_by_thanos(answer, batch) };
    rejected(answer, scope, samples || !labels, true)
}

/// Of one series the refused samples are a run at its beginning, and Thanos says how long it is: as
/// each endpoint that has the series says, so the shortest is sure. Several series are told apart by
/// halves of them, unless all of their samples are refused.
fn counted_by_thanos(answer: &Answer, batch: &Batch) -> Scope {
    let refused = answer.body.split("endpoint ").map(samples_refused).filter(|count| *count > 0);
    let (Some(refused), Some(series)) = (refused.min(), samples::by_series(batch)) else {
        return Scope::Batch;
    };
    // Out of bounds is what comes too early, and, if an operator has set such a bound, too late.
    let is_run = series.len() == 1 && !answer.body.contains("out of bounds");
    if is_run || refused >= batch.len() {
        let mut items = series.concat();
        items.truncate(refused);
        items.sort_unstable();
        return Scope::Items(items.into_iter().map(|item| (item, answer.reason())).collect());
    }
    if series.len() == 1 { Scope::Batch } else { half_of(&series) }
}

/// The sum over the causes, each `add 2 samples: out of order sample` (`pkg/receive/writer_errors.go`).
fn samples_refused(text: &str) -> usize {
    let causes = text.split("add ").skip(1);
    let counts = causes.filter_map(|cause| cause.split_once(" samples: ")?.0.parse::<usize>().ok());
    counts.fold(0, usize::saturating_add)
}

/// The first half of several series.
fn half_of(series: &[Vec<usize>]) -> Scope {
    let mut half: Vec<_> = series[..series.len() / 2].concat();
    half.sort_unstable();
    Scope::Split(half)
}

/// The one sample that Mimir and Cortex name.
fn first(answer: &Answer, batch: &Batch) -> Scope {
    match samples::named(&answer.body, batch) {
        Some(item) => Scope::Items(vec![(item, answer.reason())]),
        None => Scope::Batch,
    }
}

fn rejected(answer: &Answer, scope: Scope, superseded: bool, rest_written: bool) -> SinkError {
    let reason = answer.reason();
    SinkError::Rejected(Rejected { scope, rest_written, superseded, reason })
}

#[cfg(test)]
mod tests;
