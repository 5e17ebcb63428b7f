//! Conditions: `value.kind == 'temperature' and value.quality >= 0.5`.
//!
//! ```text
//! any   := all { "or" all }
//! all   := one { "and" one }
//! one   := "not" one | "(" any ")" | "exists" "(" SOURCE ")" | SOURCE [ test ]
//! test  := ("==" | "!=" | "<" | "<=" | ">" | ">=") (LITERAL | SOURCE)
//!        | "in" "[" LITERAL { "," LITERAL } "]"
//!        | "matches" TEXT
//! ```
//!
//! A source is what may stand in a template; a literal is a number, a text in quotes of either kind,
//! `true` or `false`.

use regex::Regex;

use super::Rule;
use crate::config::check::template::{self, Wrong};
use crate::map::{Comparison, Condition, Literal, Operand};

/// Deeper parentheses are a mistake, and would exhaust the stack.
const MAX_DEPTH: usize = 32;

impl Rule<'_, '_> {
    pub(super) fn condition(&mut self, text: &str) -> Option<Condition> {
        let at = [self.at, &["when"]].concat();
        let explodes = self.explodes;
        let read = |written: &str, at| template::placeholder(written, at, explodes);
        let example = "`value.kind`, `header.type`, `topic` or `key`";
        template::reported(condition(text, &read, example), self.checker, &at)
    }
}

/// Reads a condition whose sources `read` makes of what is written, given with its place in the text.
/// `example` says what may stand there.
pub(in crate::config::check) fn condition<S>(
    text: &str,
    read: &dyn Fn(&str, usize) -> Result<S, Wrong>,
    example: &str,
) -> Result<Condition<S>, Vec<Wrong>> {
    Parser { text, at: 0, depth: 0, read, example }.whole().map_err(|wrong| vec![wrong])
}

struct Parser<'t, S> {
    text: &'t str,
    at: usize,
    depth: usize,
    read: &'t dyn Fn(&str, usize) -> Result<S, Wrong>,
    example: &'t str,
}

impl<'t, S> Parser<'t, S> {
    fn whole(&mut self) -> Result<Condition<S>, Wrong> {
        let condition = self.any()?;
        match self.rest() {
            "" => Ok(condition),
            rest if rest.starts_with('=') => self.fail("to compare write `==`"),
            _ => self.fail("`and`, `or` or the end should follow here"),
        }
    }

    fn any(&mut self) -> Result<Condition<S>, Wrong> {
        let first = self.all()?;
        let mut any = vec![first];
        while self.word("or") {
            any.push(self.all()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Condition::Any(any) })
    }

    fn all(&mut self) -> Result<Condition<S>, Wrong> {
        let first = self.one()?;
        let mut all = vec![first];
        while self.word("and") {
            all.push(self.one()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::All(all) })
    }

    fn one(&mut self) -> Result<Condition<S>, Wrong> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail("nested too deeply");
        }
        let one = if self.word("not") {
            Condition::Not(Box::new(self.one()?))
        } else if self.sign("(") {
            let inner = self.any()?;
            self.expect(")")?;
            inner
        } else if self.word("exists") {
            self.expect("(")?;
            let source = self.source()?;
            self.expect(")")?;
            Condition::Exists(source)
        } else {
            let source = self.source()?;
            self.test(source)?
        };
        self.depth -= 1;
        Ok(one)
    }

    fn test(&mut self, source: S) -> Result<Condition<S>, Wrong> {
        // The longer signs first.
        const SIGNS: [(&str, Comparison); 6] = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        for (sign, comparison) in SIGNS {
            if self.sign(sign) {
                let with = match self.literal()? {
                    Some(literal) => Operand::Literal(literal),
                    None => Operand::Source(self.source()?),
                };
                return Ok(Condition::Compare(source, comparison, with));
            }
        }
        if self.word("in") {
            return Ok(Condition::In(source, self.list()?));
        }
        if self.word("matches") {
            let start = self.at;
            let Some(Literal::Text(text)) = self.literal()? else {
                return self.fail("a regular expression in quotes should follow `matches`");
            };
            let regex = Regex::new(&text);
            return match regex {
                Ok(regex) => Ok(Condition::Matches(source, regex)),
                Err(_) => Err(Wrong { at: start, message: "this is no regular expression".into() }),
            };
        }
        Ok(Condition::IsTrue(source))
    }

    fn list(&mut self) -> Result<Vec<Literal>, Wrong> {
        self.expect("[")?;
        let mut literals = Vec::new();
        loop {
            match self.literal()? {
                Some(literal) => literals.push(literal),
                None => {
                    return self.fail("a number, a text in quotes, `true` or `false` is needed");
                }
            }
            if !self.sign(",") {
                self.expect("]")?;
                return Ok(literals);
            }
        }
    }

    fn literal(&mut self) -> Result<Option<Literal>, Wrong> {
        for (word, value) in [("true", true), ("false", false)] {
            if self.word(word) {
                return Ok(Some(Literal::Boolean(value)));
            }
        }
        let rest = self.rest();
        let start = self.at;
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let Some(length) = rest[1..].find(quote) else {
                return self.fail("this quote is never closed");
            };
            self.at = start + length + 2;
            return Ok(Some(Literal::Text(rest[1..=length].to_owned())));
        }
        if !rest.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+' || c == '.') {
            return Ok(None);
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ')' | ']' | ','));
        let number = &rest[..end.unwrap_or(rest.len())];
        match number.parse::<f64>() {
            Ok(value) if value.is_finite() => {
                self.at += number.len();
                Ok(Some(Literal::Number(value)))
            }
            _ => self.fail("this is no number"),
        }
    }

    /// What may stand in a template; a path may have brackets with quotes in it.
    fn source(&mut self) -> Result<S, Wrong> {
        let rest = self.rest();
        let (mut quoted, mut escaped, mut brackets) = (false, false, 0_usize);
        let mut end = rest.len();
        for (at, c) in rest.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' if brackets > 0 => quoted = !quoted,
                _ if quoted => {}
                '[' => brackets += 1,
                ']' if brackets > 0 => brackets -= 1,
                _ if c.is_whitespace() || "()]=!<>,'\"".contains(c) => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        if end == 0 {
            return self.fail(&format!("a source is needed, such as {}", self.example));
        }
        let source = (self.read)(&rest[..end], self.at)?;
        self.at += end;
        Ok(source)
    }

    /// What is left, without the spaces before it.
    fn rest(&mut self) -> &'t str {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    /// A word that isn't the beginning of a longer one.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let found = rest.strip_prefix(word).is_some_and(|behind| {
            !behind.starts_with(|c: char| c.is_alphanumeric() || "._-".contains(c))
        });
        if found {
            self.at += word.len();
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Wrong> {
        if self.sign(sign) { Ok(()) } else { self.fail(&format!("a `{sign}` is missing here")) }
    }

    fn fail<T>(&self, message: &str) -> Result<T, Wrong> {
        Err(Wrong { at: self.at, message: message.into() })
    }
}
