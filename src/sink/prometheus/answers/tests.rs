use super::*;
use crate::sink::prometheus::tests::batch;
use crate::sink::tests::{check, row};

/// Two series of two samples.
fn judge(answer: &Answer) -> Result<(), SinkError> {
    let batch = batch(&[("a", 1000), ("b", 1000), ("a", 2000), ("b", 2000)]);
    classify(Form::V1, answer, &batch)
}

#[test]
fn every_answer_of_prometheus_is_what_it_means_by_it() {
    let seen = "seen from 2.42.0";
    let halved = "superseded: some, likely [0, 2]; nothing written";
    check(
        &[
            row(seen, 204, "", "written"),
            row(seen, 400, "out of order sample\n", halved),
            row(seen, 400, "duplicate sample for timestamp\n", halved),
            row(seen, 400, "out of bounds\n", halved),
            row(seen, 500, "too old sample\n", halved),
            row("write_handler.go since 2.50", 400, "too old sample\n", halved),
            row(
                "write_handler.go since 2.46, timeLimitAppender",
                400,
                "out of bounds: timestamp is too far in the future\n",
                "rejected: some; nothing written",
            ),
            row(seen, 400, "snappy: corrupt input\n", "misconfigured"),
            row(seen, 400, "unexpected EOF\n", "misconfigured"),
            row(
                "web/api/v1/api.go",
                404,
                "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n",
                "misconfigured",
            ),
            row(seen, 404, "404 page not found\n", "misconfigured"),
            row("write_handler.go of 3", 415, "", "misconfigured"),
            row("write_handler.go, any other error", 500, "appender closed\n", "unavailable"),
            row("tsdb/db.go", 503, "Service Unavailable", "unavailable"),
        ],
        judge,
    );
}

#[test]
fn of_one_series_the_earliest_sample_is_the_superseded_one() {
    check(
        &[row(
            "what is refused of a series is a run at its beginning",
            400,
            "out of order sample\n",
            "superseded: 0 (400 Bad Request: out of order sample); nothing written",
        )],
        |answer| {
            classify(Form::V1, answer, &batch(&[("b", 500), ("a", 1000), ("a", 2000)]).slice(1..3))
        },
    );
}

#[test]
fn of_another_value_at_a_time_the_sample_at_that_time_is_the_superseded_one() {
    let body =
        "duplicate sample for timestamp 2000; overrides not allowed: existing 1, new value 2\n";
    let reason = format!("400 Bad Request: {}", body.trim_end());
    let one = format!("superseded: 1 ({reason}); nothing written");
    let source = "storage/errors.go of 3";
    let batch = batch(&[("a", 1000), ("b", 2000), ("a", 3000), ("c", 2000)]);
    check(&[row(source, 400, body, &one)], |answer| classify(Form::V1, answer, &batch.slice(0..3)));
    // Two may be meant: told apart by series.
    check(
        &[row(source, 400, body, "superseded: some, likely [0, 2]; nothing written")],
        |answer| classify(Form::V1, answer, &batch),
    );
}

#[test]
fn every_answer_of_mimir_is_what_it_means_by_it() {
    let errors = "pkg/ingester/errors.go";
    let soft = |id: &str| {
        format!(
            "send data to ingesters: failed pushing to ingester a: user=x: the sample has been \
             rejected (err-mimir-{id}). The affected sample has timestamp 1970-01-01T00:00:02Z and is \
             from series m_v{{t=\"a\"}}"
        )
    };
    let named =
        |how: &str, id: &str| format!("{how}: 2 (400 Bad Request: {}); the rest written", soft(id));
    let validation = "received a series whose label value length exceeds the limit, value: \
        '(err-mimir-tenant-x' (truncated) series: 'm' (err-mimir-label-value-too-long)";
    let spoofed = "user=x: the sample has been rejected (err-mimir-sample-out-of-order). The affected \
        sample has timestamp 1970-01-01T00:00:02Z and is from series m{t=\"(err-mimir-tenant-x\"}";
    let (order, duplicate) = ("sample-out-of-order", "sample-duplicate-timestamp");
    let (old, future) = ("sample-timestamp-too-old", "too-far-in-future");
    let size = "the incoming push request has been rejected because its message size of 9 bytes \
        (uncompressed) is larger than the allowed limit of 1 bytes \
        (err-mimir-distributor-max-write-message-size)";
    check(
        &[
            row("seen", 200, "", "written"),
            row("distributor/errors.go: HA-deduplicated", 202, "", "written"),
            row(errors, 400, &soft(order), &named("superseded", order)),
            row(errors, 400, &soft(duplicate), &named("superseded", duplicate)),
            row(errors, 400, &soft(old), &named("superseded", old)),
            row(errors, 400, &soft(future), &named("rejected", future)),
            row("distributor/validate.go", 400, validation, "rejected: some; the rest written"),
            row(errors, 400, spoofed, "superseded: some; the rest written"),
            row(errors, 400, &soft("max-series-per-user"), "misconfigured"),
            row(errors, 400, &soft("max-series-per-metric"), "misconfigured"),
            row("distributor/push.go", 400, size, "too large"),
            row("distributor/errors.go", 413, "", "too large"),
            crate::sink::tests::Row {
                from: "distributor/errors.go and push.go",
                status: 429,
                headers: &[("retry-after", "6")],
                body: "the request has been rejected (err-mimir-tenant-max-ingestion-rate)",
                verdict: "unavailable for 6s",
            },
            row("distributor/errors.go", 529, &soft("tenant-max-request-rate"), "unavailable"),
            row("middleware/auth", 401, "no org id\n", "misconfigured"),
            row("distributor/push.go", 500, &soft(order), "unavailable"),
            row("distributor/errors.go, circuit breaker", 503, "", "unavailable"),
            row("distributor/push.go, client gone", 499, "context canceled", "misconfigured"),
        ],
        judge,
    );
}

#[test]
fn every_answer_of_cortex_is_what_it_means_by_it() {
    let ingest = |cause: &str| {
        format!(
            "user=x: err: {cause}. timestamp=1970-01-01T00:00:01Z, series={{__name__=\"m_v\", t=\"b\"}}"
        )
    };
    let named = |how: &str, cause: &str| {
        format!("{how}: 1 (400 Bad Request: {}); the rest written", ingest(cause))
    };
    let source = "pkg/ingester/ingester.go";
    check(
        &[
            row(source, 200, "", "written"),
            row(
                source,
                400,
                &ingest("out of order sample"),
                &named("superseded", "out of order sample"),
            ),
            row(source, 400, &ingest("out of bounds"), &named("superseded", "out of bounds")),
            row(
                "pkg/util/validation/errors.go",
                400,
                r#"label value too long for metric: "m{}" label value: "out of order sample""#,
                "rejected: some; the rest written",
            ),
            row(
                "pkg/util/validation/errors.go",
                400,
                r#"timestamp too old: 1000 metric: "m""#,
                "rejected: some; the rest written",
            ),
            row(
                "pkg/ingester/limiter.go",
                400,
                "user=x: per-user series limit of 10 exceeded, please contact administrator to raise it",
                "misconfigured",
            ),
            row("pkg/distributor", 429, "ingestion rate limit (1) exceeded", "unavailable"),
            row(
                "seen from 1.21.1",
                400,
                "received message larger than max (206 vs 100)\n",
                "too large",
            ),
        ],
        judge,
    );
}

#[test]
fn every_answer_of_thanos_is_what_it_means_by_it() {
    let source = "pkg/receive/handler.go and writer.go";
    check(
        &[
            row(source, 200, "", "written"),
            row(
                source,
                409,
                "store locally for endpoint 127.0.0.1:10901: add 2 samples: out of order sample\n",
                "superseded: some, likely [0, 2]; the rest written",
            ),
            row(
                source,
                409,
                "store locally for endpoint 127.0.0.1:10901: add 1 series: duplicate labels\n",
                "rejected: some; the rest written",
            ),
            row(
                source,
                409,
                "store locally for endpoint : conflict\n",
                "superseded: some; the rest written",
            ),
            row(source, 413, "write request too large", "too large"),
            row(source, 429, "", "unavailable"),
            row(source, 500, "quorum not reached", "unavailable"),
            row(source, 503, "target not ready", "unavailable"),
            row("not Thanos", 409, "somebody else's", "misconfigured"),
        ],
        judge,
    );
}

#[test]
fn thanos_counts_refused_samples_which_tells_those_of_one_series_or_all() {
    let one = |causes: &str| format!("store locally for endpoint a:1: {causes}\n");
    let named = |batch: &Batch, body: &str| match classify(
        Form::V1,
        &crate::sink::tests::answer(409, &[], body),
        batch,
    ) {
        Err(SinkError::Rejected(Rejected { scope: Scope::Items(items), .. })) => {
            items.into_iter().map(|(item, _)| item).collect()
        }
        _ => Vec::new(),
    };
    let series = batch(&[("a", 1000), ("a", 2000), ("a", 3000)]);
    assert_eq!(named(&series, &one("add 2 samples: out of order sample")), [0, 1]);
    let two = "2 errors: add 1 samples: out of order sample; \
        add 1 samples: duplicate sample for timestamp";
    assert_eq!(named(&series, &one(two)), [0, 1]);
    // Replicas that don't hold the same: as many as all of them refuse.
    let replicas = one("add 2 samples: out of order sample")
        + "; forwarding request to endpoint b:1: add 1 samples: out of order sample";
    assert_eq!(named(&series, &replicas), [0]);
    // These may be the first or the last.
    assert_eq!(named(&series, &one("add 2 samples: out of bounds")), [0; 0]);
    assert_eq!(named(&series, &one("add 3 samples: out of bounds")), [0, 1, 2]);
    let several = batch(&[("a", 1000), ("b", 1000), ("a", 2000)]);
    assert_eq!(named(&several, &one("add 3 samples: out of order sample")), [0, 1, 2]);
    assert_eq!(named(&several, &one("add 2 samples: out of order sample")), [0; 0]);
}

#[test]
fn every_answer_of_victoria_metrics_is_what_it_means_by_it() {
    let start = "cannot read prometheus remote_write data from client in 0 seconds: ";
    let corrupt = format!(
        "{start}cannot decompress snappy-encoded request with length 7: snappy: corrupt input\n"
    );
    let unpacked = format!(
        "{start}too big unpacked request; mustn't exceed `-maxInsertRequestSize=33554432` bytes; got 4 bytes"
    );
    let inflated = format!(
        "{start}cannot decompress snappy-encoded request with length 5: too big data size 9 exceeding 4 bytes"
    );
    let compressed =
        format!("{start}too big data size exceeding -maxInsertRequestSize=33554432 bytes");
    let parser = "lib/protoparser/promremotewrite/stream";
    check(
        &[
            row("seen from 1.150.0", 204, "", "written"),
            row("seen from 1.150.0", 400, &corrupt, "misconfigured"),
            row(parser, 400, &unpacked, "too large"),
            row("lib/encoding/snappy", 400, &inflated, "too large"),
            row("protoparserutil/compress_reader.go", 400, &compressed, "too large"),
            row(
                "seen from 1.150.0",
                400,
                "unsupported path requested: \"/nope\"\n",
                "misconfigured",
            ),
            row(
                "vminsert/common/insert_ctx.go",
                503,
                "cannot store metrics: read-only",
                "unavailable",
            ),
        ],
        judge,
    );
}

#[test]
fn nothing_is_rejected_or_acknowledged_by_what_is_not_the_database() {
    let proxy = "a proxy, or nobody knows what";
    let page = "\n<html>400 out of order sample (err-mimir-sample-out-of-order)</html>";
    check(
        &[
            row(proxy, 200, page, "misconfigured"),
            row(proxy, 302, "", "misconfigured"),
            row(proxy, 400, page, "misconfigured"),
            row(proxy, 400, "", "misconfigured"),
            row(proxy, 400, "Bad Request", "misconfigured"),
            row(proxy, 403, page, "misconfigured"),
            row(proxy, 405, "", "misconfigured"),
            row(proxy, 408, "", "unavailable"),
            row(proxy, 409, page, "misconfigured"),
            row(proxy, 422, "", "misconfigured"),
            row(proxy, 425, "", "unavailable"),
            row(proxy, 500, page, "unavailable"),
            row(proxy, 500, "a proxy that says too old sample", "unavailable"),
            row(proxy, 502, page, "unavailable"),
            row(proxy, 503, "", "unavailable"),
        ],
        judge,
    );
}

#[test]
fn every_answer_of_prometheus_to_2_0_is_what_it_means_by_it() {
    let source = "write_handler.go of 3.8, writeV2";
    let written = |count: &'static str| [("x-prometheus-remote-write-samples-written", count)];
    let (none, one, two, three, four) =
        (written("0"), written("1"), written("2"), written("3"), written("4"));
    let series = |tag: &str| format!("for series {{__name__=\"m_v\", t=\"{tag}\"}}");
    let late = format!("out of order sample {}", series("b"));
    let too_old = format!("too old sample {}", series("b"));
    let duplicate = format!(
        "duplicate sample for timestamp 2000; overrides not allowed: existing 1, new value 2 {}",
        series("a")
    );
    let unclear = format!("duplicate sample for timestamp {}", series("a"));
    let future = format!("out of bounds: timestamp is too far in the future {}", series("a"));
    let labels = "invalid metric name or labels, got {__name__=\"m_v\", t=\"a\"}".to_owned();
    let foreign = format!("out of order sample {}", series("c"));
    let joined =
        |lines: &[&String]| lines.iter().fold(String::new(), |all, line| all + line + "\n");
    let table = [
        (&four[..], 204, String::new(), "written".to_owned()),
        (&[], 204, String::new(), "misconfigured".to_owned()),
        (
            &[("x-prometheus-remote-write-histograms-written", "0")],
            200,
            String::new(),
            "rejected: some; nothing written".into(),
        ),
        (&three, 200, String::new(), "rejected: some; the rest written".into()),
        // Mimir: another replica of a pair has delivered it.
        (&none, 202, String::new(), "written".into()),
        (
            &three,
            400,
            joined(&[&late]),
            format!("superseded: 1 (400 Bad Request: {late}); the rest written"),
        ),
        (
            &two,
            400,
            joined(&[&late, &too_old]),
            format!(
                "superseded: 1 (400 Bad Request: {late}), 3 (400 Bad Request: {too_old}); the rest written"
            ),
        ),
        // The second of its series: the one before may have been taken within a window.
        (
            &three,
            400,
            joined(&[&duplicate]),
            format!("superseded: 2 (400 Bad Request: {duplicate}); the rest written"),
        ),
        (
            &three,
            400,
            joined(&[&unclear]),
            "superseded: some, likely [0, 2]; the rest written".into(),
        ),
        // The superseded ones first; the other is refused again.
        (
            &two,
            400,
            joined(&[&future, &late]),
            format!("superseded: 1 (400 Bad Request: {late}); the rest written"),
        ),
        (
            &three,
            400,
            joined(&[&future]),
            format!("rejected: 2 (400 Bad Request: {future}); the rest written"),
        ),
        (
            &one,
            400,
            joined(&[&labels, &labels]),
            format!(
                "rejected: 0 (400 Bad Request: {labels}), 2 (400 Bad Request: {labels}); the rest written"
            ),
        ),
        // What it has rolled back is not stored, so what is refused later was not stored by this.
        (
            &none,
            400,
            joined(&[&foreign]),
            "superseded: some, likely [0, 2]; nothing written".into(),
        ),
        (&none, 400, "unexpected EOF\n".into(), "misconfigured".into()),
        (&none, 500, "appender closed\n".into(), "unavailable".into()),
        (
            &none,
            415,
            "prometheus.WriteRequest protobuf message is not accepted by this server\n".into(),
            "misconfigured".into(),
        ),
    ];
    let batch = batch(&[("a", 1000), ("b", 1000), ("a", 2000), ("b", 2000)]);
    for (headers, status, body, verdict) in &table {
        let row = crate::sink::tests::Row { from: source, status: *status, headers, body, verdict };
        check(&[row], |answer| classify(Form::V2, answer, &batch));
    }
}
