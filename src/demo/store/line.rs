//! InfluxDB line protocol, read: `measurement,tag=a field=1.5,other=2i 1718000000000`.
//!
//! One thing of it is left out: a text with a line break in it, which the demo never writes.

use std::iter::Peekable;
use std::str::Chars;

/// One line: a point with its time, if it gives one, in the request's precision.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) series: SeriesKey,
    /// At least one.
    pub(crate) fields: Vec<(String, Field)>,
    pub(crate) time: Option<i64>,
}

/// What makes a series one: its measurement and its tags, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SeriesKey {
    pub(crate) measurement: String,
    pub(crate) tags: Vec<(String, String)>,
}

/// A field's value, as far as the demo can chart it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field {
    Number(f64),
    /// Taken and counted with its point, but not kept: a chart has no use for it.
    Text,
}

type Input<'a> = Peekable<Chars<'a>>;

/// Reads a request's body. The error is worded as InfluxDB 2 words it.
pub(crate) fn parse(body: &str) -> Result<Vec<Line>, String> {
    body.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| parse_line(line).map_err(|why| format!("unable to parse '{line}': {why}")))
        .collect()
}

fn parse_line(line: &str) -> Result<Line, &'static str> {
    let mut input = line.chars().peekable();
    let measurement = name(&mut input, &[',', ' ']);
    if measurement.is_empty() {
        return Err("missing measurement");
    }
    let mut tags = Vec::new();
    while input.next_if_eq(&',').is_some() {
        tags.push(tag(&mut input)?);
    }
    tags.sort();
    if tags.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err("duplicate tags");
    }
    spaces(&mut input);
    let mut fields = Vec::new();
    loop {
        fields.push(field(&mut input)?);
        if input.next_if_eq(&',').is_none() {
            break;
        }
    }
    let time = time(&mut input)?;
    Ok(Line { series: SeriesKey { measurement, tags }, fields, time })
}

/// Reads up to an unescaped character of `ends`; a backslash only escapes what could end a name.
fn name(input: &mut Input<'_>, ends: &[char]) -> String {
    let mut name = String::new();
    while let Some(&c) = input.peek() {
        if ends.contains(&c) {
            break;
        }
        input.next();
        if c == '\\'
            && let Some(escaped) = input.next_if(|next| matches!(next, ',' | '=' | ' '))
        {
            name.push(escaped);
        } else {
            name.push(c);
        }
    }
    name
}

fn tag(input: &mut Input<'_>) -> Result<(String, String), &'static str> {
    let key = name(input, &[',', '=', ' ']);
    if key.is_empty() {
        return Err("missing tag key");
    }
    input.next_if_eq(&'=').ok_or("missing tag value")?;
    let value = name(input, &[',', '=', ' ']);
    if value.is_empty() {
        return Err("missing tag value");
    }
    if input.peek() == Some(&'=') {
        return Err("invalid tag format");
    }
    Ok((key, value))
}

fn field(input: &mut Input<'_>) -> Result<(String, Field), &'static str> {
    let key = name(input, &[',', '=', ' ']);
    if key.is_empty() {
        return Err("missing fields");
    }
    input.next_if_eq(&'=').ok_or("missing field value")?;
    if input.next_if_eq(&'"').is_some() {
        skip_text(input)?;
        return Ok((key, Field::Text));
    }
    let mut word = String::new();
    while let Some(c) = input.next_if(|c| !matches!(c, ',' | ' ')) {
        word.push(c);
    }
    Ok((key, Field::Number(number(&word)?)))
}

/// Skips a string up to its closing quote.
fn skip_text(input: &mut Input<'_>) -> Result<(), &'static str> {
    while let Some(c) = input.next() {
        match c {
            '"' => return Ok(()),
            '\\' => {
                input.next_if(|next| matches!(next, '"' | '\\'));
            }
            _ => {}
        }
    }
    Err("unbalanced quotes")
}

/// A float, an integer (`5i`), an unsigned integer (`5u`) or a boolean, which charts as 1 or 0.
#[expect(clippy::cast_precision_loss, reason = "Prometheus's values are f64, whatever was written")]
fn number(word: &str) -> Result<f64, &'static str> {
    match word {
        "t" | "T" | "true" | "True" | "TRUE" => return Ok(1.0),
        "f" | "F" | "false" | "False" | "FALSE" => return Ok(0.0),
        _ => {}
    }
    let parsed = if let Some(digits) = word.strip_suffix('i') {
        digits.parse::<i64>().ok().map(|n| n as f64)
    } else if let Some(digits) = word.strip_suffix('u') {
        digits.parse::<u64>().ok().map(|n| n as f64)
    } else {
        word.parse::<f64>().ok().filter(|n| n.is_finite())
    };
    parsed.ok_or("invalid number")
}

fn time(input: &mut Input<'_>) -> Result<Option<i64>, &'static str> {
    spaces(input);
    let rest: String = input.collect();
    if rest.is_empty() {
        return Ok(None);
    }
    rest.parse().map(Some).map_err(|_| "bad timestamp")
}

fn spaces(input: &mut Input<'_>) {
    while input.next_if_eq(&' ').is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Line {
        parse(line).unwrap().remove(0)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn reads_every_part_and_sorts_tags() {
        let line = one("weather,station=july,sensor=july-14 temperature=22.1,ok=t,n=-5i,u=7u 1718");
        assert_eq!(line.series.measurement, "weather");
        assert_eq!(line.series.tags, pairs(&[("sensor", "july-14"), ("station", "july")]));
        let numbers: Vec<_> =
            line.fields.iter().map(|(name, field)| (name.as_str(), *field)).collect();
        assert_eq!(
            numbers,
            [
                ("temperature", Field::Number(22.1)),
                ("ok", Field::Number(1.0)),
                ("n", Field::Number(-5.0)),
                ("u", Field::Number(7.0)),
            ]
        );
        assert_eq!(line.time, Some(1718));
    }

    #[test]
    fn undoes_escapes() {
        let line = one(r#"my\ weather\,x,a\=b=c\ d\,e,back=C:\dir f\ 1="say \"hi, a=b\" \\",g=1"#);
        assert_eq!(line.series.measurement, "my weather,x");
        assert_eq!(line.series.tags, pairs(&[("a=b", "c d,e"), ("back", r"C:\dir")]));
        assert_eq!(line.fields[0], ("f 1".to_owned(), Field::Text));
        assert_eq!(line.fields[1], ("g".to_owned(), Field::Number(1.0)));
        assert_eq!(line.time, None);
    }

    #[test]
    fn skips_comments_and_blank_lines() {
        let lines = parse("# a comment\n\nm f=1 1\r\n  \nm f=2 2\n").unwrap();
        assert_eq!(lines.iter().map(|line| line.time).collect::<Vec<_>>(), [Some(1), Some(2)]);
    }

    #[test]
    fn names_what_is_wrong() {
        for (line, why) in [
            ("m", "missing fields"),
            (",a=b f=1", "missing measurement"),
            ("m,a f=1", "missing tag value"),
            ("m,a= f=1", "missing tag value"),
            ("m,a=b=c f=1", "invalid tag format"),
            ("m,a=1,a=2 f=1", "duplicate tags"),
            ("m f", "missing field value"),
            ("m f=", "invalid number"),
            ("m f=abc", "invalid number"),
            ("m f=NaN", "invalid number"),
            ("m f=1.5i", "invalid number"),
            ("m f=\"open", "unbalanced quotes"),
            ("m f=1 12.5", "bad timestamp"),
            ("m f=1 1 2", "bad timestamp"),
        ] {
            assert_eq!(parse(line).unwrap_err(), format!("unable to parse '{line}': {why}"));
        }
    }
}
