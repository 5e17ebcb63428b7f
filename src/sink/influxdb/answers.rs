//! What the answers to a write of line protocol mean. Sources: InfluxDB 1.8's
//! `services/httpd/handler.go`, 2.7's `http/write_handler.go`, 3's `influxdb3_server/src/http.rs`,
//! VictoriaMetrics' `lib/protoparser/influx`, GreptimeDB's `src/servers/src/influxdb.rs`; QuestDB's
//! were seen from 9.1.

use reqwest::StatusCode;
use serde::Deserialize;

use super::lines;
use crate::batch::Batch;
use crate::sink::go_text::unquote;
use crate::sink::http::Answer;
use crate::sink::{Rejected, Scope, SinkError};

/// Whatever isn't recognisably the database's own verdict on points is left to
/// [`Answer::general`].
pub(in crate::sink) fn classify(answer: &Answer, batch: &Batch) -> Result<(), SinkError> {
    match answer.status {
        // The only acknowledgement. InfluxDB 2 serves its user interface with a 200 on addresses
        // that it doesn't know.
        StatusCode::NO_CONTENT => Ok(()),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Err(verdict(answer, batch)),
        _ => Err(answer.general()),
    }
}

/// A 400 or 422, told apart by the beginning of its message: what follows may echo the points, in
/// which any text can stand.
fn verdict(answer: &Answer, batch: &Batch) -> SinkError {
    // VictoriaMetrics (`Parse` in `stream/streamparser.go`).
    if let Some(cause) = answer.body.strip_prefix("cannot process influx line protocol data: ") {
        return victoria(answer, cause, batch);
    }
    let message = message(&answer.body);
    // InfluxDB 2 puts this before what its storage says.
    let storage = "failure writing points to database: ";
    let said = message.strip_prefix(storage).unwrap_or(&message);
    // `PartialWriteError` of InfluxDB 1 and 2 (`tsdb/shard.go`).
    if let Some(cause) = said.strip_prefix("partial write: ") {
        return partial_write(answer, cause, batch);
    }
    // InfluxDB 3, and its Cloud (`partial write has occurred, …`).
    if said.starts_with("partial write ") {
        return rejected(answer, numbered(answer, batch), true);
    }
    // InfluxDB 1 (if no line parses) and 2.
    if said.starts_with("unable to parse '") {
        return rejected(answer, unparsed(answer, said, batch), false);
    }
    // QuestDB: it stops at the first bad line, and rolls the request back.
    if let Some(cause) = said.strip_prefix("failed to parse line protocol:errors encountered") {
        return rejected(answer, counted(answer, cause, batch), false);
    }
    // GreptimeDB takes a request as a whole, and says of a type only that it is another.
    if said.starts_with("Failed to parse InfluxDB line protocol")
        || (said.starts_with("Invalid request to region ") && said.contains(" expect type "))
    {
        return rejected(answer, Scope::Batch, false);
    }
    // InfluxDB 3 before and since 3.11 without `accept_partial`, as always on the routes of 1 and 2;
    // its Cloud. Nothing was written.
    let unparsed =
        ["parsing failed", "line protocol parsing error", "failed to parse line protocol"];
    if unparsed.iter().any(|start| said.starts_with(start)) {
        return rejected(answer, numbered(answer, batch), false);
    }
    answer.general()
}

/// Storage has refused points. The others were written, or are about to be: it answers with the first
/// error of any shard, so its count is of one shard only, and a later error of another shard is not
/// told (`WritePointsPrivileged` in `coordinator/points_writer.go`).
fn partial_write(answer: &Answer, cause: &str, batch: &Batch) -> SinkError {
    // Limits that a person raises; they would dead-letter every new series
    // (`tsdb/index/inmem` and `tsdb/engine/tsm1/engine.go` of InfluxDB 1).
    if ["max-series-per-database", "max-values-per-tag"].iter().any(|l| cause.starts_with(l)) {
        return answer.misconfigured();
    }
    // Of a shard that is being dropped. Then there is another one, or none, which is a verdict.
    if cause.starts_with("shard ") && cause.contains(" is pending deletion ") {
        return answer.unavailable();
    }
    // InfluxDB 1 writes the lines that parse.
    if cause.starts_with("unable to parse '") {
        return rejected(answer, unparsed(answer, cause, batch), true);
    }
    let dropped = dropped(cause).filter(|_| !answer.is_cut());
    if dropped.is_some_and(|dropped| dropped >= batch.len()) {
        let all = (0..batch.len()).map(|item| (item, answer.reason())).collect();
        return rejected(answer, Scope::Items(all), true);
    }
    let likely = if cause.starts_with("field type conflict: ") {
        lines::with_conflict(cause, batch)
    } else if cause.contains(" outside retention policy ")
        || cause.starts_with("points beyond retention policy ")
    {
        // What is older than the bucket keeps: the oldest.
        dropped.and_then(|dropped| lines::oldest(dropped, batch))
    } else {
        None
    };
    let likely = likely.filter(|items| !items.is_empty());
    rejected(answer, likely.map_or(Scope::Batch, Scope::Split), true)
}

/// The number after the last `dropped=`; in InfluxDB 2 the bucket's name follows it.
fn dropped(cause: &str) -> Option<usize> {
    let (_, number) = cause.rsplit_once(" dropped=")?;
    number.split(' ').next()?.parse().ok()
}

/// The lines that InfluxDB 1 and 2 quote as not to be parsed.
fn unparsed(answer: &Answer, said: &str, batch: &Batch) -> Scope {
    let named = lines::unparsed(said, batch);
    if named.is_empty() {
        return Scope::Batch;
    }
    let reason = |reason: String| {
        // Of InfluxDB 1, at the end of all.
        let reason = reason.strip_suffix(" dropped=0").unwrap_or(&reason);
        format!("{}: unable to parse: {reason}", answer.status)
    };
    Scope::Items(named.into_iter().map(|(item, why)| (item, reason(why))).collect())
}

/// What InfluxDB 3 says of a line.
#[derive(Deserialize)]
struct LineError {
    /// From 1.
    line_number: usize,
    error_message: String,
}

/// The lines that InfluxDB 3 gives by number, in `data`: an object for one, an array for several. Of
/// an answer that is cut off, those that stand in it.
fn numbered(answer: &Answer, batch: &Batch) -> Scope {
    if !has_single_lines(batch) {
        return Scope::Batch;
    }
    let data = answer.body.split_once("\"data\":").map_or("", |(_, data)| data.trim_start());
    let mut rest = data.strip_prefix('[').unwrap_or(data);
    let mut items = Vec::new();
    loop {
        let mut errors = serde_json::Deserializer::from_str(rest).into_iter::<LineError>();
        let Some(Ok(LineError { line_number, error_message })) = errors.next() else {
            break;
        };
        let end = errors.byte_offset();
        let item = line_number.checked_sub(1).filter(|item| *item < batch.len());
        let Some(item) = item else {
            return Scope::Batch;
        };
        items.push((item, format!("{}: {error_message}", answer.status)));
        rest = rest[end..].trim_start_matches([',', ' ']);
    }
    items.sort_unstable_by_key(|(item, _)| *item);
    items.dedup_by_key(|(item, _)| *item);
    if items.is_empty() { Scope::Batch } else { Scope::Items(items) }
}

/// The line that QuestDB gives by number, from 1: ` on line(s):\nerror in line 3: table: m, …`.
fn counted(answer: &Answer, cause: &str, batch: &Batch) -> Scope {
    let named = cause.split_once("error in line ").and_then(|(_, rest)| rest.split_once(": "));
    let item = named.and_then(|(number, _)| number.parse::<usize>().ok()?.checked_sub(1));
    match (item, named) {
        (Some(item), Some((_, why))) if item < batch.len() && has_single_lines(batch) => {
            Scope::Items(vec![(item, format!("{}: {why}", answer.status))])
        }
        _ => Scope::Batch,
    }
}

/// Whether an item's place is the number of its line: a string may hold a line break.
fn has_single_lines(batch: &Batch) -> bool {
    let first_break = |item: usize| batch.item(item).iter().position(|byte| *byte == b'\n');
    (0..batch.len()).all(|item| first_break(item) == Some(batch.item(item).len() - 1))
}

/// VictoriaMetrics parses a request before it stores any of it, and stops at the first bad line.
fn victoria(answer: &Answer, cause: &str, batch: &Batch) -> SinkError {
    // `ReadUncompressedData`: "too big data size …", "too big decompressed data size …".
    if cause.starts_with("too big ") {
        return answer.too_large();
    }
    let Some(quoted) = cause.strip_prefix("incorrect influx line ") else {
        return answer.general();
    };
    let Some(item) = lines::first_bad(quoted, batch) else {
        return rejected(answer, Scope::Batch, false);
    };
    // The cause stands behind the quote, which is as long as the rest of the batch.
    let cause = match unquote(quoted) {
        Some((_, Some(cause))) => cause,
        _ => answer.tail.rsplit_once("\\n\": ").map_or("", |(_, cause)| cause),
    };
    let cause = cause.trim_start_matches(": ").split("; see https://").next().unwrap_or_default();
    let reason = format!("{}: incorrect influx line: {cause}", answer.status);
    rejected(answer, Scope::Items(vec![(item, reason)]), false)
}

fn rejected(answer: &Answer, scope: Scope, rest_written: bool) -> SinkError {
    let reason = answer.reason();
    SinkError::Rejected(Rejected { scope, rest_written, superseded: false, reason })
}

/// The message of an error in JSON (`{"code":"invalid","message":"…"}` of InfluxDB 2,
/// `{"error":"…"}` of the others), or the body itself. What is cut off is no JSON any more; then as
/// much of it as there is.
fn message(body: &str) -> String {
    let body = body.trim_start();
    if !body.starts_with('{') {
        return body.to_owned();
    }
    let text = ["\"message\":", "\"error\":"].iter().find_map(|key| body.split_once(key));
    let Some((_, text)) = text else {
        return body.to_owned();
    };
    let text = text.trim_start();
    let read = |text: &str| serde_json::Deserializer::from_str(text).into_iter().next()?.ok();
    // The longest escape is of twelve characters.
    let cut = |by: usize| read(&format!("{}\"", text.get(..text.len().checked_sub(by)?)?));
    read(text).or_else(|| (0..=12).find_map(cut)).unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests;
