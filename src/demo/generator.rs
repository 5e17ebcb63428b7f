//! The messages: a real year of Seattle's weather, replayed at speed.
//!
//! The file (see `data/README.md`) has a row an hour. The demo makes a sensor of each day of the
//! year, and a station of each month's sensors; a sensor sends its day's 24 rows, and begins again.
//! So a day passes for all sensors at once, in eight seconds, and each day sends every row of the
//! file once: 8,759 messages, about 1,100 a second.
//!
//! The rows' values go out as the file spells them. What is changed is the clock: a message's time
//! (`ts`) is the time at which it is sent, as a sensor's would be, not the year 2010; the original
//! hour stands in `reading.hour`. Times of one sensor are a third of a second apart, so unique.
//!
//! One message in 5,000 is broken on purpose, cut off or with text for a number, and must end in
//! the dead-letter topic.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::kafka::mock::MockProducer;

/// The file, as it was published.
const FILE: &str = include_str!("data/seattle-weather-hourly-normals.csv");

/// The topic with the messages.
pub(crate) const TOPIC: &str = "weather";
/// The topic's partitions.
pub(crate) const PARTITIONS: i32 = 4;

/// How long an hour of the file lasts, in microseconds.
const HOUR_MICROS: u64 = 8_000_000 / 24;
/// One message in so many is broken.
const BROKEN_EVERY: u64 = 5_000;
/// How far the generator runs ahead of the store before it stops and waits: about five minutes.
///
/// The mock broker silently forgets what exceeds 5 MiB a partition. Compressed, a message takes
/// about 25 bytes there, so this many take 2.1 MiB in the fullest of the four partitions.
pub(crate) const MAX_AHEAD: u64 = 330_000;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A row of the file, its numbers as the file spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    date: &'static str,
    pressure: &'static str,
    temperature: &'static str,
    wind: &'static str,
}

/// A day of the file as a sensor: its rows by hour. The file's first hour is missing.
#[derive(Debug)]
pub(crate) struct Sensor {
    id: String,
    station: &'static str,
    rows: [Option<Row>; 24],
}

/// Reads the file. `None` if it is not the file that this was written for.
pub(crate) fn sensors() -> Option<Vec<Sensor>> {
    let mut sensors: Vec<Sensor> = Vec::new();
    for line in FILE.lines().skip(1) {
        let mut cells = line.split(',');
        let date = cells.next()?;
        let row =
            Row { date, pressure: cells.next()?, temperature: cells.next()?, wind: cells.next()? };
        let station = MONTHS.get(date.get(5..7)?.parse::<usize>().ok()?.checked_sub(1)?)?;
        let id = format!("{station}-{}", date.get(8..10)?);
        let hour: usize = date.get(11..13)?.parse().ok()?;
        if sensors.last().is_none_or(|sensor| sensor.id != id) {
            sensors.push(Sensor { id, station, rows: [None; 24] });
        }
        *sensors.last_mut()?.rows.get_mut(hour)? = Some(row);
    }
    Some(sensors)
}

/// What the generator has done, for whoever shows it, and the switch that stops it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Messages handed to the producer.
    pub(crate) sent: AtomicU64,
    /// The broken ones among them.
    pub(crate) broken: AtomicU64,
    /// Records done, as far as the store and the dead-letter topic show: set by the sampler.
    pub(crate) done: AtomicU64,
    /// Whether it waits because the store is too far behind.
    pub(crate) waiting: AtomicBool,
    /// Set to stop it.
    pub(crate) stop: AtomicBool,
}

impl Progress {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn too_far_ahead(&self) -> bool {
        let ahead =
            self.sent.load(Ordering::Relaxed).saturating_sub(self.done.load(Ordering::Relaxed));
        ahead >= MAX_AHEAD
    }
}

/// Sends messages at a steady rate until it is stopped, then waits until all are confirmed.
pub(crate) fn run(
    sensors: &[Sensor],
    producer: &MockProducer,
    progress: &Arc<Progress>,
) -> Result<(), String> {
    let mut clock = Clock::start();
    let mut message = String::new();
    let slot = HOUR_MICROS / u64::try_from(sensors.len().max(1)).unwrap_or(1);
    for hour in (0..u64::MAX).take_while(|_| !progress.stopped()) {
        for (place, sensor) in (0u64..).zip(sensors) {
            let Some(row) =
                sensor.rows.get(usize::try_from(hour % 24).unwrap_or(0)).copied().flatten()
            else {
                continue;
            };
            let due = hour * HOUR_MICROS + place * slot;
            if place % 16 == 0 {
                hold_back(progress, &mut clock);
                clock.wait_until(due);
            }
            if progress.stopped() {
                break;
            }
            let millis = clock.epoch_millis(due);
            let number = progress.sent.load(Ordering::Relaxed) + 1;
            compose(&mut message, sensor, row, millis);
            if number.is_multiple_of(BROKEN_EVERY) {
                spoil(&mut message, row, number / BROKEN_EVERY);
                progress.broken.fetch_add(1, Ordering::Relaxed);
            }
            let sent = producer.send(TOPIC, &sensor.id, message.as_bytes(), millis);
            sent.map_err(|why| format!("cannot send to the mock broker: {why}"))?;
            progress.sent.store(number, Ordering::Relaxed);
        }
    }
    producer
        .flush(Duration::from_secs(10))
        .map_err(|why| format!("the mock broker did not confirm: {why}"))
}

/// Waits while the store is too far behind, and moves the clock on by as much.
fn hold_back(progress: &Progress, clock: &mut Clock) {
    if !progress.too_far_ahead() {
        return;
    }
    let since = Instant::now();
    progress.waiting.store(true, Ordering::Relaxed);
    while progress.too_far_ahead() && !progress.stopped() {
        std::thread::sleep(Duration::from_millis(50));
    }
    progress.waiting.store(false, Ordering::Relaxed);
    clock.skip(since.elapsed());
}

fn compose(message: &mut String, sensor: &Sensor, row: Row, millis: i64) {
    message.clear();
    let Sensor { id, station, .. } = sensor;
    let Row { date, pressure, temperature, wind } = row;
    // Writing to a String can't fail, and no part needs escaping: all are the file's plain text.
    let _ = write!(
        message,
        r#"{{"ts":{millis},"sensor":{{"id":"{id}","station":"{station}"}},"reading":{{"hour":"{date}","temperature":{temperature},"pressure":{pressure},"wind":{wind}}}}}"#,
    );
}

/// Breaks a message in one of two ways, in turn.
fn spoil(message: &mut String, row: Row, turn: u64) {
    if turn.is_multiple_of(2) {
        message.truncate(message.len() / 2);
    } else {
        let number = format!("\"temperature\":{}", row.temperature);
        *message = message.replace(&number, "\"temperature\":\"sensor fault\"");
    }
}

/// The replay's clock: microseconds since it began, without the time spent waiting for the store.
struct Clock {
    begun: Instant,
    epoch_millis: i64,
}

impl Clock {
    fn start() -> Self {
        Self { begun: Instant::now(), epoch_millis: super::now_millis() }
    }

    fn wait_until(&self, micros: u64) {
        let due = self.begun + Duration::from_micros(micros);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }

    fn skip(&mut self, waited: Duration) {
        self.begun += waited;
        self.epoch_millis += i64::try_from(waited.as_millis()).unwrap_or(0);
    }

    fn epoch_millis(&self, micros: u64) -> i64 {
        self.epoch_millis + i64::try_from(micros / 1000).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_of_the_file_is_a_message_with_its_values() {
        let sensors = sensors().unwrap();
        assert_eq!(sensors.len(), 365);
        assert_eq!(sensors.iter().map(|sensor| sensor.station).collect::<HashSet<_>>().len(), 12);
        let mut sent = HashSet::new();
        let mut message = String::new();
        for sensor in &sensors {
            for row in sensor.rows.iter().flatten() {
                compose(&mut message, sensor, *row, 1_718_000_000_000);
                let json: serde_json::Value = serde_json::from_str(&message).unwrap();
                let reading = &json["reading"];
                let cells =
                    ["pressure", "temperature", "wind"].map(|name| reading[name].to_string());
                let date = reading["hour"].as_str().unwrap().to_owned();
                assert!(json["sensor"]["id"].as_str().unwrap().ends_with(&date[8..10]));
                sent.insert(format!("{date},{}", cells.join(",")));
            }
        }
        let file: HashSet<String> = FILE.lines().skip(1).map(str::to_owned).collect();
        assert_eq!(file.len(), 8759);
        assert_eq!(sent, file);
    }

    #[test]
    fn broken_messages_are_broken() {
        let sensors = sensors().unwrap();
        let row = sensors[200].rows[15].unwrap();
        let mut message = String::new();
        compose(&mut message, &sensors[200], row, 1);
        let whole = message.clone();
        spoil(&mut message, row, 1);
        let json: serde_json::Value = serde_json::from_str(&message).unwrap();
        assert!(json["reading"]["temperature"].is_string());
        message = whole;
        spoil(&mut message, row, 2);
        assert!(serde_json::from_str::<serde_json::Value>(&message).is_err());
        assert!(
            message.contains("\"ts\":1,\"sensor\":{\"id\":"),
            "what is left tells messages apart"
        );
    }

    #[test]
    fn times_of_a_sensor_are_unique_even_after_a_wait() {
        let mut clock = Clock::start();
        let mut last = clock.epoch_millis(0);
        for hour in 1..100 {
            if hour == 50 {
                clock.skip(Duration::from_millis(1234));
            }
            let next = clock.epoch_millis(hour * HOUR_MICROS);
            assert!(next - last >= 333, "{last} {next}");
            last = next;
        }
    }
}
