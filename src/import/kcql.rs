//! KCQL, as far as Stream Reactor's InfluxDB sink had it:
//!
//! `INSERT INTO m SELECT a, b.c AS d FROM t [IGNORE x] [WITHTIMESTAMP ts|sys_time()] [TIMESTAMPUNIT=…]
//! [WITHTAG (a, b AS c, k=v)]`

use super::ImportError;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Statement {
    pub(super) target: String,
    pub(super) topic: String,
    /// `SELECT *`.
    pub(super) all: bool,
    /// Path and name.
    pub(super) fields: Vec<(String, String)>,
    pub(super) ignored: Vec<String>,
    /// `None`: none is said. `sys_time()`: the clock.
    pub(super) timestamp: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) tags: Vec<Tag>,
    /// What is not understood.
    pub(super) rest: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tag {
    /// Path and name.
    Path(String, String),
    /// Name and text.
    Constant(String, String),
}

/// The statements of a text, apart by semicolons.
pub(super) fn statements(text: &str) -> Result<Vec<Statement>, ImportError> {
    text.split(';').map(str::trim).filter(|text| !text.is_empty()).map(statement).collect()
}

fn statement(text: &str) -> Result<Statement, ImportError> {
    let wrong = |what: &str| ImportError(format!("this KCQL {what}: {text}"));
    let words = words(text);
    let mut words = Words { words: &words, at: 0 };
    let insert = ["INSERT", "UPSERT"].iter().any(|word| words.take(word));
    if !insert || !words.take("INTO") {
        return Err(wrong("does not begin with INSERT INTO"));
    }
    let mut statement = Statement {
        target: words.word().ok_or_else(|| wrong("has no target"))?,
        ..Statement::default()
    };
    if !words.take("SELECT") {
        return Err(wrong("has no SELECT"));
    }
    for (path, name) in words.list() {
        match path.as_str() {
            "*" => statement.all = true,
            _ => statement.fields.push((path, name)),
        }
    }
    if !words.take("FROM") {
        return Err(wrong("has no FROM"));
    }
    statement.topic = words.word().ok_or_else(|| wrong("has no topic"))?;
    while let Some(word) = words.word() {
        match word.to_uppercase().as_str() {
            "IGNORE" => statement.ignored.extend(words.list().into_iter().map(|(path, _)| path)),
            "WITHTIMESTAMP" => {
                statement.timestamp = words.word();
                if words.take("(") {
                    words.take(")");
                    statement.timestamp = Some("sys_time()".into());
                }
            }
            "TIMESTAMPUNIT" => {
                words.take("=");
                statement.unit = words.word();
            }
            "WITHTAG" => {
                words.take("(");
                while !words.take(")") && words.peek().is_some() {
                    statement.tags.extend(words.tag());
                    words.take(",");
                }
            }
            "PK" => {
                let paths = words.list().into_iter();
                statement.tags.extend(paths.map(|(path, name)| Tag::Path(path, name)));
            }
            _ => statement.rest.push(word),
        }
    }
    Ok(statement)
}

/// Words, and each of `,`, `=`, `(` and `)` by itself. What is in backticks is a word.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted) = (String::new(), false);
    for c in text.chars() {
        match c {
            '`' => quoted = !quoted,
            c if !quoted && (c.is_whitespace() || matches!(c, ',' | '=' | '(' | ')')) => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                words.extend((!c.is_whitespace()).then(|| c.to_string()));
            }
            c => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

struct Words<'w> {
    words: &'w [String],
    at: usize,
}

impl Words<'_> {
    fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    /// Goes on if the next word is this one, in capitals or not.
    fn take(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|next| next.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn word(&mut self) -> Option<String> {
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        word
    }

    /// `a, b.c AS d`: paths and names.
    fn list(&mut self) -> Vec<(String, String)> {
        let mut list = Vec::new();
        while let Some(path) = self.word() {
            let name = self.name(&path);
            list.push((path, name));
            if !self.take(",") {
                break;
            }
        }
        list
    }

    /// What follows `AS`, or the last part of a path.
    fn name(&mut self, path: &str) -> String {
        let own = || path.rsplit('.').next().unwrap_or(path).to_owned();
        if self.take("AS") { self.word().unwrap_or_else(own) } else { own() }
    }

    fn tag(&mut self) -> Option<Tag> {
        let path = self.word()?;
        if !self.take("=") {
            let name = self.name(&path);
            return Some(Tag::Path(path, name));
        }
        // A constant may have spaces in it.
        let mut text = Vec::new();
        while let Some(word) = self.peek().filter(|word| !matches!(*word, "," | ")")) {
            text.push(word.to_owned());
            self.at += 1;
        }
        Some(Tag::Constant(path, text.join(" ")))
    }
}
