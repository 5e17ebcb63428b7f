//! Which texts of a sink are told from the record, and where records may go.

use std::num::NonZeroUsize;

use super::{At, Checker, template};
use crate::config::error::quoted;
use crate::config::raw;
use crate::map::{Piece, Template};
use crate::process::Processor;
use crate::route::{Allowed, Routing, Slot};

/// Whether a sink's text is told from the record.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("}}")
}

fn parse(text: &str, checker: &mut Checker<'_>, at: At<'_>) -> Option<Template> {
    template::reported(template::parse_of_sink(text), checker, at)
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
                let template = parse(text, checker, &["sink", "influxdb", key]);
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
    let slots = slots.into_iter().collect::<Option<Vec<_>>>();
    let is_known = slots.iter().flatten().all(|(_, template)| template.is_known_by_route());
    if creates && destinations.allowed.is_none() && !is_known {
        let message = "records could have anything created: name in `destinations.allowed` what \
                       may be, as names or patterns with `*`";
        checker.wrong_key(&["sink", sink, "create"], message);
    }
    let at = [&at[..], &["allowed"]].concat();
    let allowed = destinations.allowed.and_then(|texts| allowed(texts, checker, &at));
    let max_open = NonZeroUsize::new(destinations.max_open as usize)?;
    Some(Routing::new(slots?, allowed, max_open))
}

/// The same with what `route` in `process` says: both that it is there where the sink needs it, and the names
/// that it gives, which are all that is allowed where nothing else is told.
pub(super) fn by_routes(
    raw: &raw::ConnectorFile,
    routing: Option<Routing>,
    processors: Option<&[Processor]>,
    checker: &mut Checker<'_>,
) -> Option<Routing> {
    let is_asked =
        routing.as_ref().map_or(!checker.findings.is_empty(), |own| own.open_places() > 0);
    let steps = raw.process.iter().enumerate();
    let mut routes = steps.filter_map(|(index, step)| Some((index, step.route.as_ref()?)));
    let Some((index, rules)) = routes.next() else {
        if routing.is_some() && is_asked {
            let message = "the sink has `{{ route }}` in it, and there is no `route` in `process` to name one";
            checker.wrong_key(&["sink"], message);
        }
        return routing;
    };
    let place = index.to_string();
    if let Some((another, _)) = routes.next() {
        let message = "each point has its route by now: put the rules of both into one";
        checker.wrong_key(&["process", &another.to_string(), "route"], message);
    }
    if !is_asked {
        let message = "the sink takes no route: write `{{ route }}` where its name belongs, such as \
                       `bucket: '{{ route }}'`";
        checker.wrong_key(&["process", &place, "route"], message);
    }
    let routing = routing?;
    if !routing.is_known_by_route() {
        let mut before = processors.into_iter().flatten().take(index);
        if let Some(first) = before.find(|processor| processor.remembers()) {
            let message = format!(
                "this stands behind `{}`, which remembers, and the sink tells more than `{{{{ route }}}}` \
                 from the record: a place that is not allowed must be known before; put `route` first",
                first.name()
            );
            checker.wrong_key(&["process", &place, "route"], message);
        }
        return Some(routing);
    }
    let mut names = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        match routing.by_route(&rule.to) {
            Ok(destination) => names.push(destination.to_string()),
            Err(error) => {
                let at = ["process", &place, "route", &number.to_string(), "to"];
                checker.wrong(&at, error.to_string());
            }
        }
    }
    Some(routing.allowing(|| Allowed::new(names)))
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
    let template = parse(text, checker, at)?;
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
