//! Which texts of a sink are told from the record, and where records may go.

use std::num::NonZeroUsize;

use super::point::parse_template;
use super::{At, Checker};
use crate::config::error::quoted;
use crate::config::raw;
use crate::map::{Piece, Template};
use crate::route::{Allowed, Routing, Slot};

/// Whether a sink's text is told from the record.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("}}")
}

/// The routing, if there is any. Also `None` for one that is wrong, which is reported.
pub(super) fn routing(raw: &raw::SinkChoice, checker: &mut Checker<'_>) -> Option<Routing> {
    let mut slots = Vec::new();
    let (sink, url, http) = match (&raw.influxdb, &raw.prometheus) {
        (Some(raw), _) => {
            let names = [
                ("database", &raw.database, Slot::Database),
                ("retention_policy", &raw.retention_policy, Slot::RetentionPolicy),
                ("bucket", &raw.bucket, Slot::Bucket),
            ];
            for (key, text, slot) in names {
                let Some(text) = text.as_deref().filter(|text| is_template(text)) else { continue };
                let template = parse_template(text, checker, &["sink", "influxdb", key]);
                slots.push(template.map(|template| (slot, template)));
            }
            ("influxdb", &raw.url, &raw.http)
        }
        (None, Some(raw)) => ("prometheus", &raw.url, &raw.http),
        (None, None) => return None,
    };
    if is_template(url) {
        slots.push(path(url, checker, &["sink", sink, "url"]));
    }
    for (name, text) in http.headers.iter().filter(|(_, text)| is_template(text)) {
        let at = ["sink", sink, "headers", name];
        slots.push(slot(Slot::Header(name.clone()), text, checker, &at));
    }
    let destinations = http.destinations.clone().unwrap_or_default();
    let at = ["sink", sink, "destinations"];
    if slots.is_empty() {
        if http.destinations.is_some() {
            let message = "nothing of this sink is told from the record: make `bucket`, `database`, \
                           `retention_policy`, a part of `url`'s path or a header a template, or \
                           leave this out";
            checker.wrong_key(&at, message);
        }
        return None;
    }
    let creates =
        sink == "influxdb" && raw.influxdb.as_ref().is_some_and(|raw| raw.create.is_some());
    if creates && destinations.allowed.is_none() {
        let message = "records could have anything created: name in `destinations.allowed` what \
                       may be, as names or patterns with `*`";
        checker.wrong_key(&["sink", sink, "create"], message);
    }
    let at = [&at[..], &["allowed"]].concat();
    let allowed = destinations.allowed.and_then(|texts| allowed(texts, checker, &at));
    let slots = slots.into_iter().collect::<Option<Vec<_>>>()?;
    let max_open = NonZeroUsize::new(destinations.max_open as usize)?;
    Some(Routing::new(slots, allowed, max_open))
}

fn allowed(texts: Vec<String>, checker: &mut Checker<'_>, at: At<'_>) -> Option<Allowed> {
    if texts.is_empty() {
        checker.wrong_key(at, "nothing is allowed; name what is, or leave this out");
    }
    let allowed = Allowed::new(texts);
    if allowed.is_none() {
        checker.wrong_key(at, "these are too many; write patterns with `*`");
    }
    allowed
}

/// A slot for a tenant, in which no other text can stand either.
fn slot(slot: Slot, text: &str, checker: &mut Checker<'_>, at: At<'_>) -> Option<(Slot, Template)> {
    let template = parse_template(text, checker, at)?;
    for piece in &template.0 {
        if let Piece::Text(text) = piece
            && let Some(why) = slot.refuses(text)
        {
            checker
                .wrong(at, format!("a template here makes a tenant, and {} {why}", quoted(text)));
        }
    }
    Some((slot, template))
}

/// The one part of an address's path that has placeholders in it.
fn path(url: &str, checker: &mut Checker<'_>, at: At<'_>) -> Option<(Slot, Template)> {
    let found = || {
        let host = url.find("://")? + "://".len();
        let start = host + url[host..].find('/')?;
        let end = url[start..].find('?').map_or(url.len(), |query| start + query);
        let (first, last) = (url.find("{{")?, url.rfind("}}")? + "}}".len());
        if first < start || last > end || first > last {
            return None;
        }
        let before = url[..first].rfind('/')? + 1;
        let after = url[last..end].find('/').map_or(end, |slash| last + slash);
        (!url[before..after].contains('/')).then_some((start..before, before..after, after..end))
    };
    let Some((before, part, after)) = found() else {
        let message = "a template can stand in one part of the path only, such as \
                       `http://host/insert/{{ header.tenant }}/prometheus/api/v1/write`";
        checker.wrong(at, message);
        return None;
    };
    let after_text = url[after].trim_end_matches('/').to_owned();
    let path = Slot::Path { before: url[before].to_owned(), after: after_text };
    slot(path, &url[part], checker, at)
}
