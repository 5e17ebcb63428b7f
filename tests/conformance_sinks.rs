//! The same cases over every database, through the library's public API, against the real servers, read back by each
//! database's own queries. `make conformance` runs them with servers that are started once; without those, each test
//! starts its own.
//!
//! A test is `<case>_on_<database>`. A new database is a row in `conformance/database.rs` and its tests here. Cases
//! that only one kind of database can show have no test on the others.

mod conformance;
mod stack;

use conformance::database::Row;
use conformance::{answers, data, isolation};

const INFLUX1: Row = Row::InfluxDb1;
const INFLUX: Row = Row::InfluxDb2;
const VICTORIA_LINES: Row = Row::VictoriaMetricsByLines;
const VICTORIA_WRITE: Row = Row::VictoriaMetricsByRemoteWrite;
const PROMETHEUS: Row = Row::Prometheus;
const FILE: Row = Row::FileOfLineProtocol;
const JSON: Row = Row::FileOfJsonLines;

#[test]
fn every_field_type_on_influxdb2() {
    data::every_field_type(INFLUX);
}

#[test]
fn every_field_type_on_influxdb1() {
    data::every_field_type(INFLUX1);
}

#[test]
fn every_field_type_on_victoria_metrics_by_lines() {
    data::every_field_type(VICTORIA_LINES);
}

#[test]
fn every_field_type_on_victoria_metrics_by_remote_write() {
    data::every_field_type(VICTORIA_WRITE);
}

#[test]
fn every_field_type_on_prometheus() {
    data::every_field_type(PROMETHEUS);
}

#[test]
fn extremes_of_numbers_on_influxdb2() {
    data::extremes_of_numbers(INFLUX);
}

#[test]
fn extremes_of_numbers_on_influxdb1() {
    data::extremes_of_numbers(INFLUX1);
}

#[test]
fn extremes_of_numbers_on_victoria_metrics_by_lines() {
    data::extremes_of_numbers(VICTORIA_LINES);
}

#[test]
fn extremes_of_numbers_on_victoria_metrics_by_remote_write() {
    data::extremes_of_numbers(VICTORIA_WRITE);
}

#[test]
fn extremes_of_numbers_on_prometheus() {
    data::extremes_of_numbers(PROMETHEUS);
}

#[test]
fn unicode_and_escapes_on_influxdb2() {
    data::unicode_and_escapes(INFLUX);
}

#[test]
fn unicode_and_escapes_on_influxdb1() {
    data::unicode_and_escapes(INFLUX1);
}

#[test]
fn unicode_and_escapes_on_victoria_metrics_by_lines() {
    data::unicode_and_escapes(VICTORIA_LINES);
}

#[test]
fn unicode_and_escapes_on_victoria_metrics_by_remote_write() {
    data::unicode_and_escapes(VICTORIA_WRITE);
}

#[test]
fn unicode_and_escapes_on_prometheus() {
    data::unicode_and_escapes(PROMETHEUS);
}

#[test]
fn newline_injection_on_influxdb2() {
    data::newline_injection(INFLUX);
}

#[test]
fn newline_injection_on_influxdb1() {
    data::newline_injection(INFLUX1);
}

#[test]
fn newline_injection_on_victoria_metrics_by_lines() {
    data::newline_injection(VICTORIA_LINES);
}

#[test]
fn newline_injection_on_victoria_metrics_by_remote_write() {
    data::newline_injection(VICTORIA_WRITE);
}

#[test]
fn newline_injection_on_prometheus() {
    data::newline_injection(PROMETHEUS);
}

#[test]
fn newline_in_a_string_on_influxdb2() {
    data::newline_in_a_string(INFLUX);
}

#[test]
fn newline_in_a_string_on_influxdb1() {
    data::newline_in_a_string(INFLUX1);
}

#[test]
fn newline_in_a_string_on_victoria_metrics_by_lines() {
    data::newline_in_a_string(VICTORIA_LINES);
}

#[test]
fn the_longest_texts_on_influxdb2() {
    data::the_longest_texts(INFLUX);
}

#[test]
fn the_longest_texts_on_influxdb1() {
    data::the_longest_texts(INFLUX1);
}

#[test]
fn the_first_and_the_last_moment_on_influxdb2() {
    data::the_first_and_the_last_moment(INFLUX);
}

#[test]
fn an_empty_tag_on_influxdb2() {
    data::an_empty_tag(INFLUX);
}

#[test]
fn an_empty_tag_on_influxdb1() {
    data::an_empty_tag(INFLUX1);
}

#[test]
fn an_empty_tag_on_victoria_metrics_by_lines() {
    data::an_empty_tag(VICTORIA_LINES);
}

#[test]
fn an_empty_tag_on_victoria_metrics_by_remote_write() {
    data::an_empty_tag(VICTORIA_WRITE);
}

#[test]
fn an_empty_tag_on_prometheus() {
    data::an_empty_tag(PROMETHEUS);
}

#[test]
fn every_precision_on_influxdb2() {
    data::every_precision(INFLUX);
}

#[test]
fn every_precision_on_influxdb1() {
    data::every_precision(INFLUX1);
}

#[test]
fn every_precision_on_victoria_metrics_by_lines() {
    data::every_precision(VICTORIA_LINES);
}

#[test]
fn ten_thousand_points_gzip_on_influxdb2() {
    data::ten_thousand_points("ten_thousand_points_gzip", INFLUX, true);
}

#[test]
fn ten_thousand_points_gzip_on_influxdb1() {
    data::ten_thousand_points("ten_thousand_points_gzip", INFLUX1, true);
}

#[test]
fn ten_thousand_points_gzip_on_victoria_metrics_by_lines() {
    data::ten_thousand_points("ten_thousand_points_gzip", VICTORIA_LINES, true);
}

#[test]
fn ten_thousand_points_plain_on_influxdb2() {
    data::ten_thousand_points("ten_thousand_points_plain", INFLUX, false);
}

#[test]
fn ten_thousand_points_plain_on_influxdb1() {
    data::ten_thousand_points("ten_thousand_points_plain", INFLUX1, false);
}

#[test]
fn ten_thousand_points_plain_on_victoria_metrics_by_lines() {
    data::ten_thousand_points("ten_thousand_points_plain", VICTORIA_LINES, false);
}

#[test]
fn ten_thousand_points_snappy_on_victoria_metrics_by_remote_write() {
    data::ten_thousand_points("ten_thousand_points_snappy", VICTORIA_WRITE, false);
}

#[test]
fn ten_thousand_points_snappy_on_prometheus() {
    data::ten_thousand_points("ten_thousand_points_snappy", PROMETHEUS, false);
}

#[test]
fn the_same_batch_twice_on_influxdb2() {
    data::the_same_batch_twice(INFLUX);
}

#[test]
fn the_same_batch_twice_on_influxdb1() {
    data::the_same_batch_twice(INFLUX1);
}

#[test]
fn the_same_batch_twice_on_victoria_metrics_by_lines() {
    data::the_same_batch_twice(VICTORIA_LINES);
}

#[test]
fn the_same_batch_twice_on_victoria_metrics_by_remote_write() {
    data::the_same_batch_twice(VICTORIA_WRITE);
}

#[test]
fn the_same_batch_twice_on_prometheus() {
    data::the_same_batch_twice(PROMETHEUS);
}

#[test]
fn a_history_twice_on_influxdb2() {
    data::a_history_twice(INFLUX);
}

#[test]
fn a_history_twice_on_influxdb1() {
    data::a_history_twice(INFLUX1);
}

#[test]
fn a_history_twice_on_victoria_metrics_by_lines() {
    data::a_history_twice(VICTORIA_LINES);
}

#[test]
fn a_history_twice_on_victoria_metrics_by_remote_write() {
    data::a_history_twice(VICTORIA_WRITE);
}

#[test]
fn a_history_twice_on_prometheus() {
    data::a_history_twice(PROMETHEUS);
}

#[test]
fn another_value_at_the_same_time_on_influxdb2() {
    data::another_value_at_the_same_time(INFLUX);
}

#[test]
fn another_value_at_the_same_time_on_influxdb1() {
    data::another_value_at_the_same_time(INFLUX1);
}

#[test]
fn another_value_at_the_same_time_on_victoria_metrics_by_lines() {
    data::another_value_at_the_same_time(VICTORIA_LINES);
}

#[test]
fn another_value_at_the_same_time_on_victoria_metrics_by_remote_write() {
    data::another_value_at_the_same_time(VICTORIA_WRITE);
}

#[test]
fn another_value_at_the_same_time_on_prometheus() {
    data::another_value_at_the_same_time(PROMETHEUS);
}

#[test]
fn two_values_in_one_batch_on_influxdb2() {
    data::two_values_in_one_batch(INFLUX);
}

#[test]
fn two_values_in_one_batch_on_influxdb1() {
    data::two_values_in_one_batch(INFLUX1);
}

#[test]
fn two_values_in_one_batch_on_victoria_metrics_by_lines() {
    data::two_values_in_one_batch(VICTORIA_LINES);
}

#[test]
fn two_values_in_one_batch_on_victoria_metrics_by_remote_write() {
    data::two_values_in_one_batch(VICTORIA_WRITE);
}

#[test]
fn two_values_in_one_batch_on_prometheus() {
    data::two_values_in_one_batch(PROMETHEUS);
}

#[test]
fn fields_of_two_writes_on_influxdb2() {
    data::fields_of_two_writes(INFLUX);
}

#[test]
fn fields_of_two_writes_on_influxdb1() {
    data::fields_of_two_writes(INFLUX1);
}

#[test]
fn an_unsorted_batch_on_influxdb2() {
    data::an_unsorted_batch(INFLUX);
}

#[test]
fn an_unsorted_batch_on_influxdb1() {
    data::an_unsorted_batch(INFLUX1);
}

#[test]
fn an_unsorted_batch_on_victoria_metrics_by_lines() {
    data::an_unsorted_batch(VICTORIA_LINES);
}

#[test]
fn an_unsorted_batch_on_victoria_metrics_by_remote_write() {
    data::an_unsorted_batch(VICTORIA_WRITE);
}

#[test]
fn an_unsorted_batch_on_prometheus() {
    data::an_unsorted_batch(PROMETHEUS);
}

#[test]
fn out_of_order_on_influxdb2() {
    data::out_of_order(INFLUX);
}

#[test]
fn out_of_order_on_influxdb1() {
    data::out_of_order(INFLUX1);
}

#[test]
fn out_of_order_on_victoria_metrics_by_lines() {
    data::out_of_order(VICTORIA_LINES);
}

#[test]
fn out_of_order_on_victoria_metrics_by_remote_write() {
    data::out_of_order(VICTORIA_WRITE);
}

#[test]
fn out_of_order_on_prometheus() {
    data::out_of_order(PROMETHEUS);
}

#[test]
fn out_of_order_with_a_window_on_prometheus() {
    data::out_of_order_with_a_window();
}

#[test]
fn partial_rejection_on_influxdb2() {
    answers::partial_rejection(INFLUX);
}

#[test]
fn partial_rejection_on_influxdb1() {
    answers::partial_rejection(INFLUX1);
}

#[test]
fn a_wrong_token_on_influxdb2() {
    answers::a_wrong_token(INFLUX);
}

#[test]
fn a_wrong_token_on_influxdb1() {
    answers::a_wrong_token(INFLUX1);
}

#[test]
fn a_missing_bucket_on_influxdb2() {
    answers::a_missing_bucket(INFLUX);
}

#[test]
fn a_missing_bucket_on_influxdb1() {
    answers::a_missing_bucket(INFLUX1);
}

#[test]
fn a_missing_organisation_on_influxdb2() {
    answers::a_missing_organisation(INFLUX);
}

#[test]
fn a_wrong_path_on_influxdb2() {
    answers::a_wrong_path(INFLUX);
}

#[test]
fn a_wrong_path_on_influxdb1() {
    answers::a_wrong_path(INFLUX1);
}

#[test]
fn a_wrong_path_on_victoria_metrics_by_lines() {
    answers::a_wrong_path(VICTORIA_LINES);
}

#[test]
fn a_wrong_path_on_victoria_metrics_by_remote_write() {
    answers::a_wrong_path(VICTORIA_WRITE);
}

#[test]
fn a_wrong_path_on_prometheus() {
    answers::a_wrong_path(PROMETHEUS);
}

#[test]
fn a_killed_server_on_influxdb2() {
    answers::a_killed_server(INFLUX);
}

#[test]
fn a_killed_server_on_influxdb1() {
    answers::a_killed_server(INFLUX1);
}

#[test]
fn a_killed_server_on_victoria_metrics_by_lines() {
    answers::a_killed_server(VICTORIA_LINES);
}

#[test]
fn a_killed_server_on_victoria_metrics_by_remote_write() {
    answers::a_killed_server(VICTORIA_WRITE);
}

#[test]
fn a_killed_server_on_prometheus() {
    answers::a_killed_server(PROMETHEUS);
}

#[test]
fn a_frozen_server_on_influxdb2() {
    answers::a_frozen_server(INFLUX);
}

#[test]
fn a_frozen_server_on_influxdb1() {
    answers::a_frozen_server(INFLUX1);
}

#[test]
fn a_frozen_server_on_victoria_metrics_by_lines() {
    answers::a_frozen_server(VICTORIA_LINES);
}

#[test]
fn a_frozen_server_on_victoria_metrics_by_remote_write() {
    answers::a_frozen_server(VICTORIA_WRITE);
}

#[test]
fn a_frozen_server_on_prometheus() {
    answers::a_frozen_server(PROMETHEUS);
}

#[test]
fn conflicting_types_on_influxdb1() {
    isolation::conflicting_types(INFLUX1);
}

#[test]
fn conflicting_types_on_influxdb2() {
    isolation::conflicting_types(INFLUX);
}

#[test]
fn outside_the_retention_on_influxdb1() {
    isolation::outside_the_retention(INFLUX1);
}

#[test]
fn outside_the_retention_on_influxdb2() {
    isolation::outside_the_retention(INFLUX);
}

#[test]
fn broken_lines_on_influxdb1() {
    isolation::broken_lines(INFLUX1);
}

#[test]
fn broken_lines_on_influxdb2() {
    isolation::broken_lines(INFLUX);
}

#[test]
fn broken_lines_on_victoria_metrics_by_lines() {
    isolation::broken_lines(VICTORIA_LINES);
}

#[test]
fn superseded_samples_on_prometheus() {
    isolation::superseded_samples();
}

#[test]
fn a_check_on_influxdb1() {
    answers::a_check(INFLUX1);
}

#[test]
fn a_check_on_influxdb2() {
    answers::a_check(INFLUX);
}

#[test]
fn a_check_on_victoria_metrics_by_lines() {
    answers::a_check(VICTORIA_LINES);
}

#[test]
fn a_check_on_victoria_metrics_by_remote_write() {
    answers::a_check(VICTORIA_WRITE);
}

#[test]
fn a_check_on_prometheus() {
    answers::a_check(PROMETHEUS);
}

#[test]
fn every_field_type_on_a_file_of_line_protocol() {
    data::every_field_type(FILE);
}

#[test]
fn every_field_type_on_a_file_of_json_lines() {
    data::every_field_type(JSON);
}

#[test]
fn extremes_of_numbers_on_a_file_of_line_protocol() {
    data::extremes_of_numbers(FILE);
}

#[test]
fn extremes_of_numbers_on_a_file_of_json_lines() {
    data::extremes_of_numbers(JSON);
}

#[test]
fn unicode_and_escapes_on_a_file_of_line_protocol() {
    data::unicode_and_escapes(FILE);
}

#[test]
fn unicode_and_escapes_on_a_file_of_json_lines() {
    data::unicode_and_escapes(JSON);
}

#[test]
fn an_empty_tag_on_a_file_of_line_protocol() {
    data::an_empty_tag(FILE);
}

#[test]
fn an_empty_tag_on_a_file_of_json_lines() {
    data::an_empty_tag(JSON);
}

#[test]
fn the_longest_texts_on_a_file_of_line_protocol() {
    data::the_longest_texts(FILE);
}

#[test]
fn a_check_on_a_file_of_line_protocol() {
    answers::a_check(FILE);
}

#[test]
fn a_check_on_a_file_of_json_lines() {
    answers::a_check(JSON);
}
