//! The messages that are measured, and the mappings for them.

use std::fmt::Write as _;

use rmp::encode;

/// A kind of message. All kinds carry the same three tags, five fields and timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// About 280 bytes of JSON, nearly all of which is wanted.
    Standard,
    /// About 1.5 KB of JSON, of which the same is wanted.
    Wide,
    /// The standard message's values in Avro, by `bench/sensor.avsc`.
    Avro,
    /// The same in Protobuf, by `bench/sensor.proto`.
    Protobuf,
    /// The same in `MessagePack`.
    Msgpack,
    /// The same as a row that Debezium tells of, with its schema in each message; its time is a `MicroTimestamp`.
    Debezium,
    /// The standard message as the line that it becomes.
    Line,
}

/// Series that the messages are of: one a device.
pub const DEVICES: u64 = 1000;

impl Message {
    /// The message of this number, of one of so many devices.
    pub fn number(self, n: u64, devices: u64) -> Vec<u8> {
        match self {
            Self::Standard => standard(n, devices).into_bytes(),
            Self::Wide => widened(&standard(n, devices), n).into_bytes(),
            Self::Avro => avro(&Reading::number(n, devices)),
            Self::Protobuf => protobuf(&Reading::number(n, devices)),
            Self::Msgpack => message_pack(&Reading::number(n, devices)),
            Self::Debezium => debezium(&Reading::number(n, devices)).into_bytes(),
            Self::Line => line(&Reading::number(n, devices)).into_bytes(),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "JSON 280 B",
            Self::Wide => "JSON 1.5 KB",
            Self::Avro => "Avro",
            Self::Protobuf => "Protobuf",
            Self::Msgpack => "MessagePack",
            Self::Debezium => "Debezium with its schema",
            Self::Line => "line protocol passed through",
        }
    }

    /// The part of a connector's file from `decode` to the point.
    pub fn mapping(self) -> String {
        match self {
            Self::Standard | Self::Wide => format!("decode: json\n{POINT}"),
            Self::Avro => format!(
                "decode: {{ avro: {{ schema_file: '{}/bench/sensor.avsc' }} }}\n{POINT}",
                env!("CARGO_MANIFEST_DIR")
            ),
            Self::Protobuf => format!(
                "decode: {{ protobuf: {{ schema_file: '{}/bench/sensor.proto', message: Sensor }} }}\n{POINT}",
                env!("CARGO_MANIFEST_DIR")
            ),
            Self::Msgpack => format!("decode: msgpack\n{POINT}"),
            Self::Debezium => format!("decode: debezium\n{ROW}"),
            Self::Line => "decode: line_protocol\n".into(),
        }
    }
}

/// What every kind of message says.
struct Reading {
    millis: u64,
    site: String,
    device: String,
    model: String,
    firmware: String,
    temperature: String,
    humidity: String,
    pressure: String,
    vibration: String,
    cycles: u64,
}

impl Reading {
    fn number(n: u64, devices: u64) -> Self {
        Self {
            millis: 1_700_000_000_000 + n,
            site: format!("site-{:02}", n % 20),
            device: format!("device-{:04}", n % devices),
            model: format!("TX-{}", n % 5),
            firmware: format!("4.2.{}", n % 9),
            temperature: format!("{}.{:02}", 15 + n % 20, n % 100),
            humidity: format!("{}.{:01}", 30 + n % 50, n % 10),
            pressure: format!("{}.{:02}", 990 + n % 40, n % 100),
            vibration: format!("0.{:04}", n % 10_000),
            cycles: n,
        }
    }
}

const STATUS: &str = "ok";
const NOTE: &str = "regular interval reading, nothing else to report";

/// The standard message, as text.
pub fn standard(n: u64, devices: u64) -> String {
    let Reading {
        millis,
        site,
        device,
        model,
        firmware,
        temperature,
        humidity,
        pressure,
        vibration,
        cycles,
    } = Reading::number(n, devices);
    format!(
        r#"{{"ts":{millis},"site":"{site}","device":{{"id":"{device}","model":"{model}","firmware":"{firmware}"}},"reading":{{"temperature":{temperature},"humidity":{humidity},"pressure":{pressure},"vibration":{vibration},"cycles":{cycles}}},"status":"{STATUS}","note":"{NOTE}"}}"#
    )
}

/// As of a table of Postgres, by Debezium's documentation.
fn debezium(reading: &Reading) -> String {
    let Reading { site, device, model, firmware, temperature, humidity, .. } = reading;
    let Reading { millis, pressure, vibration, cycles, .. } = reading;
    let micros = millis * 1000;
    let schema = debezium_schema();
    format!(
        r#"{{"schema":{schema},"payload":{{"before":null,"after":{{"at":{micros},"site":"{site}","device":"{device}","model":"{model}","firmware":"{firmware}","temperature":{temperature},"humidity":{humidity},"pressure":{pressure},"vibration":{vibration},"cycles":{cycles},"status":"{STATUS}","note":"{NOTE}"}},"source":{{"version":"3.0.0.Final","connector":"postgresql","name":"plant","ts_ms":{millis},"snapshot":"false","db":"plant","sequence":"[\"{lsn}\",\"{lsn}\"]","schema":"public","table":"readings","txId":{cycles},"lsn":{lsn},"xmin":null}},"op":"c","ts_ms":{millis},"ts_us":{micros},"ts_ns":{micros}000}}}}"#,
        lsn = 24_023_128 + cycles * 56,
    )
}

fn debezium_schema() -> String {
    let field =
        |kind: &str, name: &str| format!(r#"{{"type":"{kind}","optional":true,"field":"{name}"}}"#);
    let fields = |fields: &[(&str, &str)]| {
        fields.iter().map(|(kind, name)| field(kind, name)).collect::<Vec<_>>().join(",")
    };
    let columns = fields(&[
        ("string", "site"),
        ("string", "device"),
        ("string", "model"),
        ("string", "firmware"),
        ("double", "temperature"),
        ("double", "humidity"),
        ("double", "pressure"),
        ("double", "vibration"),
        ("int64", "cycles"),
        ("string", "status"),
        ("string", "note"),
    ]);
    let at = r#"{"type":"int64","optional":true,"name":"io.debezium.time.MicroTimestamp","version":1,"field":"at"}"#;
    let row = |name: &str| {
        format!(
            r#"{{"type":"struct","fields":[{at},{columns}],"optional":true,"name":"plant.public.readings.Value","field":"{name}"}}"#
        )
    };
    let source = fields(&[
        ("string", "version"),
        ("string", "connector"),
        ("string", "name"),
        ("int64", "ts_ms"),
        ("string", "snapshot"),
        ("string", "db"),
        ("string", "sequence"),
        ("string", "schema"),
        ("string", "table"),
        ("int64", "txId"),
        ("int64", "lsn"),
        ("int64", "xmin"),
    ]);
    format!(
        r#"{{"type":"struct","fields":[{},{},{{"type":"struct","fields":[{source}],"optional":false,"name":"io.debezium.connector.postgresql.Source","field":"source"}},{}],"optional":false,"name":"plant.public.readings.Envelope","version":1}}"#,
        row("before"),
        row("after"),
        fields(&[("string", "op"), ("int64", "ts_ms"), ("int64", "ts_us"), ("int64", "ts_ns")]),
    )
}

fn line(reading: &Reading) -> String {
    let Reading { site, device, model, temperature, humidity, pressure, vibration, .. } = reading;
    format!(
        "sensor,device={device},model={model},site={site} temperature={temperature},humidity={humidity},pressure={pressure},vibration={vibration},cycles={}i {}",
        reading.cycles,
        reading.millis * 1_000_000
    )
}

/// In the order of the schema's fields.
fn avro(reading: &Reading) -> Vec<u8> {
    let mut out = Vec::new();
    long(&mut out, reading.millis);
    for value in [&reading.site, &reading.device, &reading.model, &reading.firmware] {
        text(&mut out, value);
    }
    for value in [&reading.temperature, &reading.humidity, &reading.pressure, &reading.vibration] {
        let number: f64 = value.parse().expect("a number");
        out.extend_from_slice(&number.to_le_bytes());
    }
    long(&mut out, reading.cycles);
    text(&mut out, STATUS);
    text(&mut out, NOTE);
    out
}

/// In the order of the schema's fields, whose numbers are all below 16.
fn protobuf(reading: &Reading) -> Vec<u8> {
    let text = |out: &mut Vec<u8>, number: u8, value: &[u8]| {
        out.push(number << 3 | 2);
        varint(out, value.len() as u64);
        out.extend_from_slice(value);
    };
    let (mut device, mut values, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for (number, value) in (1..).zip([&reading.device, &reading.model, &reading.firmware]) {
        text(&mut device, number, value.as_bytes());
    }
    let numbers = [&reading.temperature, &reading.humidity, &reading.pressure, &reading.vibration];
    for (number, value) in (1..).zip(numbers) {
        values.push(number << 3 | 1);
        values.extend_from_slice(&value.parse::<f64>().expect("a number").to_le_bytes());
    }
    values.push(5 << 3);
    varint(&mut values, reading.cycles);
    out.push(1 << 3);
    varint(&mut out, reading.millis);
    let parts = [reading.site.as_bytes(), &device, &values, STATUS.as_bytes(), NOTE.as_bytes()];
    for (number, value) in (2..).zip(parts) {
        text(&mut out, number, value);
    }
    out
}

fn message_pack(reading: &Reading) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to memory can't fail.
    let text = |out: &mut Vec<u8>, key: &str, value: &str| {
        let _ = encode::write_str(out, key);
        let _ = encode::write_str(out, value);
    };
    let object = |out: &mut Vec<u8>, key: &str, len: u32| {
        let _ = encode::write_str(out, key);
        let _ = encode::write_map_len(out, len);
    };
    let Reading { site, device, model, firmware, .. } = reading;
    let _ = encode::write_map_len(&mut out, 6);
    let _ = encode::write_str(&mut out, "ts");
    let _ = encode::write_uint(&mut out, reading.millis);
    text(&mut out, "site", site);
    object(&mut out, "device", 3);
    for (key, value) in [("id", device), ("model", model), ("firmware", firmware)] {
        text(&mut out, key, value);
    }
    object(&mut out, "reading", 5);
    let Reading { temperature, humidity, pressure, vibration, .. } = reading;
    for (key, value) in [
        ("temperature", temperature),
        ("humidity", humidity),
        ("pressure", pressure),
        ("vibration", vibration),
    ] {
        let _ = encode::write_str(&mut out, key);
        let _ = encode::write_f64(&mut out, value.parse().expect("a number"));
    }
    let _ = encode::write_str(&mut out, "cycles");
    let _ = encode::write_uint(&mut out, reading.cycles);
    text(&mut out, "status", STATUS);
    text(&mut out, "note", NOTE);
    out
}

fn text(out: &mut Vec<u8>, value: &str) {
    long(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

/// A `long` that is not negative, by zigzag.
fn long(out: &mut Vec<u8>, value: u64) {
    varint(out, value << 1);
}

/// Seven bits a byte.
fn varint(out: &mut Vec<u8>, mut rest: u64) {
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

/// With what a message carries for others: objects, lists and texts that no path of the mapping names.
fn widened(standard: &str, n: u64) -> String {
    let mut wide = standard.trim_end_matches('}').to_owned();
    wide.push_str(r#","diagnostics":{"samples":["#);
    for sample in 0..24 {
        let comma = if sample == 0 { "" } else { "," };
        // Writing to a String can't fail.
        let _ = write!(wide, r#"{comma}{{"i":{sample},"raw":{},"ok":true}}"#, (n + sample) % 4096);
    }
    wide.push_str(r#"],"history":["started","calibrated","heartbeat","heartbeat","heartbeat"]},"#);
    let _ = write!(
        wide,
        r#""location":{{"building":"north \"B\"","floor":{},"room":"{:04}","lat":52.52{:04},"lon":13.40{:04}}},"trace":"{:032x}","operator":null}}"#,
        n % 12,
        n % 5000,
        n % 10_000,
        n % 9999,
        u128::from(n) * 0x9E37_79B9_7F4A_7C15
    );
    wide
}

/// The same for all kinds of documents.
const POINT: &str = "point:
  measurement: sensor
  tags: { site: site, device: device.id, model: device.model }
  fields:
    temperature: reading.temperature
    humidity: reading.humidity
    pressure: reading.pressure
    vibration: reading.vibration
    cycles: { path: reading.cycles, type: integer }
  timestamp: { path: ts, unit: ms }
";

const ROW: &str = "point:
  measurement: sensor
  tags: { site: after.site, device: after.device, model: after.model }
  fields:
    temperature: after.temperature
    humidity: after.humidity
    pressure: after.pressure
    vibration: after.vibration
    cycles: { path: after.cycles, type: integer }
  timestamp: { path: after.at, format: rfc3339 }
";
