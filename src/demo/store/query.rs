//! A small, honest part of `PromQL`: selectors, and one aggregation over a selector.
//!
//! `weather_temperature{station=~"j.*"}`, `max by (station) (weather_temperature)`, and sums of
//! numbers, which Grafana's connection test asks for (`1+1`). Everything else is an error that says
//! so, never a wrong answer.

use regex::Regex;

/// An expression that the store can answer.
#[derive(Debug)]
pub(crate) enum Query {
    Number(f64),
    Select(Selector),
    Aggregate { operation: Aggregation, by: Vec<String>, of: Selector },
}

/// Which series: all matchers hold. At least one doesn't match the empty text.
#[derive(Debug)]
pub(crate) struct Selector(pub(crate) Vec<Matcher>);

/// One label's condition. A label that a series lacks counts as empty.
#[derive(Debug)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    pub(crate) condition: Condition,
}

#[derive(Debug)]
pub(crate) enum Condition {
    Is(String),
    IsNot(String),
    Matches(Regex),
    MatchesNot(Regex),
}

/// How series are brought together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Average,
    Count,
    Maximum,
    Minimum,
    Sum,
}

impl Condition {
    /// Whether a label's value meets it.
    pub(crate) fn holds(&self, value: &str) -> bool {
        match self {
            Self::Is(text) => text == value,
            Self::IsNot(text) => text != value,
            Self::Matches(regex) => regex.is_match(value),
            Self::MatchesNot(regex) => !regex.is_match(value),
        }
    }
}

impl Aggregation {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "avg" => Self::Average,
            "count" => Self::Count,
            "max" => Self::Maximum,
            "min" => Self::Minimum,
            "sum" => Self::Sum,
            _ => return None,
        })
    }

    /// The result over a group's values, of which there is at least one.
    #[expect(clippy::cast_precision_loss, reason = "a count of series, far below 2^53")]
    pub(crate) fn of(self, values: &[f64]) -> f64 {
        let sum = || values.iter().sum::<f64>();
        match self {
            Self::Average => sum() / values.len() as f64,
            Self::Count => values.len() as f64,
            Self::Maximum => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Minimum => values.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Sum => sum(),
        }
    }
}

/// Reads an expression. The error says what is taken instead.
pub(crate) fn parse(text: &str) -> Result<Query, String> {
    let mut parser = Parser { text, at: 0 };
    let query = parser.query()?;
    parser.end()?;
    Ok(query)
}

/// Reads a `match[]` parameter.
pub(crate) fn parse_selector(text: &str) -> Result<Selector, String> {
    let mut parser = Parser { text, at: 0 };
    let word = parser.word().to_owned();
    let selector = parser.selector(&word)?;
    parser.end()?;
    Ok(selector)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn query(&mut self) -> Result<Query, String> {
        if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return self.sum_of_numbers();
        }
        let word = self.word();
        let next_is_group = self.rest().starts_with('(') || self.rest().starts_with("by");
        match Aggregation::named(word) {
            Some(operation) if next_is_group => self.aggregation(operation),
            _ if self.rest().starts_with('(') => Err(self.not_taken(&format!("{word}()"))),
            _ => self.selector(word).map(Query::Select),
        }
    }

    fn aggregation(&mut self, operation: Aggregation) -> Result<Query, String> {
        let mut by = self.by()?;
        self.expect("(")?;
        let word = self.word();
        if self.rest().starts_with('(') {
            return Err(self.not_taken("an expression inside an aggregation"));
        }
        let of = self.selector(word)?;
        self.expect(")")?;
        if by.is_empty() {
            by = self.by()?;
        }
        Ok(Query::Aggregate { operation, by, of })
    }

    fn by(&mut self) -> Result<Vec<String>, String> {
        let mut labels = Vec::new();
        if !self.take("by") {
            return Ok(labels);
        }
        self.expect("(")?;
        while !self.take(")") {
            labels.push(self.label()?);
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(labels)
    }

    fn selector(&mut self, metric: &str) -> Result<Selector, String> {
        let mut matchers = Vec::new();
        if !metric.is_empty() {
            let condition = Condition::Is(metric.to_owned());
            matchers.push(Matcher { label: "__name__".to_owned(), condition });
        }
        if self.take("{") {
            while !self.take("}") {
                matchers.push(self.matcher()?);
                if !self.take(",") {
                    self.expect("}")?;
                    break;
                }
            }
        }
        if matchers.iter().all(|matcher| matcher.condition.holds("")) {
            return Err(self.error(
                "vector selector must contain at least one matcher that does not match the empty string",
            ));
        }
        Ok(Selector(matchers))
    }

    fn matcher(&mut self) -> Result<Matcher, String> {
        let label = self.label()?;
        let operators = ["=~", "!~", "!=", "="];
        let operator = operators.into_iter().find(|operator| self.take(operator));
        let operator = operator.ok_or_else(|| self.error("expected =, !=, =~ or !~"))?;
        let text = self.quoted()?;
        let regex =
            || Regex::new(&format!("^(?s:{text})$")).map_err(|why| self.error(&format!("{why}")));
        let condition = match operator {
            "=~" => Condition::Matches(regex()?),
            "!~" => Condition::MatchesNot(regex()?),
            "!=" => Condition::IsNot(text),
            _ => Condition::Is(text),
        };
        Ok(Matcher { label, condition })
    }

    fn sum_of_numbers(&mut self) -> Result<Query, String> {
        let mut sum = 0.0;
        loop {
            let digits = self.take_while(|c| c.is_ascii_digit() || c == '.');
            sum += digits.parse::<f64>().map_err(|_| self.error("expected a number"))?;
            if !self.take("+") {
                return Ok(Query::Number(sum));
            }
        }
    }

    fn label(&mut self) -> Result<String, String> {
        let label = self.word();
        if label.is_empty() {
            Err(self.error("expected a label's name"))
        } else {
            Ok(label.to_owned())
        }
    }

    /// A text in double or single quotes, with backslash escapes, or in backticks, without.
    fn quoted(&mut self) -> Result<String, String> {
        self.skip_spaces();
        let mut chars = self.rest().char_indices();
        let quote = chars.next().map(|(_, c)| c).filter(|c| matches!(c, '"' | '\'' | '`'));
        let quote = quote.ok_or_else(|| self.error("expected a quoted text"))?;
        let mut text = String::new();
        while let Some((i, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    self.at += i + quote.len_utf8();
                    return Ok(text);
                }
                '\\' if quote != '`' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, escaped @ ('\\' | '"' | '\''))) => text.push(escaped),
                    _ => return Err(self.error("unknown escape sequence")),
                },
                _ => text.push(c),
            }
        }
        Err(self.error("unterminated quoted string"))
    }

    /// A metric's or label's name; may be empty.
    fn word(&mut self) -> &'a str {
        self.skip_spaces();
        self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
    }

    fn take_while(&mut self, takes: impl Fn(char) -> bool) -> &'a str {
        self.skip_spaces();
        let rest: &'a str = &self.text[self.at..];
        let end = rest.find(|c| !takes(c)).unwrap_or(rest.len());
        self.at += end;
        self.skip_spaces();
        &rest[..end]
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_spaces();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
            self.skip_spaces();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(self.error(&format!("expected {token:?}"))) }
    }

    fn end(&mut self) -> Result<(), String> {
        self.skip_spaces();
        if self.rest().is_empty() { Ok(()) } else { Err(self.not_taken(self.rest())) }
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn not_taken(&self, what: &str) -> String {
        self.error(&format!(
            "{what} is not supported: the demo's store takes a selector, or avg, count, max, min or \
             sum over one, with \"by (…)\""
        ))
    }

    fn error(&self, what: &str) -> String {
        format!("1:{}: parse error: {what}", self.text[..self.at].chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_selectors() {
        let Ok(Query::Select(Selector(matchers))) = parse(
            r#" weather_temperature { station = "july", sensor=~'july-.*' , x!="1",y!~`a\d` }"#,
        ) else {
            panic!()
        };
        let labels: Vec<_> = matchers.iter().map(|matcher| matcher.label.as_str()).collect();
        assert_eq!(labels, ["__name__", "station", "sensor", "x", "y"]);
        assert!(matchers[1].condition.holds("july") && !matchers[1].condition.holds("june"));
        assert!(
            matchers[2].condition.holds("july-14") && !matchers[2].condition.holds("a july-14")
        );
        assert!(matchers[3].condition.holds("") && !matchers[3].condition.holds("1"));
        assert!(matchers[4].condition.holds("b1") && !matchers[4].condition.holds("a1"));
    }

    #[test]
    fn reads_aggregations_with_by_on_either_side() {
        for text in
            ["sum by (station, kind) (m)", "sum(m) by (station,kind)", "sum by(station,kind,)(m{})"]
        {
            let Ok(Query::Aggregate { operation, by, of }) = parse(text) else { panic!("{text}") };
            assert_eq!((operation, by.len(), of.0.len()), (Aggregation::Sum, 2, 1), "{text}");
        }
        assert!(matches!(parse("max(m)"), Ok(Query::Aggregate { by, .. }) if by.is_empty()));
        assert!(matches!(parse("max"), Ok(Query::Select(_))), "a metric may have that name");
    }

    #[test]
    fn answers_grafanas_connection_test() {
        assert!(matches!(parse("1+1"), Ok(Query::Number(two)) if (two - 2.0).abs() < f64::EPSILON));
    }

    #[test]
    fn aggregates() {
        let values = [1.0, 2.0, 6.0];
        let all = ["avg", "count", "max", "min", "sum"]
            .map(|name| Aggregation::named(name).unwrap().of(&values));
        assert_eq!(all.map(|result| result.to_string()), ["3", "3", "6", "1", "9"]);
    }

    #[test]
    fn says_what_it_does_not_take() {
        for (text, part) in [
            ("rate(m[5m])", "rate() is not supported"),
            ("m[5m]", "[5m] is not supported"),
            ("m > 3", "> 3 is not supported"),
            ("m offset 5m", "offset 5m is not supported"),
            ("sum(rate(m[1m]))", "inside an aggregation is not supported"),
            ("sum without (a) (m)", "not supported"),
            ("{a=~\".*\"}", "at least one matcher"),
            ("", "at least one matcher"),
            ("m{a}", "1:4: parse error: expected =, !=, =~ or !~"),
            ("m{a=\"b}", "unterminated"),
            ("m{a=~\"(\"}", "unclosed group"),
            ("m{a=1}", "expected a quoted text"),
            ("max(m", "expected \")\""),
            ("1+", "expected a number"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
