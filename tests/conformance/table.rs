//! The cases: each runs on every row, or is not applicable to it for a reason.

use super::rows::{Late, Row};
use super::{answers, data, isolation, order};

pub struct Case {
    pub name: &'static str,
    pub run: fn(Row),
    /// Why it has no meaning for a row, if it has none.
    pub not_applicable: fn(Row) -> Option<&'static str>,
}

const KEEPS_NOTHING: &str = "keeps nothing that could be read back";
const NO_SERVER: &str = "is no server";
const NO_STRINGS: &str = "remote write carries no strings";
const NO_LOGIN: &str = "it has none, and leaves them to a proxy before it";
const FAKE_PROCESS: &str = "the fake has no process of its own";

const fn case(
    name: &'static str,
    run: fn(Row),
    not_applicable: fn(Row) -> Option<&'static str>,
) -> Case {
    Case { name, run, not_applicable }
}

pub const CASES: [Case; 33] = [
    case("every_field_type", data::every_field_type, kept),
    case("extremes_of_numbers", data::extremes_of_numbers, kept),
    case("unicode_and_escapes", data::unicode_and_escapes, kept),
    case("newline_injection", data::newline_injection, kept),
    case("newline_in_a_string", data::newline_in_a_string, strings),
    case("the_longest_texts", data::the_longest_texts, strings),
    case("an_empty_tag", data::an_empty_tag, kept),
    case("duplicate_tags", data::duplicate_tags, kept),
    case("the_first_and_the_last_moment", data::the_first_and_the_last_moment, all_times),
    case("every_precision", data::every_precision, precisions),
    case("ten_thousand_points", data::ten_thousand_points, |_| None),
    case("ten_thousand_points_uncompressed", data::ten_thousand_points_uncompressed, precisions),
    case("an_unsorted_batch", order::an_unsorted_batch, kept),
    case("out_of_order", order::out_of_order, kept),
    case("out_of_order_with_a_window", order::out_of_order_with_a_window, windows),
    case("the_same_batch_twice", order::the_same_batch_twice, kept),
    case("a_history_twice", order::a_history_twice, kept),
    case("another_value_at_the_same_time", order::another_value_at_the_same_time, kept),
    case("two_values_in_one_batch", order::two_values_in_one_batch, kept),
    case("fields_of_two_writes", order::fields_of_two_writes, fields),
    case("conflicting_types", isolation::conflicting_types, types),
    case("broken_lines", isolation::broken_lines, lines),
    case("too_large", isolation::too_large, limits),
    case("outside_the_retention", isolation::outside_the_retention, retention),
    case("superseded_samples", isolation::superseded_samples, superseded),
    case("a_wrong_login", answers::a_wrong_login, logins),
    case("a_missing_database", answers::a_missing_database, databases),
    case("a_missing_tenant", answers::a_missing_tenant, tenants),
    case("a_wrong_path", answers::a_wrong_path, servers),
    case("a_killed_server", answers::a_killed_server, processes),
    case("a_frozen_server", answers::a_frozen_server, processes),
    case("a_restart_in_mid_write", isolation::a_restart_in_mid_write, processes),
    case("a_check", answers::a_check, |_| None),
];

fn kept(row: Row) -> Option<&'static str> {
    (row == Row::Blackhole).then_some(KEEPS_NOTHING)
}

fn strings(row: Row) -> Option<&'static str> {
    if row.by_lines() { kept(row) } else { Some(NO_STRINGS) }
}

fn servers(row: Row) -> Option<&'static str> {
    row.is_local().then_some(NO_SERVER)
}

fn processes(row: Row) -> Option<&'static str> {
    if row.fake().is_some() { Some(FAKE_PROCESS) } else { servers(row) }
}

/// Of those that are written by line protocol over HTTP.
fn lines(row: Row) -> Option<&'static str> {
    if row.by_lines() { servers(row) } else { Some("its protocol has no lines") }
}

fn precisions(row: Row) -> Option<&'static str> {
    if row.by_lines() {
        servers(row)
    } else {
        Some("remote write has milliseconds only, and snappy always")
    }
}

fn all_times(row: Row) -> Option<&'static str> {
    if row.has_fields() {
        return kept(row);
    }
    Some("it keeps milliseconds of the years around the present")
}

fn windows(row: Row) -> Option<&'static str> {
    (row.late() == Late::Taken).then_some("it takes late points without a window")
}

fn superseded(row: Row) -> Option<&'static str> {
    (row.late() == Late::Taken).then_some("no stored point stands in the way of another")
}

fn fields(row: Row) -> Option<&'static str> {
    if row.has_fields() { kept(row) } else { Some("each field is a series of its own") }
}

fn types(row: Row) -> Option<&'static str> {
    if row.has_fields() { servers(row) } else { Some("it has numbers only") }
}

fn retention(row: Row) -> Option<&'static str> {
    match row {
        Row::InfluxDb1 | Row::InfluxDb2 => None,
        _ => servers(row).or(Some("it has no such limit here")),
    }
}

fn limits(row: Row) -> Option<&'static str> {
    match row {
        Row::InfluxDb2 | Row::Prometheus | Row::Prometheus3 | Row::Prometheus3ByVersion2 => {
            Some("it has no limit that can be set")
        }
        _ => servers(row),
    }
}

fn logins(row: Row) -> Option<&'static str> {
    match row {
        Row::Mimir | Row::Cortex | Row::Thanos => Some(NO_LOGIN),
        _ => servers(row),
    }
}

fn databases(row: Row) -> Option<&'static str> {
    match row {
        Row::InfluxDb1 | Row::InfluxDb2 => None,
        Row::InfluxDb3 => Some("a database is made by the first write to it"),
        Row::GreptimeDb => Some("the fake has one database"),
        _ => servers(row).or(Some("it has no databases that could be missing")),
    }
}

fn tenants(row: Row) -> Option<&'static str> {
    match row {
        Row::Mimir | Row::Cortex => None,
        Row::Thanos => Some("a write without one is its default tenant's"),
        _ => servers(row).or(Some("it has no tenants")),
    }
}
