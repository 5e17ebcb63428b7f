//! Cases about writes that are not acknowledged: what the error says to do, and that doing it works.

use std::time::{Duration, Instant};

use tidegate::check::State;
use tidegate::config::{self, InfluxApi};
use tidegate::point::Value;
use tidegate::sink::SinkError;

use super::database::{Database, Row, with_login, with_token};
use super::{Case, float};
use crate::stack::InfluxDb2;

/// One point has another type for its field than the database has: the others are written.
pub fn partial_rejection(row: Row) {
    let mut case = Case::new("partial_rejection", row);
    let id = case.id.clone();
    case.add(&id, &[], &[("v", float(1.0))], 0);
    let batch = case.close();
    case.write(&batch);
    case.add(&id, &[("good", "a")], &[("v", float(2.0))], 1);
    case.add(&id, &[("bad", "a")], &[("v", Value::Boolean(true))], 2);
    case.add(&id, &[("good", "b")], &[("v", float(3.0))], 3);
    let batch = case.close();
    let error = case.write_refused(&batch);
    assert!(
        matches!(&error, SinkError::Rejected(r) if r.rest_written && !r.superseded),
        "{error:?}"
    );
    case.assert_stored(vec![
        case.sample(&[], 1.0, 0),
        case.sample(&[("good", "a")], 2.0, 1),
        case.sample(&[("good", "b")], 3.0, 3),
    ]);
    // Narrowing down writes the good ones again, and meets the bad one alone.
    let error = case.write_refused(&batch.slice(1..2));
    assert!(matches!(&error, SinkError::Rejected(_)), "{error:?}");
    case.write(&batch.slice(2..3));
}

pub fn a_wrong_token(row: Row) {
    let mut case = Case::new("a_wrong_token", row);
    let good = case.database.lines();
    let batch = case.one(&[], 1.0, 0);
    let login = if row == Row::InfluxDb1 { with_login } else { with_token };
    for token in [Some("not-the-token"), None] {
        let http = token.map(login).unwrap_or_default();
        case.use_config(&config::Sink::InfluxDb(config::InfluxDb { http, ..good.clone() }));
        let error = case.write_refused(&batch);
        assert!(matches!(error, SinkError::Misconfigured { .. }), "{error:?}");
        assert!(!format!("{error:?}").contains("not-the-token"), "a token in {error:?}");
    }
    case.assert_stored(Vec::new());
    case.use_config(&config::Sink::InfluxDb(good));
    case.write(&batch);
    case.assert_stored(vec![case.sample(&[], 1.0, 0)]);
}

pub fn a_missing_bucket(row: Row) {
    let mut case = Case::new("a_missing_bucket", row);
    let api = case.database.api_of(&case.id);
    let config = config::InfluxDb { api, ..case.database.lines() };
    case.use_config(&config::Sink::InfluxDb(config));
    let batch = case.one(&[], 1.0, 0);
    let error = case.write_refused(&batch);
    assert!(matches!(error, SinkError::Misconfigured { .. }), "{error:?}");
    case.database.create_bucket(&case.id, None);
    case.write(&batch);
    let stored = case.database.read_bucket(&case.id, &case.id);
    assert_eq!(stored, [case.sample(&[], 1.0, 0)], "in the new bucket");
}

pub fn a_missing_organisation(row: Row) {
    let mut case = Case::new("a_missing_organisation", row);
    let (org, bucket) = (case.id.clone(), InfluxDb2::BUCKET.to_owned());
    let api = InfluxApi::V2 { org, bucket };
    let config = config::InfluxDb { api, ..case.database.lines() };
    case.use_config(&config::Sink::InfluxDb(config));
    let batch = case.one(&[], 1.0, 0);
    let error = case.write_refused(&batch);
    assert!(matches!(error, SinkError::Misconfigured { .. }), "{error:?}");
    case.assert_stored(Vec::new());
}

/// An address of the right server that is no route for writes: a person's mistake, and no fault of the points.
pub fn a_wrong_path(row: Row) {
    let mut case = Case::new("a_wrong_path", row);
    let good = case.database.config();
    let mut wrong = good.clone();
    match &mut wrong {
        config::Sink::InfluxDb(config) => config.url.push_str("/wrong"),
        config::Sink::Prometheus(config) => config.url.push_str("/wrong"),
        _ => panic!("{row:?} has no address"),
    }
    case.use_config(&wrong);
    let batch = case.one(&[], 1.0, 0);
    let error = case.write_refused(&batch);
    assert!(matches!(error, SinkError::Misconfigured { .. }), "{error:?}");
    case.assert_stored(Vec::new());
    case.use_config(&good);
    case.write(&batch);
    case.assert_stored(vec![case.sample(&[], 1.0, 0)]);
}

/// A server that was killed: the same batch succeeds after its restart. What was acknowledged before is still there,
/// except in VictoriaMetrics, which acknowledges from memory.
pub fn a_killed_server(row: Row) {
    let mut case = Case::on("a_killed_server", Database::own(row));
    let before = case.one(&[("written", "before")], 1.0, 0);
    case.write(&before);
    case.database.kill();
    let after = case.one(&[("written", "after")], 2.0, 1000);
    // A kept connection may look alive until it is used, which tells nothing of what the server has taken.
    let error = case.write_refused(&after);
    assert!(matches!(error, SinkError::Unavailable { .. }), "{error:?}");
    let error = case.write_refused(&after);
    assert!(
        matches!(error, SinkError::Unavailable { perhaps_stored: false, .. }),
        "nobody listens, so nothing is stored: {error:?}"
    );
    case.database.restart();
    case.write(&after);
    let mut expected = vec![case.sample(&[("written", "after")], 2.0, 1000)];
    if row.is_influx() || row == Row::Prometheus {
        expected.push(case.sample(&[("written", "before")], 1.0, 0));
        case.assert_stored(expected);
    } else {
        let mut stored = case.database.read(&case.id);
        let lost = !stored.iter().any(|sample| sample.tags["written"] == "before");
        case.note(format!("killed at once after a 204: lost = {lost}"));
        stored.retain(|sample| sample.tags["written"] == "after");
        assert_eq!(stored, expected);
    }
}

/// A server that does not answer: whether it has taken the points is unknown, and the same batch is stored once.
pub fn a_frozen_server(row: Row) {
    let mut case = Case::on("a_frozen_server", Database::own(row));
    let config = case.database.config();
    case.use_config_within(&config, Duration::from_secs(1));
    case.database.freeze();
    let batch = case.one(&[], 1.0, 0);
    let started = Instant::now();
    let error = case.write_refused(&batch);
    assert!(started.elapsed() < Duration::from_secs(5), "after {:?}", started.elapsed());
    assert!(matches!(error, SinkError::Unavailable { perhaps_stored: true, .. }), "{error:?}");
    case.database.thaw();
    case.use_config(&config);
    case.write(&batch);
    case.assert_stored(vec![case.sample(&[], 1.0, 0)]);
}

/// A write of nothing is taken, stores nothing, and tells a wrong login from a wrong place.
pub fn a_check(row: Row) {
    let mut case = Case::new("a_check", row);
    let state = |case: &Case, item: &str| {
        let findings = case.check();
        let finding = findings.iter().find(|finding| finding.item == item);
        finding.unwrap_or_else(|| panic!("{item} is not in {findings:?}")).state
    };
    assert!(case.check().iter().all(|finding| finding.state == State::Ok), "{:?}", case.check());
    case.assert_stored(Vec::new());
    if row.is_influx() {
        let good = case.database.lines();
        let login = if row == Row::InfluxDb1 { with_login } else { with_token };
        for http in [login("not-the-token"), config::Http::default()] {
            case.use_config(&config::Sink::InfluxDb(config::InfluxDb { http, ..good.clone() }));
            assert_eq!(state(&case, "login"), State::Failed);
            assert_eq!(state(&case, "database"), State::Ok);
            assert_eq!(state(&case, "write"), State::Unknown);
        }
        let api = case.database.api_of(&case.id);
        let place = match &api {
            InfluxApi::V2 { org, bucket } => format!("bucket {bucket} of {org}"),
            InfluxApi::V1 { database, .. } | InfluxApi::V3 { database, .. } => {
                format!("database {database}")
            }
        };
        case.use_config(&config::Sink::InfluxDb(config::InfluxDb { api, ..good.clone() }));
        assert_eq!(state(&case, &place), State::Failed);
        assert_eq!(state(&case, "login"), State::Ok);
        if let InfluxApi::V2 { bucket, .. } = good.api.clone() {
            let api = InfluxApi::V2 { org: case.id.clone(), bucket: bucket.clone() };
            case.use_config(&config::Sink::InfluxDb(config::InfluxDb { api, ..good }));
            let place = format!("bucket {bucket} of {}", case.id);
            assert_eq!(state(&case, &place), State::Failed);
        }
    } else if !row.by_lines() {
        let url = format!("{}/api/v1/no-such-path", case.database.url());
        case.use_config(&config::Sink::Prometheus(config::Prometheus::at(url)));
        assert_eq!(state(&case, "receiver"), State::Failed);
        assert_eq!(state(&case, "database"), State::Ok);
    }
}
