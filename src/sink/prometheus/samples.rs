//! Which of a batch's samples a database means.

use std::collections::HashMap;

use crate::batch::Batch;
use crate::encode::remote_write::read;
use crate::sink::go_text::unquote;

/// Names and values, sorted.
pub(super) type Labels = Vec<(Vec<u8>, Vec<u8>)>;

/// The items of each series, each in the order of time; the series in the order in which they come.
pub(super) fn by_series(batch: &Batch) -> Option<Vec<Vec<usize>>> {
    let mut places = HashMap::new();
    let mut series: Vec<Vec<(i64, usize)>> = Vec::new();
    for item in 0..batch.len() {
        let (labels, timestamp) = read::sample(batch.item(item))?;
        let place = *places.entry(labels).or_insert(series.len());
        if place == series.len() {
            series.push(Vec::new());
        }
        series[place].push((timestamp, item));
    }
    let in_order = |mut samples: Vec<(i64, usize)>| {
        samples.sort_unstable();
        samples.into_iter().map(|(_, item)| item).collect()
    };
    Some(series.into_iter().map(in_order).collect())
}

/// The sample that stands in a text of Mimir (`sampleError` in its `pkg/ingester/errors.go`) or of
/// Cortex (`errTSDBIngest`).
pub(super) fn named(text: &str, batch: &Batch) -> Option<usize> {
    let mimir = ("The affected sample has timestamp ", " and is from series ");
    let cortex = (". timestamp=", ", series=");
    let (time, series) = [mimir, cortex]
        .into_iter()
        .find_map(|(before, between)| text.split_once(before)?.1.split_once(between))?;
    let time = time.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    let series = parse(series)?;
    (0..batch.len()).find(|&item| {
        read::sample(batch.item(item))
            .is_some_and(|(labels, timestamp)| timestamp == time && decoded(labels) == series)
    })
}

/// The labels of an item.
pub(super) fn labels(item: &[u8]) -> Option<Labels> {
    read::sample(item).map(|(labels, _)| decoded(labels))
}

/// The time of an item, in milliseconds.
pub(super) fn time(item: &[u8]) -> Option<i64> {
    read::sample(item).map(|(_, time)| time)
}

fn decoded(labels: &[u8]) -> Labels {
    let mut labels: Labels =
        read::labels(labels).map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    labels.sort_unstable();
    labels
}

/// A series as Prometheus prints it, whatever follows: `name{label="value", …}`, or with the name
/// among the labels, as newer versions do.
pub(super) fn parse(text: &str) -> Option<Labels> {
    let end = text.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let mut labels = Labels::new();
    if !name.is_empty() {
        labels.push((b"__name__".to_vec(), name.into()));
    }
    if let Some(first) = rest.strip_prefix('{') {
        rest = first;
        while !rest.starts_with('}') {
            let (name, value) = if rest.starts_with('"') {
                let (name, rest) = unquote(rest)?;
                (name, rest?.strip_prefix('=')?)
            } else {
                let (name, value) = rest.split_once('=')?;
                (name.into(), value)
            };
            let (value, after) = unquote(value)?;
            labels.push((name, value));
            rest = after?.trim_start_matches([',', ' ']);
        }
    }
    labels.sort_unstable();
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::prometheus::tests::batch;

    fn labels(labels: &[(&str, &str)]) -> Labels {
        labels.iter().map(|&(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn a_printed_series_is_read_in_every_form() {
        let both = labels(&[("__name__", "m_v"), ("a", "x \"y\"\n, b=\"z")]);
        let text = r#"m_v{a="x \"y\"\n, b=\"z"} (sampled 1/10)"#;
        assert_eq!(parse(text), Some(both.clone()));
        assert_eq!(parse(r#"{__name__="m_v", a="x \"y\"\n, b=\"z"}"#), Some(both.clone()));
        assert_eq!(parse(r#"{"__name__"="m_v","a"="x \"y\"\n, b=\"z"}"#), Some(both));
        assert_eq!(parse("m_v\n"), Some(labels(&[("__name__", "m_v")])));
        assert_eq!(parse(r#"{a="cut o"#), None);
    }

    #[test]
    fn the_named_sample_is_found_by_its_series_and_its_time() {
        let batch = batch(&[("a", 1000), ("b", 1000), ("a", 2500), ("b", 2500)]);
        let mimir = "the sample was rejected (err-mimir-x). The affected sample has timestamp \
            1970-01-01T00:00:02.5Z and is from series";
        assert_eq!(named(&format!(r#"{mimir} {{__name__="m_v", t="a"}}"#), &batch), Some(2));
        assert_eq!(named(&format!(r#"{mimir} m_v{{t="b"}} (sampled 1/10)"#), &batch), Some(3));
        assert_eq!(named(&format!(r#"{mimir} m_v{{t="c"}}"#), &batch), None);
        let cortex = r#"user=u: err: out of order sample. timestamp=1970-01-01T00:00:01Z, series={__name__="m_v", t="b"}"#;
        assert_eq!(named(cortex, &batch), Some(1));
        assert_eq!(named("something else", &batch), None);
    }

    #[test]
    fn the_samples_of_each_series_are_told_apart() {
        let batch = batch(&[("a", 1), ("b", 1), ("a", 2), ("c", 1), ("b", 2)]);
        assert_eq!(by_series(&batch), Some(vec![vec![0, 2], vec![1, 4], vec![3]]));
    }
}
