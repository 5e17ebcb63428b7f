//! Routing: where in a database a record's points go, told from the record.
//!
//! A [`Routing`] has a template for each [`Slot`] that is not always the same. Their values in a
//! record are its [`Destination`]. What a value may be is judged here, before it comes near a request:
//! a record can choose among the places that it is allowed, and nothing else.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use regex::RegexSet;

use crate::map::{Piece, Template};

/// Names of databases and buckets are shorter; the limit keeps a record's text out of every request.
const MAX_NAME: usize = 255;
/// The longest tenant of Mimir and Cortex (`MaxTenantIDLength` in dskit's `tenant/tenant.go`).
const MAX_TENANT: usize = 150;
/// Between the values of a destination's key; no value may have it in it.
const SEPARATOR: char = '\n';
/// Stands in a destination's key for the name that a `route` gives, until that is known. No value may have
/// it in it.
pub const OPEN_PLACE: char = '\0';

/// A part of a request that is told from the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// InfluxDB 1 and 3.
    Database,
    /// InfluxDB 1.
    RetentionPolicy,
    /// InfluxDB 2.
    Bucket,
    /// A part of the address's path, between these, which begin and end with the path.
    Path { before: String, after: String },
    /// A header of this name.
    Header(String),
}

/// The places that a connector's points go to, checked.
#[derive(Debug, Clone)]
pub struct Routing {
    slots: Arc<[Slot]>,
    /// One for each slot.
    templates: Vec<Template>,
    allowed: Option<Allowed>,
    max_open: NonZeroUsize,
}

/// Names, or patterns with `*` in them, of destinations.
#[derive(Debug, Clone)]
pub struct Allowed {
    texts: Vec<String>,
    patterns: RegexSet,
}

/// Where a batch's points go: the values of the slots. The default is where nothing is told from the
/// record, and all goes to one place.
#[derive(Clone, Default)]
pub struct Destination(Option<Arc<Values>>);

struct Values {
    slots: Arc<[Slot]>,
    key: Box<str>,
}

/// A record that may not, or can't, go where it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RouteError(pub String);

impl Allowed {
    /// `None` when the patterns are too many or too long together.
    pub fn new(texts: Vec<String>) -> Option<Self> {
        let pattern = |text: &String| {
            let parts: Vec<_> = text.split('*').map(regex::escape).collect();
            format!("^{}$", parts.join(".*"))
        };
        let patterns = RegexSet::new(texts.iter().map(pattern)).ok()?;
        Some(Self { texts, patterns })
    }

    /// Those without a `*`.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str).filter(|text| !text.contains('*'))
    }
}

impl Routing {
    /// `max_open` is how many destinations a batch may have points for.
    pub fn new(
        slots: Vec<(Slot, Template)>,
        allowed: Option<Allowed>,
        max_open: NonZeroUsize,
    ) -> Self {
        let (slots, templates): (Vec<_>, _) = slots.into_iter().unzip();
        Self { slots: slots.into(), templates, allowed, max_open }
    }

    /// The templates of its slots, each with the slot's name.
    pub fn templates(&self) -> impl Iterator<Item = (&str, &Template)> {
        self.slots.iter().map(Slot::name).zip(&self.templates)
    }

    /// How many places its templates have for the name that a `route` gives.
    pub fn open_places(&self) -> usize {
        let pieces = self.templates.iter().flat_map(|template| &template.0);
        pieces.filter(|piece| matches!(piece, Piece::Route)).count()
    }

    /// Whether the name that a `route` gives is all that is told.
    pub fn is_known_by_route(&self) -> bool {
        self.templates.iter().all(Template::is_known_by_route)
    }

    /// The destination of points that a `route` has given this name, where that is all that is told.
    pub fn by_route(&self, name: &str) -> Result<Destination, RouteError> {
        let mut key = String::new();
        for (slot, template) in self.templates.iter().enumerate() {
            let text = template.0.iter().map(|piece| match piece {
                Piece::Text(text) => text,
                Piece::Route | Piece::Source(_) => name,
            });
            push_value(&mut key, slot, &text.collect::<String>());
        }
        self.destination(&key)
    }

    /// Allows what is given, unless it is said what is allowed.
    pub fn allowing(self, allowed: impl FnOnce() -> Option<Allowed>) -> Self {
        Self { allowed: self.allowed.or_else(allowed), ..self }
    }

    /// Whether a part of the address's path is told from the record.
    pub fn has_path(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Path { .. }))
    }

    pub fn max_open(&self) -> NonZeroUsize {
        self.max_open
    }

    /// The destinations that are allowed by name, as far as they can be told: for a look at them
    /// beforehand.
    pub fn known(&self) -> Vec<Destination> {
        let names = self.allowed.iter().flat_map(Allowed::names);
        let key = |name: &str| name.splitn(self.slots.len(), '/').collect::<Vec<_>>().join("\n");
        names.filter_map(|name| self.destination(&key(name)).ok()).collect()
    }

    /// The destination of these values, with a [line break](push_value) between them.
    pub fn destination(&self, key: &str) -> Result<Destination, RouteError> {
        let values: Vec<_> = key.split(SEPARATOR).collect();
        if values.len() != self.slots.len() {
            return Err(RouteError(format!(
                "the {} has a line break in it",
                self.slots.iter().map(Slot::name).collect::<Vec<_>>().join(" or ")
            )));
        }
        for (slot, value) in self.slots.iter().zip(values) {
            if let Some(why) = slot.refuses(value) {
                return Err(RouteError(format!("the {} {value:?} {why}", slot.name())));
            }
        }
        let values = Values { slots: Arc::clone(&self.slots), key: key.into() };
        let destination = Destination(Some(Arc::new(values)));
        let name = destination.to_string();
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.patterns.is_match(&name)) {
            let what = self.slots.iter().map(Slot::name).collect::<Vec<_>>().join(" and ");
            return Err(RouteError(format!(
                "the {what} {name:?} is not allowed by `destinations.allowed`"
            )));
        }
        Ok(destination)
    }
}

/// A destination's key as people read it, and as `destinations.allowed` has it.
pub fn shown(key: &str) -> String {
    key.replace(SEPARATOR, "/")
}

/// How many places of a destination's key are still open.
pub fn open_places(key: &str) -> usize {
    key.matches(OPEN_PLACE).count()
}

/// Appends a slot's value to a destination's key.
pub fn push_value(key: &mut String, slot: usize, value: &str) {
    if slot > 0 {
        key.push(SEPARATOR);
    }
    key.push_str(value);
}

impl Slot {
    /// As a person calls it.
    fn name(&self) -> &str {
        match self {
            Self::Database => "database",
            Self::RetentionPolicy => "retention policy",
            Self::Bucket => "bucket",
            Self::Path { .. } => "tenant in the path",
            Self::Header(name) => name,
        }
    }

    /// Why a value can't stand in this slot.
    pub fn refuses(&self, value: &str) -> Option<String> {
        if value.is_empty() {
            return Some("is empty".into());
        }
        match self {
            Self::Database | Self::RetentionPolicy => name_of_a_folder(value),
            Self::Bucket => name(value),
            Self::Path { .. } | Self::Header(_) => tenant(value),
        }
    }
}

fn name(value: &str) -> Option<String> {
    if value.len() > MAX_NAME {
        return Some(format!("is longer than {MAX_NAME} bytes"));
    }
    if value.starts_with('_') {
        return Some("begins with `_`; InfluxDB keeps such names for itself".into());
    }
    value.contains(char::is_control).then(|| "has a control character in it".into())
}

/// InfluxDB 1 keeps a database in a folder of its name (`ValidName` in its `services/meta/data.go`);
/// InfluxDB 3 takes fewer names.
fn name_of_a_folder(value: &str) -> Option<String> {
    let path = matches!(value, "." | "..") || value.contains(['/', '\\']);
    name(value).or_else(|| path.then(|| "can't be a name: it has a slash in it, or is dots".into()))
}

/// What Mimir and Cortex take for a tenant (`ValidTenantID` in dskit's `tenant/tenant.go`), and a
/// colon, which Mimir has before a subtenant, and VictoriaMetrics between an account and a project.
/// All of it can stand in a header and in a path as it is.
fn tenant(value: &str) -> Option<String> {
    if value.len() > MAX_TENANT {
        return Some(format!("is longer than {MAX_TENANT} bytes"));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!-_.*'():".contains(&byte);
    if matches!(value, "." | "..") || !value.bytes().all(fits) {
        let rule = "is no tenant: letters, digits and !-_.*'(): are, but not just dots";
        return Some(rule.into());
    }
    None
}

impl Destination {
    fn values(&self) -> impl Iterator<Item = (&Slot, &str)> {
        let values = self.0.iter();
        values.flat_map(|values| values.slots.iter().zip(values.key.split(SEPARATOR)))
    }

    fn value(&self, slot: &Slot) -> Option<&str> {
        self.values().find_map(|(own, value)| (own == slot).then_some(value))
    }

    /// Its database, unless that is always the same.
    pub fn database(&self) -> Option<&str> {
        self.value(&Slot::Database)
    }

    /// Its retention policy, likewise.
    pub fn retention_policy(&self) -> Option<&str> {
        self.value(&Slot::RetentionPolicy)
    }

    /// Its bucket, likewise.
    pub fn bucket(&self) -> Option<&str> {
        self.value(&Slot::Bucket)
    }

    /// The whole path of the address, likewise.
    pub fn path(&self) -> Option<String> {
        self.values().find_map(|(slot, value)| match slot {
            Slot::Path { before, after } => Some(format!("{before}{value}{after}")),
            _ => None,
        })
    }

    /// Headers, by name and value.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values().filter_map(|(slot, value)| match slot {
            Slot::Header(name) => Some((name.as_str(), value)),
            _ => None,
        })
    }

    /// Whether nothing of it is told from the record.
    pub fn is_constant(&self) -> bool {
        self.0.is_none()
    }

    /// Its values as [`Routing::destination`] takes them.
    pub fn key(&self) -> &str {
        self.0.as_ref().map_or("", |values| &values.key)
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Destination {}

impl PartialOrd for Destination {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Destination {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(other.key())
    }
}

/// The values, with a slash between them, as `destinations.allowed` has them.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.key()))
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routing(slots: &[Slot], allowed: Option<&[&str]>) -> Routing {
        let slots = slots.iter().map(|slot| (slot.clone(), Template(Vec::new()))).collect();
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let allowed = allowed.map(|texts| Allowed::new(owned(texts)).unwrap());
        Routing::new(slots, allowed, NonZeroUsize::MIN)
    }

    fn refused(routing: &Routing, key: &str) -> String {
        routing.destination(key).unwrap_err().to_string()
    }

    #[test]
    fn a_value_is_found_by_its_slot() {
        let path = Slot::Path { before: "/insert/".into(), after: "/write".into() };
        let header = Slot::Header("X-Scope-OrgID".into());
        let slots = [Slot::Database, Slot::RetentionPolicy, path, header];
        let destination = routing(&slots, None).destination("plant\nweek\n5:7\nacme").unwrap();
        assert_eq!(destination.database(), Some("plant"));
        assert_eq!(destination.retention_policy(), Some("week"));
        assert_eq!(destination.bucket(), None);
        assert_eq!(destination.path().as_deref(), Some("/insert/5:7/write"));
        assert_eq!(destination.headers().collect::<Vec<_>>(), [("X-Scope-OrgID", "acme")]);
        assert_eq!(destination.to_string(), "plant/week/5:7/acme");
        assert_eq!(Destination::default().database(), None);
    }

    #[test]
    fn a_value_that_could_become_something_else_is_refused() {
        let header = routing(&[Slot::Header("X-Scope-OrgID".into())], None);
        for bad in ["a\r", "a b", "a|b", "ä", "a\0", ".", "..", "a/b", "", &"x".repeat(151)] {
            let why = refused(&header, bad);
            assert!(why.starts_with("the X-Scope-OrgID "), "{bad:?}: {why}");
        }
        assert_eq!(refused(&header, "a\nb"), "the X-Scope-OrgID has a line break in it");
        let path = Slot::Path { before: "/insert/".into(), after: "/write".into() };
        for bad in ["..", "5/../6", "5?x=y", "5%2f6", "5#"] {
            assert!(routing(std::slice::from_ref(&path), None).destination(bad).is_err(), "{bad}");
        }
        let bucket = routing(&[Slot::Bucket], None);
        for bad in ["_monitoring", "a\tb", "", &"x".repeat(256)] {
            assert!(bucket.destination(bad).is_err(), "{bad:?}");
        }
        assert!(bucket.destination("plant/1 & co").is_ok());
        let database = routing(&[Slot::Database], None);
        for bad in ["..", "a/b", "a\\b", "_internal"] {
            assert!(database.destination(bad).is_err(), "{bad}");
        }
        // A line break in a value doesn't make two of it.
        let two = routing(&[Slot::Database, Slot::RetentionPolicy], None);
        assert!(two.destination("a\nb\nc").is_err());
    }

    #[test]
    fn only_what_is_allowed_is_a_destination() {
        let allowed: &[&str] = &["plant.north", "eu-*", "a*z"];
        let routing = routing(&[Slot::Bucket], Some(allowed));
        for good in ["plant.north", "eu-", "eu-1", "az", "abcz"] {
            assert!(routing.destination(good).is_ok(), "{good}");
        }
        for bad in ["plantXnorth", "plant.north2", "xplant.north", "eu", "neu-1", "abc"] {
            let expected = format!("the bucket {bad:?} is not allowed by `destinations.allowed`");
            assert_eq!(refused(&routing, bad), expected);
        }
        let known: Vec<_> = routing.known().iter().map(ToString::to_string).collect();
        assert_eq!(known, ["plant.north"]);
    }
}
