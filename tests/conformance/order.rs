//! Cases about the order of time: late points, repeats, and two values for one moment.

use tidegate::batch::Batch;
use tidegate::point::Value;
use tidegate::sink::{Rejected, Scope, SinkError};

use super::database::{Database, Stored};
use super::rows::{Late, Row, SameTime};
use super::{Case, START, float};

/// Writes what the database has no use for, because of what it has.
fn write_superseded(case: &mut Case, batch: &Batch) -> Rejected {
    let error = case.write_refused(batch);
    let SinkError::Rejected(rejected) = error else { panic!("{error:?}") };
    assert!(rejected.superseded, "{rejected:?}");
    assert!(!rejected.rest_written || case.row.late().rest_is_written(), "{rejected:?}");
    rejected
}

/// A batch in any order of time: the encoder puts it into the order that Prometheus needs.
pub fn an_unsorted_batch(row: Row) {
    let mut case = Case::new("an_unsorted_batch", row);
    let id = case.id.clone();
    let times = [30, 10, 20, 0, 40];
    for at in times {
        case.add(&id, &[], &[("v", float(f64::from(at)))], i64::from(at));
    }
    let batch = case.close();
    case.write(&batch);
    let stored = |at: i32| case.sample(&[], f64::from(at), i64::from(at));
    case.assert_stored(times.map(stored).to_vec());
}

/// A sample that is older than its series' newest.
pub fn out_of_order(row: Row) {
    let mut case = Case::new("out_of_order", row);
    let newest = case.one(&[], 10.0, 60_000);
    case.write(&newest);
    let id = case.id.clone();
    // A good one before it, and one after it.
    case.add(&id, &[("other", "a")], &[("v", float(1.0))], 60_000);
    case.add(&id, &[], &[("v", float(2.0))], 0);
    case.add(&id, &[("other", "b")], &[("v", float(3.0))], 60_000);
    let late = case.close();
    let mut expected = vec![case.sample(&[], 10.0, 60_000)];
    let others = [("a", 1.0), ("b", 3.0)]
        .map(|(other, value)| case.sample(&[("other", other)], value, 60_000));
    match row.late() {
        Late::Taken => {
            case.write(&late);
            expected.push(case.sample(&[], 2.0, 0));
            case.found("taken");
        }
        Late::RolledBack => {
            case.found("refused, outside its window");
            write_superseded(&mut case, &late);
            case.assert_stored(expected.clone());
            // Without it, the rest is taken.
            case.write(&late.without(&[1]));
        }
        Late::RestWrittenUnnamed => {
            case.found("refused, outside its window");
            let rejected = write_superseded(&mut case, &late);
            assert!(rejected.rest_written, "{rejected:?}");
        }
        Late::RestWritten => {
            case.found("refused, outside its window");
            let rejected = write_superseded(&mut case, &late);
            assert!(rejected.rest_written, "{rejected:?}");
            assert!(
                matches!(&rejected.scope, Scope::Items(items) if items.len() == 1 && items[0].0 == 1),
                "{rejected:?}"
            );
        }
    }
    expected.extend(others);
    case.assert_stored(expected);
}

/// A database with a window takes what is late by less, and repeats of it; what is later it refuses.
pub fn out_of_order_with_a_window(row: Row) {
    let mut case = Case::on("out_of_order_with_a_window", Database::with_window(row));
    let minute = 60_000;
    let newest = case.one(&[], 1.0, 60 * minute);
    case.write(&newest);
    let late = case.one(&[], 2.0, 40 * minute);
    case.write(&late);
    case.write(&late);
    let too_late = case.one(&[], 3.0, 20 * minute);
    write_superseded(&mut case, &too_late);
    case.assert_stored(vec![
        case.sample(&[], 2.0, 40 * minute),
        case.sample(&[], 1.0, 60 * minute),
    ]);
}

/// Newest samples: a repeat is taken everywhere, and stored once where points have a key.
pub fn the_same_batch_twice(row: Row) {
    let mut case = Case::new("the_same_batch_twice", row);
    let id = case.id.clone();
    case.database.dedup(&id, &["device"]);
    for device in ["a", "b", "c"] {
        case.add(&id, &[("device", device)], &[("v", float(0.1)), ("w", Value::Integer(2))], 5);
    }
    let batch = case.close();
    case.write(&batch);
    case.write(&batch);
    let stored = |device| {
        [("v", float(0.1)), ("w", Value::Integer(2))]
            .map(|(field, value)| row.stored(&id, &[("device", device)], field, &value, START + 5))
    };
    let once: Vec<_> = ["a", "b", "c"].into_iter().flat_map(stored).collect();
    case.found(match row {
        Row::QuestDb => "once, with `DEDUP UPSERT KEYS`",
        Row::VictoriaMetricsByLines | Row::VictoriaMetricsByRemoteWrite => {
            "once, with `-dedup.minScrapeInterval=1ms`"
        }
        _ if row.same_time() == SameTime::Both => "each copy",
        _ => "once",
    });
    case.assert_stored(copies(row, once));
}

/// As often as two writes of each point leave it.
fn copies(row: Row, once: Vec<Stored>) -> Vec<Stored> {
    if row.same_time() == SameTime::Both { [once.clone(), once].concat() } else { once }
}

/// A series with several samples: Prometheus and its relatives refuse the repeat of all but the newest.
pub fn a_history_twice(row: Row) {
    let mut case = Case::new("a_history_twice", row);
    let id = case.id.clone();
    case.database.dedup(&id, &[]);
    for at in 0..5 {
        case.add(&id, &[], &[("v", float(0.1))], at);
    }
    let batch = case.close();
    case.write(&batch);
    if row.late() == Late::Taken {
        case.write(&batch);
    } else {
        write_superseded(&mut case, &batch);
    }
    case.assert_stored(copies(row, (0..5).map(|at| case.sample(&[], 0.1, at)).collect()));
}

/// The same series and time with another value.
pub fn another_value_at_the_same_time(row: Row) {
    let mut case = Case::new("another_value_at_the_same_time", row);
    case.database.dedup(&case.id, &[]);
    let (kept, found): ([&[f64]; 3], _) = match row.same_time() {
        SameTime::Last => ([&[5.0], &[3.0], &[9.0]], "the last"),
        SameTime::Greatest => ([&[5.0], &[5.0], &[9.0]], "the greatest"),
        SameTime::First => ([&[5.0], &[5.0], &[5.0]], "the first"),
        SameTime::Both => ([&[5.0], &[5.0, 3.0], &[5.0, 3.0, 9.0]], "both"),
    };
    case.found(found);
    for (value, kept) in [5.0, 3.0, 9.0].into_iter().zip(kept) {
        let batch = case.one(&[], value, 0);
        if row.same_time() == SameTime::First && value.to_bits() != kept[0].to_bits() {
            write_superseded(&mut case, &batch);
        } else {
            case.write(&batch);
        }
        case.assert_stored(kept.iter().map(|value| case.sample(&[], *value, 0)).collect());
    }
}

/// As above, in one batch. The encoder of remote write leaves one sample for a moment: the last.
pub fn two_values_in_one_batch(row: Row) {
    let mut case = Case::new("two_values_in_one_batch", row);
    let id = case.id.clone();
    case.database.dedup(&id, &[]);
    for value in [5.0, 9.0, 3.0] {
        case.add(&id, &[], &[("v", float(value))], 0);
    }
    case.add(&id, &[], &[("v", float(1.0))], 1);
    let batch = case.close();
    case.write(&batch);
    let kept: &[f64] = match row.same_time() {
        SameTime::Greatest if row.by_lines() => &[9.0],
        SameTime::Both => &[5.0, 9.0, 3.0],
        _ => &[3.0],
    };
    let mut expected: Vec<_> = kept.iter().map(|value| case.sample(&[], *value, 0)).collect();
    expected.push(case.sample(&[], 1.0, 1));
    case.assert_stored(expected);
}

/// Two writes with a field each, for one series and time.
pub fn fields_of_two_writes(row: Row) {
    let mut case = Case::new("fields_of_two_writes", row);
    let id = case.id.clone();
    case.database.dedup(&id, &[]);
    let fields = [("first", float(1.0)), ("second", float(2.0))];
    for field in &fields {
        case.add(&id, &[], std::slice::from_ref(field), 0);
        let batch = case.close();
        case.write(&batch);
    }
    let stored = |(field, value): &(&str, Value<'_>)| row.stored(&id, &[], field, value, START);
    if row == Row::QuestDb {
        // A row takes the place of another: so all fields of a moment belong into one record.
        case.found("the last write's only");
        case.assert_stored(vec![stored(&fields[1])]);
    } else {
        case.found(if row.is_local() { "side by side" } else { "put together" });
        case.assert_stored(fields.iter().map(stored).collect());
    }
}
