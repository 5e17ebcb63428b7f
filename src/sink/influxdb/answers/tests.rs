use super::*;
use crate::sink::influxdb::tests::batch;
use crate::sink::tests::{Row, answer, check, row, verdict_of};

/// Items 0 and 2 have a float where item 1 has an integer.
const LINES: [&str; 4] = ["m v=1 1000\n", "m v=1i 3000\n", "m,t=a v=2 2000\n", "n w=1 4000\n"];

fn judge(answer: &Answer) -> Result<(), SinkError> {
    classify(answer, &batch(&LINES))
}

/// A refusal of InfluxDB 2's storage (`handleWrite` in `http/write_handler.go`).
fn storage2(cause: &str) -> String {
    let start = "failure writing points to database: partial write";
    format!(r#"{{"code":"unprocessable entity","message":"{start}: {cause}"}}"#)
}

#[test]
fn every_answer_of_influxdb_2_is_what_it_means_by_it() {
    let seen = "seen from 2.7.12";
    let conflict = storage2(
        r#"field type conflict: input field \"v\" on measurement \"m\" is type float, already exists as type integer dropped=2"#,
    );
    let all = conflict.replace("dropped=2", "dropped=4");
    let retention = storage2(
        "dropped 2 points outside retention policy of duration 1h0m0s - oldest 1970-01-01 00:00:01 \
         +0000 UTC, newest 1970-01-01 00:00:02 +0000 UTC dropped=2 for database: 0a for retention \
         policy: autogen",
    );
    let deletion = storage2("shard 7 is pending deletion dropped=4");
    let other = storage2(r#"key contains invalid unicode: \"m?\" dropped=1"#);
    let everything = format!(
        "rejected: {}; the rest written",
        (0..4)
            .map(|item| format!("{item} (422 Unprocessable Entity: {all})"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    check(
        &[
            row(seen, 204, "", "written"),
            row(
                seen,
                400,
                r#"{"code":"invalid","message":"unable to parse 'm v=1i 3000': bad timestamp\nunable to parse 'n w=1 4000': missing tag value"}"#,
                "rejected: 1 (400 Bad Request: unable to parse: bad timestamp), 3 (400 Bad Request: \
                 unable to parse: missing tag value); nothing written",
            ),
            // Not our lines, as after a proxy that changes them.
            row(
                "http/points/points_parser.go",
                400,
                r#"{"code":"invalid","message":"unable to parse 'x y': missing fields"}"#,
                "rejected: some; nothing written",
            ),
            row(seen, 422, &conflict, "rejected: some, likely [0, 2]; the rest written"),
            row("tsdb/shard.go", 422, &all, &everything),
            row(
                "v1/coordinator/points_writer.go",
                422,
                &retention,
                "rejected: some, likely [0, 2]; the rest written",
            ),
            row("v1/coordinator/points_writer.go", 422, &deletion, "unavailable"),
            row("tsdb/shard.go", 422, &other, "rejected: some; the rest written"),
            row(
                "http/write_handler.go",
                500,
                r#"{"code":"internal error","message":"unexpected error writing points to database: timeout"}"#,
                "unavailable",
            ),
            row(
                "http/points/points_parser.go",
                413,
                r#"{"code":"request too large","message":"unable to read data: points batch is too large"}"#,
                "too large",
            ),
            row(
                "http/points/points_parser.go",
                400,
                r#"{"code":"invalid","message":"unable to read data: gzip: invalid header"}"#,
                "misconfigured",
            ),
            row(
                seen,
                401,
                r#"{"code":"unauthorized","message":"unauthorized access"}"#,
                "misconfigured",
            ),
            row(
                "http/write_handler.go",
                403,
                r#"{"code":"forbidden","message":"insufficient permissions for write"}"#,
                "misconfigured",
            ),
            row(
                seen,
                404,
                r#"{"code":"not found","message":"bucket \"b\" not found"}"#,
                "misconfigured",
            ),
            // Its user interface, which it serves on addresses that it doesn't know.
            row(seen, 200, "<!doctype html>", "misconfigured"),
        ],
        judge,
    );
}

#[test]
fn every_answer_of_influxdb_1_is_what_it_means_by_it() {
    check(
        &[
            row("services/httpd/handler.go", 204, "", "written"),
            row(
                "services/httpd/handler.go, no line parses",
                400,
                r#"{"error":"unable to parse 'm v=1 1000': invalid number"}"#,
                "rejected: 0 (400 Bad Request: unable to parse: invalid number); nothing written",
            ),
            row(
                "services/httpd/handler.go, some lines parse",
                400,
                r#"{"error":"partial write: unable to parse 'm v=1 1000': invalid number\nunable to parse 'n w=1 4000': invalid number dropped=0"}"#,
                "rejected: 0 (400 Bad Request: unable to parse: invalid number), 3 (400 Bad Request: \
                 unable to parse: invalid number); the rest written",
            ),
            row(
                "tsdb/shard.go",
                400,
                r#"{"error":"partial write: field type conflict: input field \"w\" on measurement \"n\" is type float, already exists as type string dropped=1"}"#,
                "rejected: some, likely [3]; the rest written",
            ),
            row(
                "coordinator/points_writer.go",
                400,
                r#"{"error":"partial write: points beyond retention policy dropped=3"}"#,
                "rejected: some, likely [0, 1, 2]; the rest written",
            ),
            // A person raises them.
            row(
                "tsdb/engine/tsm1/engine.go",
                400,
                r#"{"error":"partial write: max-series-per-database limit exceeded: (1000000) dropped=4"}"#,
                "misconfigured",
            ),
            row(
                "tsdb/engine/tsm1/engine.go",
                400,
                r#"{"error":"partial write: max-values-per-tag limit exceeded (100000/100000): measurement=\"m\" tag=\"t\" value=\"a\" dropped=1"}"#,
                "misconfigured",
            ),
            // Such words in a name are none.
            row(
                "tsdb/shard.go",
                400,
                r#"{"error":"partial write: field type conflict: input field \"max-series-per-database\" on measurement \"x\" is type float, already exists as type string dropped=1"}"#,
                "rejected: some; the rest written",
            ),
            row(
                "services/httpd/handler.go",
                404,
                r#"{"error":"database not found: \"d\""}"#,
                "misconfigured",
            ),
            row(
                "services/httpd/handler.go",
                400,
                r#"{"error":"database is required"}"#,
                "misconfigured",
            ),
            row(
                "services/httpd/handler.go",
                401,
                r#"{"error":"authorization failed"}"#,
                "misconfigured",
            ),
            row(
                "services/httpd/handler.go",
                413,
                r#"{"error":"Request Entity Too Large"}"#,
                "too large",
            ),
            row("coordinator/points_writer.go", 500, r#"{"error":"timeout"}"#, "unavailable"),
            row(
                "tsdb/engine/tsm1/cache.go",
                500,
                r#"{"error":"engine: cache-max-memory-size exceeded: (1/1)"}"#,
                "unavailable",
            ),
            row("services/httpd/handler.go, throttled", 503, "", "unavailable"),
        ],
        judge,
    );
}

#[test]
fn every_answer_of_influxdb_3_and_of_the_cloud_is_what_it_means_by_it() {
    let source = "influxdb3_server/src/http.rs";
    let conflict = r#""original_line":"m v=1i 3000","line_number":2,"error_message":"invalid column type for column 'v', expected iox::column_type::field::float, got iox::column_type::field::integer""#;
    let reason = "400 Bad Request: invalid column type for column 'v', expected \
                  iox::column_type::field::float, got iox::column_type::field::integer";
    let partial =
        format!(r#"{{"error":"partial write of line protocol occurred","data":[{{{conflict}}}]}}"#);
    let two = partial.replace(
        "}]}",
        r#"}, {"original_line":"n w=1 4000","line_number":4,"error_message":"no"}]}"#,
    );
    let cut = &two[..two.len() - 20];
    let beyond = partial.replace(":2,", ":5,");
    let old =
        format!(r#"{{"error":"parsing failed for write_lp endpoint","data":{{{conflict}}}}}"#);
    let new = format!(r#"{{"error":"line protocol parsing error","data":{{{conflict}}}}}"#);
    let one = format!("rejected: 1 ({reason}); the rest written");
    let nothing = format!("rejected: 1 ({reason}); nothing written");
    check(
        &[
            row(source, 204, "", "written"),
            row(source, 400, &partial, &one),
            row(
                source,
                400,
                &two,
                &format!("rejected: 1 ({reason}), 3 (400 Bad Request: no); the rest written"),
            ),
            row("cut off", 400, cut, &one),
            row("a line that there isn't", 400, &beyond, "rejected: some; the rest written"),
            row(source, 400, &old, &nothing),
            row("3.11", 400, &new, &nothing),
            row(
                source,
                422,
                r#"{"error":"Update to schema would exceed number of tables limit of 2000 tables"}"#,
                "misconfigured",
            ),
            // On the routes of InfluxDB 1 and 2 this is a 400, and heals.
            row(source, 400, "write buffer error: wal error: buffer is full", "misconfigured"),
            row(source, 429, "", "unavailable"),
            row(source, 500, r#"{"error":"write buffer error"}"#, "unavailable"),
            row(source, 401, "", "misconfigured"),
            row(
                "Cloud Serverless' API documentation",
                400,
                r#"{"code":"invalid","message":"partial write has occurred, errors encountered on line(s): error message for first rejected point"}"#,
                "rejected: some; the rest written",
            ),
            row(
                "Cloud Dedicated's API documentation",
                400,
                r#"{"code":"invalid","message":"failed to parse line protocol: errors encountered on line(s): line 2"}"#,
                "rejected: some; nothing written",
            ),
            Row {
                from: "Cloud's API documentation: over the plan's rate",
                status: 429,
                headers: &[("retry-after", "30")],
                body: r#"{"code":"too many requests","message":"org has exceeded its write limit"}"#,
                verdict: "unavailable for 30s",
            },
            Row {
                from: "Cloud's API documentation: cardinality quota, or too busy",
                status: 503,
                headers: &[("retry-after", "7")],
                body: "",
                verdict: "unavailable for 7s",
            },
            row("Cloud's API documentation", 413, r#"{"code":"request too large"}"#, "too large"),
        ],
        judge,
    );
}

#[test]
fn every_answer_of_questdb_is_what_it_means_by_it() {
    let seen = "seen from 9.1.0";
    let refusal = |line: &str, why: &str| {
        format!(
            r#"{{"code":"invalid","message":"failed to parse line protocol:errors encountered on line(s):\nerror in line {line}: {why}","line":{line},"errorId":"af9b0d2681c7-1"}}"#
        )
    };
    let cast = "table: m, column: v; cast error from protocol type: STRING to column type: DOUBLE";
    let said = format!("rejected: 2 (400 Bad Request: {cast}); nothing written");
    check(
        &[
            row(seen, 204, "", "written"),
            row(seen, 400, &refusal("3", cast), &said),
            row(
                "a line that there isn't",
                400,
                &refusal("5", cast),
                "rejected: some; nothing written",
            ),
            row(seen, 401, "Unauthorized\r\n", "misconfigured"),
            row(seen, 405, "Method POST not supported\r\n", "misconfigured"),
            row(
                seen,
                413,
                r#"{"code":"request too large","message":"failed to parse line protocol:errors encountered on line(s):transaction is too large, either flush more frequently or increase buffer size \"line.http.max.recv.buffer.size\" [maxBufferSize=32.0 KiB]","line":1,"errorId":"8dbbca6885c2-11"}"#,
                "too large",
            ),
            row("LineHttpProcessorState.java", 500, r#"{"code":"internal error"}"#, "unavailable"),
        ],
        judge,
    );
}

#[test]
fn every_answer_of_greptimedb_is_what_it_means_by_it() {
    let refusal = |why: &str| format!(r#"{{"code":1004,"error":"{why}","execution_time_ms":0}}"#);
    let kind = "Invalid request to region 4398046511104(1024, 0), reason: column v expect type \
                Float64(Float64Type), given: BOOLEAN(1)";
    let source = "src/servers/src/error.rs";
    let parse = refusal("Failed to parse InfluxDB line protocol");
    check(
        &[
            row("src/servers/src/http/influxdb.rs", 204, "", "written"),
            row(source, 400, &parse, "rejected: some; nothing written"),
            row("src/mito2/src/request.rs", 400, &refusal(kind), "rejected: some; nothing written"),
            // Heals by itself.
            row("src/store-api", 400, &refusal("Region 1 not found"), "misconfigured"),
            row("src/servers/src/http/authorize.rs", 401, "", "misconfigured"),
        ],
        judge,
    );
}

#[test]
fn every_answer_of_victoria_metrics_is_what_it_means_by_it() {
    let (seen, start) = ("seen from 1.150.0", "cannot process influx line protocol data: ");
    let see = "; see https://docs.victoriametrics.com/victoriametrics/integrations/influxdb/\n";
    let bad = |quoted: &str| format!("{start}incorrect influx line {quoted}{see}");
    let second = bad(
        r#""m v=1i 3000\nm,t=a v=2 2000\nn w=1 4000\n": cannot parse field value for "v": field value cannot be empty"#,
    );
    let unknown = bad(r#""x y\n": cannot find Whitespace I in "x""#);
    let big =
        format!("{start}too big data size exceeding -influx.maxRequestSize=67108864 bytes{see}");
    let inflated = format!(
        "{start}too big decompressed data size exceeding -influx.maxRequestSize=1 bytes{see}"
    );
    let broken = format!("{start}cannot decompress data: unexpected EOF{see}");
    check(
        &[
            row(seen, 204, "", "written"),
            row(
                seen,
                400,
                &second,
                r#"rejected: 1 (400 Bad Request: incorrect influx line: cannot parse field value for "v": field value cannot be empty); nothing written"#,
            ),
            row(
                "lib/protoparser/influx/parser.go",
                400,
                &unknown,
                "rejected: some; nothing written",
            ),
            row("protoparserutil/compress_reader.go", 400, &big, "too large"),
            row("protoparserutil/compress_reader.go", 400, &inflated, "too large"),
            row("protoparserutil/compress_reader.go", 400, &broken, "misconfigured"),
            row(seen, 400, "unsupported path requested: \"/nope\"\n", "misconfigured"),
            row(
                "lib/writeconcurrencylimiter",
                503,
                "cannot process insert request for 60.000 seconds because 8 concurrent insert requests are executed.",
                "unavailable",
            ),
            row(
                "vminsert/common/insert_ctx.go",
                503,
                "cannot store metrics: read-only",
                "unavailable",
            ),
            row("vmagent/remotewrite/remotewrite.go", 429, "", "unavailable"),
        ],
        judge,
    );
}

#[test]
fn nothing_is_rejected_or_acknowledged_by_what_is_not_the_database() {
    let proxy = "a proxy, or nobody knows what";
    check(
        &[
            row(proxy, 200, "", "misconfigured"),
            row(proxy, 302, "", "misconfigured"),
            row(proxy, 400, "<html>400 Bad Request</html>", "misconfigured"),
            row(proxy, 400, "", "misconfigured"),
            // Words of points that stand in an echo of points decide nothing.
            row(
                proxy,
                400,
                r#"{"code":"invalid","message":"something else: 'partial write: '"}"#,
                "misconfigured",
            ),
            row(proxy, 405, "", "misconfigured"),
            row(proxy, 407, "", "misconfigured"),
            row(proxy, 408, "", "unavailable"),
            row(proxy, 413, "<html>nginx</html>", "too large"),
            row(proxy, 415, "", "misconfigured"),
            row(proxy, 418, "", "misconfigured"),
            row(proxy, 422, "", "misconfigured"),
            row(proxy, 425, "", "unavailable"),
            row(proxy, 502, "<html>partial write: </html>", "unavailable"),
            row(proxy, 504, "", "unavailable"),
            row(proxy, 599, "", "unavailable"),
        ],
        judge,
    );
}

#[test]
fn a_message_is_read_as_far_as_it_goes() {
    let whole =
        r#"{"code":"invalid","message":"unable to parse 'm \"a\\b\u003c\n\u003e': bad","x":1}"#;
    assert_eq!(message(whole), "unable to parse 'm \"a\\b<\n>': bad");
    for end in whole.find("unable").unwrap()..whole.len() {
        let message = message(&whole[..end]);
        assert!("unable to parse 'm \"a\\b<\n>': bad".starts_with(&message), "{end}: {message}");
    }
    assert_eq!(message(&whole[..40]), "unable to p");
    assert_eq!(message("  plain text"), "plain text");
    assert_eq!(message("{\"other\":1}"), "{\"other\":1}");
}

/// The cause stands at the end, and the line's quote at the beginning.
#[test]
fn of_an_echo_longer_than_what_is_kept_the_line_and_the_cause_are_read() {
    let mut answer = answer(
        400,
        &[],
        r#"cannot process influx line protocol data: incorrect influx line "m,t=a v=2 2000\nn w"#,
    );
    answer.tail = r#"1 4000\n": cannot parse field value for "v": empty; see https://docs"#.into();
    assert_eq!(
        verdict_of(&judge(&answer)),
        r#"rejected: 2 (400 Bad Request: incorrect influx line: cannot parse field value for "v": empty); nothing written"#
    );
}

/// A count at the end of what is kept is not to be trusted.
#[test]
fn an_answer_whose_middle_is_missing_refuses_nothing_by_its_count() {
    let cause = "something very long";
    let mut answer = answer(400, &[], &format!(r#"{{"error":"partial write: {cause} dropped=4"#));
    assert!(verdict_of(&judge(&answer)).starts_with("rejected: 0 "));
    answer.tail = "more".into();
    assert_eq!(verdict_of(&judge(&answer)), "rejected: some; the rest written");
}
