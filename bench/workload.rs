//! The messages that are measured, and the mappings for them.

use std::fmt::Write as _;

/// A kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// About 280 bytes: three tags, five fields and a timestamp, nearly all of which is wanted.
    Standard,
    /// About 1.5 KB, of which the same tags, fields and time are wanted.
    Wide,
}

/// Series that the messages are of: one a device.
pub const DEVICES: u64 = 1000;

impl Message {
    pub fn number(self, n: u64, devices: u64) -> String {
        let standard = format!(
            r#"{{"ts":{},"site":"site-{:02}","device":{{"id":"device-{:04}","model":"TX-{}","firmware":"4.2.{}"}},"reading":{{"temperature":{}.{:02},"humidity":{}.{:01},"pressure":{}.{:02},"vibration":0.{:04},"cycles":{}}},"status":"ok","note":"regular interval reading, nothing else to report"}}"#,
            1_700_000_000_000u64 + n,
            n % 20,
            n % devices,
            n % 5,
            n % 9,
            15 + n % 20,
            n % 100,
            30 + n % 50,
            n % 10,
            990 + n % 40,
            n % 100,
            n % 10_000,
            n
        );
        match self {
            Self::Standard => standard,
            Self::Wide => widened(&standard, n),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "JSON 280 B",
            Self::Wide => "JSON 1.5 KB",
        }
    }
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

/// The part of a connector's file from `decode` to the point, the same for both kinds of message.
pub const MAPPING: &str = "decode: json
point:
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
