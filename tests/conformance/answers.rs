//! Cases about writes that are not acknowledged: what the error says to do, and that doing it works.

use std::time::{Duration, Instant};

use tidegate::check::State;
use tidegate::config::{self, InfluxApi};
use tidegate::sink::SinkError;

use super::Case;
use super::database::Database;
use super::rows::{Row, SameTime};

/// The write is refused until a person mends something; nothing is rejected.
fn write_misconfigured(case: &mut Case, batch: &tidegate::batch::Batch) {
    let error = case.write_refused(batch);
    assert!(matches!(error, SinkError::Misconfigured { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("not-the-token"), "a secret in {error:?}");
}

pub fn a_wrong_login(row: Row) {
    let mut case = Case::on("a_wrong_login", Database::with_login(row));
    let good = case.database.config();
    let batch = case.one(&[], 1.0, 0);
    case.found("waits for the right one");
    for wrong in [case.database.login(Some("not-the-token")), config::Http::default()] {
        let mut config = good.clone();
        match &mut config {
            config::Sink::InfluxDb(config) => config.http = wrong,
            config::Sink::Prometheus(config) => config.http = wrong,
            _ => panic!("{row:?} has no login"),
        }
        case.use_config(&config);
        write_misconfigured(&mut case, &batch);
    }
    case.assert_stored(Vec::new());
    case.use_config(&good);
    case.write(&batch);
    case.assert_stored(vec![case.sample(&[], 1.0, 0)]);
}

/// A bucket or database that is not there, and then is; and InfluxDB 2's organisation.
pub fn a_missing_database(row: Row) {
    let mut case = Case::new("a_missing_database", row);
    let batch = case.one(&[], 1.0, 0);
    let good = case.database.lines();
    case.found("waits until it is there");
    if let InfluxApi::V2 { bucket, .. } = good.api.clone() {
        let api = InfluxApi::V2 { org: case.id.clone(), bucket };
        case.use_config(&config::Sink::InfluxDb(config::InfluxDb { api, ..good.clone() }));
        write_misconfigured(&mut case, &batch);
        case.assert_stored(Vec::new());
    }
    let api = case.database.api_of(&case.id);
    case.use_config(&config::Sink::InfluxDb(config::InfluxDb { api, ..good }));
    write_misconfigured(&mut case, &batch);
    case.database.create_bucket(&case.id, None);
    case.write(&batch);
    let stored = case.database.read_bucket(&case.id, &case.id);
    assert_eq!(stored, [case.sample(&[], 1.0, 0)], "in the new one");
}

/// Mimir and Cortex without the header that names a tenant, and with another's name.
pub fn a_missing_tenant(row: Row) {
    let mut case = Case::new("a_missing_tenant", row);
    let good = case.database.remote_write();
    let batch = case.one(&[], 1.0, 0);
    case.found("waits for one");
    let mut nobody = good.clone();
    nobody.http.headers.clear();
    case.use_config(&config::Sink::Prometheus(nobody));
    write_misconfigured(&mut case, &batch);
    let mut other = good.clone();
    other.http.headers = case.database.tenant_header("somebody-else");
    case.use_config(&config::Sink::Prometheus(other));
    case.write(&batch);
    case.assert_stored(Vec::new());
    case.use_config(&config::Sink::Prometheus(good));
    case.write(&batch);
    case.assert_stored(vec![case.sample(&[], 1.0, 0)]);
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
    write_misconfigured(&mut case, &batch);
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
    case.database.process().kill();
    let after = case.one(&[("written", "after")], 2.0, 1000);
    // A kept connection may look alive until it is used, which tells nothing of what the server has taken.
    let error = case.write_refused(&after);
    assert!(matches!(error, SinkError::Unavailable { .. }), "{error:?}");
    let error = case.write_refused(&after);
    assert!(
        matches!(error, SinkError::Unavailable { perhaps_stored: false, .. }),
        "nobody listens, so nothing is stored: {error:?}"
    );
    case.database.process().restart();
    case.write(&after);
    let mut expected = vec![case.sample(&[("written", "after")], 2.0, 1000)];
    if row.same_time() == SameTime::Greatest {
        case.found("the last 5 seconds may be lost");
        let mut stored = case.database.read(&case.id);
        let lost = !stored.iter().any(|sample| sample.tags["written"] == "before");
        case.note(format!("killed at once after a 204: lost = {lost}"));
        stored.retain(|sample| sample.tags["written"] == "after");
        assert_eq!(stored, expected);
    } else {
        case.found("all is there");
        expected.push(case.sample(&[("written", "before")], 1.0, 0));
        case.assert_stored(expected);
    }
}

/// A server that does not answer: whether it has taken the points is unknown, and the same batch is stored once.
pub fn a_frozen_server(row: Row) {
    let mut case = Case::on("a_frozen_server", Database::own(row));
    case.database.dedup(&case.id, &[]);
    let config = case.database.config();
    case.use_config_within(&config, Duration::from_secs(1));
    case.database.process().freeze();
    let batch = case.one(&[], 1.0, 0);
    let started = Instant::now();
    let error = case.write_refused(&batch);
    assert!(started.elapsed() < Duration::from_secs(5), "after {:?}", started.elapsed());
    assert!(matches!(error, SinkError::Unavailable { perhaps_stored: true, .. }), "{error:?}");
    case.database.process().thaw();
    case.use_config(&config);
    case.write(&batch);
    case.assert_stored(vec![case.sample(&[], 1.0, 0)]);
}

/// The state of one item of a check.
fn state(case: &Case, item: &str) -> State {
    let findings = case.check();
    let finding = findings.iter().find(|finding| finding.item == item);
    finding.unwrap_or_else(|| panic!("{item} is not in {findings:?}")).state
}

/// A write of nothing is taken, stores nothing, and tells a wrong login from a wrong place.
pub fn a_check(row: Row) {
    let mut case = Case::new("a_check", row);
    assert!(case.check().iter().all(|finding| finding.state == State::Ok), "{:?}", case.check());
    case.assert_stored(Vec::new());
    if matches!(row, Row::InfluxDb1 | Row::InfluxDb2 | Row::InfluxDb3 | Row::QuestDb) {
        check_login(&mut case);
    }
    if matches!(row, Row::InfluxDb1 | Row::InfluxDb2) {
        check_place(&mut case);
    }
    if !row.by_lines() {
        let mut config = case.database.remote_write();
        config.url = format!("{}/api/v1/no-such-path", case.database.url());
        case.use_config(&config::Sink::Prometheus(config));
        assert_eq!(state(&case, "receiver"), State::Failed);
        assert_eq!(state(&case, "database"), State::Ok);
    }
}

fn check_login(case: &mut Case) {
    let good = case.database.lines();
    for http in [case.database.login(Some("not-the-token")), config::Http::default()] {
        case.use_config(&config::Sink::InfluxDb(config::InfluxDb { http, ..good.clone() }));
        assert_eq!(state(case, "login"), State::Failed);
        assert_eq!(state(case, "database"), State::Ok);
        assert_eq!(state(case, "write"), State::Unknown);
    }
}

fn check_place(case: &mut Case) {
    let good = case.database.lines();
    let api = case.database.api_of(&case.id);
    let place = match &api {
        InfluxApi::V2 { org, bucket } => format!("bucket {bucket} of {org}"),
        InfluxApi::V1 { database, .. } | InfluxApi::V3 { database, .. } => {
            format!("database {database}")
        }
    };
    case.use_config(&config::Sink::InfluxDb(config::InfluxDb { api, ..good.clone() }));
    assert_eq!(state(case, &place), State::Failed);
    assert_eq!(state(case, "login"), State::Ok);
    if let InfluxApi::V2 { bucket, .. } = good.api.clone() {
        let api = InfluxApi::V2 { org: case.id.clone(), bucket: bucket.clone() };
        case.use_config(&config::Sink::InfluxDb(config::InfluxDb { api, ..good }));
        let place = format!("bucket {bucket} of {}", case.id);
        assert_eq!(state(case, &place), State::Failed);
    }
}
