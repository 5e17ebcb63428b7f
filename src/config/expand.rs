//! `${VAR}`, `${VAR:-default}` and `${file:/path}` in values, and `$${` for a plain `${`.
//!
//! Done on the values of the parsed tree rather than on the text, so that a secret with a quote or
//! a colon in it can't change the file's meaning, and lines stay where they are.

use std::env::VarError;
use std::fmt;
use std::io::{self, Read as _};
use std::path::Path;

use super::error::{Findings, quoted};
use super::plain::Type;
use super::tree::{Node, Scalar, Value};

/// Where `${…}` gets its values from: the process's environment and files, or a test's.
pub struct Environment<'a> {
    variable: Box<Variables<'a>>,
    file: Box<Files<'a>>,
}

type Variables<'a> = dyn Fn(&str) -> Result<String, VarError> + 'a;
type Files<'a> = dyn Fn(&Path) -> io::Result<String> + 'a;

impl<'a> Environment<'a> {
    /// The process's own.
    pub fn process() -> Self {
        Self { variable: Box::new(|name| std::env::var(name)), file: Box::new(read) }
    }

    /// From two functions: a variable's value by its name, and a file's text by its path.
    pub fn new(
        variable: impl Fn(&str) -> Option<String> + 'a,
        file: impl Fn(&Path) -> io::Result<String> + 'a,
    ) -> Self {
        let variable = move |name: &str| variable(name).ok_or(VarError::NotPresent);
        Self { variable: Box::new(variable), file: Box::new(file) }
    }

    /// Variables from a function, and no files: for text that comes from elsewhere than the person
    /// who owns the process, such as a request.
    pub fn variables(variable: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self::new(variable, |_| Err(io::ErrorKind::PermissionDenied.into()))
    }
}

impl fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

fn read(path: &Path) -> io::Result<String> {
    const MOST: u64 = super::tree::MAX_BYTES as u64;
    let mut text = String::new();
    // `take`, so that a device file can't be read without end.
    let read = std::fs::File::open(path)?.take(MOST + 1).read_to_string(&mut text)?;
    if read as u64 > MOST {
        return Err(io::Error::other("larger than 1 MiB"));
    }
    Ok(text)
}

/// How much of a value came from an expansion. Such a value is never printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expansion {
    None,
    Part,
    /// The value was one `${…}` and nothing else.
    Whole,
}

/// Expands every value of a tree.
pub(super) fn expand(node: &mut Node, environment: &Environment<'_>, findings: &mut Findings) {
    match &mut node.value {
        Value::List(items) => {
            for item in items {
                expand(item, environment, findings);
            }
        }
        Value::Table(table) => {
            for entry in &mut table.entries {
                expand(&mut entry.value, environment, findings);
            }
        }
        Value::Scalar(scalar) if scalar.text.contains("${") => {
            match expanded(&scalar.text, environment) {
                Ok((text, expansion)) => *scalar = Scalar { text, expansion, ..scalar.clone() },
                Err(message) => {
                    findings.add(node.span, message);
                    node.standin = true;
                }
            }
            // What it is to be taken as depends on what is wanted: see `schema`.
            if let Value::Scalar(scalar) = &mut node.value {
                scalar.kind = Type::Text;
            }
        }
        Value::Scalar(_) => {}
    }
}

fn expanded(text: &str, environment: &Environment<'_>) -> Result<(String, Expansion), String> {
    let mut out = String::with_capacity(text.len());
    let mut expansion = Expansion::None;
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = inner.find('}').ok_or("`${` without `}`; write `$${` for a plain `${`")?;
        out.push_str(&value(&inner[..end], environment)?);
        let whole = at == 0 && rest.len() == text.len() && end + 1 == inner.len();
        expansion = if whole { Expansion::Whole } else { Expansion::Part };
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok((out, expansion))
}

/// The value of what stands between `${` and `}`.
fn value(reference: &str, environment: &Environment<'_>) -> Result<String, String> {
    if let Some(path) = reference.strip_prefix("file:") {
        return file(path, environment);
    }
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let legal =
        |at: usize, b: u8| b == b'_' || b.is_ascii_alphabetic() || at > 0 && b.is_ascii_digit();
    if name.is_empty() || !name.bytes().enumerate().all(|(at, byte)| legal(at, byte)) {
        // Not quoted: under a secret's key this may be half of the secret.
        return Err(
            "`${…}` takes `${NAME}`, `${NAME:-default}` or `${file:/path}`; write `$${` for \
                    a plain `${`"
                .into(),
        );
    }
    if default.is_some_and(|default| default.contains("${")) {
        return Err("a default can't hold another `${…}`".into());
    }
    match (environment.variable)(name) {
        // As in a shell: `:-` also stands in for a variable that is set to nothing.
        Ok(value) if value.is_empty() => Ok(default.unwrap_or_default().into()),
        Ok(value) => Ok(value),
        Err(VarError::NotUnicode(_)) => {
            Err(format!("the environment variable {} is not UTF-8", quoted(name)))
        }
        Err(VarError::NotPresent) => default.map(Into::into).ok_or_else(|| {
            let name = quoted(name);
            format!("the environment variable {name} is not set, and there is no `:-` default")
        }),
    }
}

fn file(path: &str, environment: &Environment<'_>) -> Result<String, String> {
    if !Path::new(path).is_absolute() {
        return Err(
            "`${file:…}` takes an absolute path, such as `${file:/run/secrets/token}`".into()
        );
    }
    let text = (environment.file)(Path::new(path))
        .map_err(|error| format!("can't read the file {}: {error}", quoted(path)))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment<'static> {
        Environment::new(
            |name| match name {
                "HOST" => Some("db".into()),
                "EMPTY" => Some(String::new()),
                "HARD" => Some("a\": ${HOST} #{".into()),
                _ => None,
            },
            |path| match path.to_str() {
                Some("/token") => Ok("hunter2\r\n".into()),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
        )
    }

    fn text(written: &str) -> String {
        expanded(written, &environment()).unwrap().0
    }

    #[test]
    fn variables_defaults_files_and_escapes_expand() {
        assert_eq!(text("http://${HOST}:${PORT:-8086}/"), "http://db:8086/");
        assert_eq!(text("${EMPTY:-x}${EMPTY}"), "x");
        assert_eq!(text("${file:/token}"), "hunter2");
        assert_eq!(text("$${HOST} $HOST $$ ${NONE:-}"), "${HOST} $HOST $$ ");
        assert_eq!(text("^a$"), "^a$");
    }

    #[test]
    fn a_value_is_not_expanded_again() {
        assert_eq!(text("${HARD}"), "a\": ${HOST} #{");
    }

    #[test]
    fn what_came_from_an_expansion_is_known() {
        let how = |written: &str| expanded(written, &environment()).unwrap().1;
        assert_eq!(how("${HOST}"), Expansion::Whole);
        assert_eq!(how("a${HOST}"), Expansion::Part);
        assert_eq!(how("${HOST}${HOST}"), Expansion::Part);
        assert_eq!(how("$${HOST}"), Expansion::None);
    }

    #[test]
    fn what_can_not_be_expanded_is_named() {
        let error = |written: &str| expanded(written, &environment()).unwrap_err();
        assert!(error("${NONE}").contains("`NONE` is not set"));
        assert!(error("${file:/nowhere}").contains("`/nowhere`"));
        assert!(error("${file:token}").contains("absolute"));
        assert!(error("${HOST").contains("without `}`"));
        assert!(error("${a b}").contains("takes"));
        assert!(error("${}").contains("takes"));
        assert!(error("${A:-${B}}").contains("default"));
    }
}
