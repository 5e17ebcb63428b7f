//! What is found at the end: in the databases, by their own queries, and in the dead-letter topics.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, Message};

use crate::account::{Letter, Row};
use crate::stack::{InfluxDb2, Prometheus};
use crate::support::now_ms;
use crate::support::proxy::Point;

const KAFKA_ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// Of the measurement `conflict` before the run: an integer, where the connector writes a float.
const SEEDED: &str = "conflict,series=seeded reading=1i";

/// Makes InfluxDB refuse the points of the measurement `conflict` at these times (and in the week around each, for
/// which it keeps a field's type).
pub fn seed_type_conflict(server: &InfluxDb2, times: &[i64]) {
    for at in times {
        server.write(&format!("{SEEDED} {at}000000"));
    }
}

pub fn stored_in_influxdb(server: &InfluxDb2) -> Vec<Row> {
    let mut rows = Vec::new();
    for measurement in ["chaos", "conflict"] {
        let csv = server.influxql(&format!("SELECT reading FROM {measurement} GROUP BY *"));
        // name,tags,time,reading
        for line in csv.lines().skip(1).filter(|line| !line.contains("series=seeded")) {
            let mut columns = line.rsplitn(3, ',');
            let value = columns.next().expect(line).parse().expect(line);
            let at: i64 = columns.next().expect(line).parse().expect(line);
            let series = columns.next().expect(line).split_once("series=").expect(line).1;
            let point = Point { series: series.parse().expect(line), at: at / 1_000_000 };
            rows.push(Row { point, value });
        }
    }
    rows
}

pub fn stored_in_prometheus(server: &Prometheus, seconds: u64) -> Vec<Row> {
    #[expect(clippy::cast_precision_loss, reason = "seconds are enough")]
    let now = now_ms() as f64 / 1000.0;
    let range = format!("{}s", 3600 + 2 * seconds);
    let all = server.series(r#"{__name__!=""}"#, &range, now);
    let mut rows = Vec::new();
    for (labels, samples) in all {
        let series = labels["series"].parse().expect("a number");
        rows.extend(
            samples.into_iter().map(|(at, value)| Row { point: Point { series, at }, value }),
        );
    }
    rows
}

/// All letters of a topic whose timestamps are the broker's, in the order of those.
pub fn letters(bootstrap: &str, topic: &str, partitions: i32) -> Vec<Letter> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "letters")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    let mut total = 0;
    for partition in 0..partitions {
        let ends = consumer.fetch_watermarks(topic, partition, KAFKA_ANSWERS_WITHIN);
        total += ends.expect("watermarks").1;
        list.add_partition_offset(topic, partition, Offset::Beginning).expect("a partition");
    }
    consumer.assign(&list).expect("an assignment");
    let next = |_| {
        let message = consumer.poll(KAFKA_ANSWERS_WITHIN).expect("the next letter");
        letter(&message.expect("the next letter"))
    };
    let mut letters: Vec<Letter> = (0..total).map(next).collect();
    letters.sort_by_key(|letter| letter.at_ms);
    letters
}

fn letter(message: &BorrowedMessage<'_>) -> Letter {
    let header = |name: &str| {
        let headers = message.headers().expect("headers");
        let value =
            headers.iter().find(|header| header.key == name).and_then(|header| header.value);
        let text = std::str::from_utf8(value.expect(name)).expect(name);
        text.parse::<usize>().expect(name)
    };
    Letter {
        partition: header("__connect.errors.partition"),
        offset: header("__connect.errors.offset"),
        value: message.payload().unwrap_or_default().to_vec(),
        at_ms: message.timestamp().to_millis().expect("the broker's time"),
    }
}
