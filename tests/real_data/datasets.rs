//! The data sets: the messages that a producer would make of each file, and the points that must be
//! in the database, computed from the file with nothing of Tidegate's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::run::Message;

pub(crate) struct DataSet {
    pub(crate) messages: Vec<Message>,
    pub(crate) points: Points,
    /// The keys of the records that must be dead-lettered, and the reason of all of them.
    pub(crate) refused: Vec<String>,
    pub(crate) reason: &'static str,
}

/// What must be stored: for each series, by its labels, each moment's value.
///
/// Two records of one series and moment are one point, in VictoriaMetrics and in most databases: the
/// later one replaces the other, or the larger one stays. So a moment has all the values that the
/// file has for it, and any one of them may be the stored one.
pub(crate) type Points = BTreeMap<BTreeMap<String, String>, BTreeMap<i64, Vec<f64>>>;

impl DataSet {
    fn new() -> Self {
        Self { messages: Vec::new(), points: Points::new(), refused: Vec::new(), reason: "" }
    }

    fn send(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// A point that must be stored; fields without a value and empty tags must not.
    fn expect(
        &mut self,
        measurement: &str,
        tags: &[(&str, &str)],
        fields: &[(&str, Option<f64>)],
        time: i64,
    ) {
        let tags = tags.iter().filter(|(_, value)| !value.is_empty());
        let tags: BTreeMap<_, _> =
            tags.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for (field, value) in fields {
            let Some(value) = value else { continue };
            let mut labels = tags.clone();
            labels.insert("__name__".into(), format!("{measurement}_{field}"));
            self.points.entry(labels).or_default().entry(time).or_default().push(*value);
        }
    }
}

pub(crate) fn weather(measurement: &str) -> DataSet {
    let mut set = DataSet::new();
    let header = "location,date,precipitation,temp_max,temp_min,wind,weather";
    for (index, row) in csv("weather.csv", header).into_iter().enumerate() {
        let [location, date, precipitation, max, min, wind, sky] = row.as_slice() else {
            panic!("not a row of weather: {row:?}");
        };
        let [precipitation, max, min, wind] =
            [precipitation, max, min, wind].map(|text| float(text));
        // The file has dates only: the producer adds the time of day and the zone.
        let message = json!({
            "location": location, "weather": sky, "date": format!("{date}T00:00:00Z"), "wind": wind,
            "precipitation": precipitation, "temperature": { "max": max, "min": min },
        });
        let partition = i32::try_from(index % 4).expect("below 4");
        set.send(Message::new(message.to_string()).in_partition(partition));
        let tags = [("location", location.as_str()), ("sky", sky), ("provider", "noaa")];
        let fields = [
            ("precipitation", Some(precipitation)),
            ("wind", Some(wind)),
            ("temperature_max", Some(max)),
            ("temperature_min", Some(min)),
        ];
        set.expect(measurement, &tags, &fields, 1000 * seconds(date, "00:00"));
    }
    set
}

pub(crate) fn flights(measurement: &str) -> DataSet {
    let mut set = DataSet::new();
    for flight in array(&file("flights-10k.json")) {
        let (date, time) = text(&flight["date"]).split_once(' ').expect("2001/01/31 06:55");
        // Local times without a zone, taken for UTC. Some leave one airport in the same minute.
        let departed = seconds(&date.replace('/', "-"), time);
        let origin = text(&flight["origin"]);
        let header = departed.to_string();
        set.send(
            Message::new(flight.to_string())
                .key(origin)
                .header("departed", Some(header.as_bytes())),
        );
        let fields =
            [("delay", flight["delay"].as_f64()), ("distance", flight["distance"].as_f64())];
        set.expect(measurement, &[("origin", origin)], &fields, 1000 * departed);
    }
    set
}

pub(crate) fn stocks(measurement: &str) -> DataSet {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut set = DataSet::new();
    for row in csv("stocks.csv", "symbol,date,price") {
        let [symbol, date, price] = row.as_slice() else { panic!("not a row of stocks: {row:?}") };
        let [month, day, year] = date.split(' ').collect::<Vec<_>>()[..] else { panic!("{date}") };
        let month = MONTHS.find(month).expect("a month") / 3 + 1;
        let time = 1000 * seconds(&format!("{year}-{month}-{day}"), "00:00");
        let number = float(price);
        let message = json!({ "price": number, "price_text": price });
        set.send(Message::new(message.to_string()).key(symbol.as_str()).at(time));
        let fields = [("price", Some(number)), ("rounded", Some(number))];
        set.expect(measurement, &[("symbol", symbol)], &fields, time);
    }
    set
}

pub(crate) fn earthquakes(measurement: &str) -> DataSet {
    let mut set = DataSet::new();
    set.reason = "field stations is required: path properties.nst: there is no value";
    for feature in array(&file("earthquakes.json")["features"]) {
        let (properties, place) = (&feature["properties"], &feature["geometry"]["coordinates"]);
        let id = text(&feature["id"]);
        set.send(Message::new(feature.to_string()).key(id));
        if properties["nst"].is_null() {
            set.refused.push(id.to_owned());
            continue;
        }
        let tags = [
            ("id", id),
            ("network", text(&properties["net"])),
            ("scale", text(&properties["magType"])),
            ("place", text(&properties["place"])),
            ("alert", properties["alert"].as_str().unwrap_or_default()),
        ];
        let fields = [
            ("magnitude", properties["mag"].as_f64()),
            ("longitude", place[0].as_f64()),
            ("latitude", place[1].as_f64()),
            ("depth", place[2].as_f64()),
            ("felt", properties["felt"].as_f64()),
            ("gap", properties["gap"].as_f64()),
            ("significance", properties["sig"].as_f64()),
            ("stations", properties["nst"].as_f64()),
            // A boolean in the connector; the database has numbers only.
            ("tsunami", properties["tsunami"].as_f64()),
        ];
        set.expect(measurement, &tags, &fields, properties["time"].as_i64().expect("milliseconds"));
    }
    assert!(!set.refused.is_empty(), "some have no station count");
    set
}

pub(crate) fn unemployment(measurement: &str) -> DataSet {
    let mut set = DataSet::new();
    for month in array(&file("unemployment-across-industries.json")) {
        let (date, time) = text(&month["date"]).split_once('T').expect("RFC 3339");
        let industry = text(&month["series"]);
        set.send(Message::new(month.to_string()).key(industry));
        let season = format!("{}/{}", month["year"], month["month"]);
        let fields = [("people", month["count"].as_f64()), ("rate", month["rate"].as_f64())];
        assert!(time.ends_with(":00.000Z"), "whole minutes in UTC: {time}");
        let time = 1000 * seconds(date, &time[..5]);
        set.expect(measurement, &[("industry", industry), ("season", &season)], &fields, time);
    }
    set
}

// ------------------------------------------------------------------------------------------ files

/// The text of a file of the data sets.
fn read(name: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/install.sh");
    let folder = Command::new(script).arg("--where").output().expect("bash is needed");
    assert!(folder.status.success(), "{}", String::from_utf8_lossy(&folder.stderr));
    let folder = String::from_utf8(folder.stdout).expect("a path");
    let path = Path::new(folder.trim_end()).join("data").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn file(name: &str) -> Value {
    serde_json::from_str(&read(name)).expect("JSON")
}

/// The rows after the header; no file here has quotes.
fn csv(name: &str, header: &str) -> Vec<Vec<String>> {
    let text = read(name);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(header), "{name}");
    lines.map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn array(value: &Value) -> &Vec<Value> {
    value.as_array().expect("an array")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn float(text: &str) -> f64 {
    text.parse().expect("a number")
}

/// The seconds since 1970 of a date and a time of day in UTC (Howard Hinnant's `days_from_civil`).
fn seconds(date: &str, time: &str) -> i64 {
    let numbers = |text: &str, separator| -> Vec<i64> {
        text.split(separator).map(|number| number.parse().expect("a number")).collect()
    };
    let (date, time) = (numbers(date, '-'), numbers(time, ':'));
    let [year, month, day] = date[..] else { panic!("not a date: {date:?}") };
    let [hour, minute] = time[..] else { panic!("not a time: {time:?}") };
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    days * 86_400 + hour * 3600 + minute * 60
}
