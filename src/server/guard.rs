//! Who may ask, and for what.
//!
//! With a token: whoever shows it. Without one: everybody who reaches the address may read, and only
//! an address of this machine takes changes; there, a web page of another site must not be able to
//! ask in the name of the person who looks at it.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Served;
use super::route::Refusal;

pub(super) fn check(served: &Served, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let changes = method != Method::GET && method != Method::HEAD;
    if changes && comes_from_elsewhere(headers) {
        return Err(Refusal::new(403, "a page of another site may not ask for changes"));
    }
    if let Some(file) = &served.token_file {
        let token = std::fs::read_to_string(file)
            .map_err(|error| Refusal::new(503, format!("`server.token_file`: {error}")))?;
        let token = token.trim();
        let shown = shown(headers);
        return if !token.is_empty() && shown.is_some_and(|shown| is_same(&shown, token)) {
            Ok(())
        } else {
            Err(Refusal::new(401, "the token of `server.token_file` is needed"))
        };
    }
    let local = served.listen.ip().is_loopback();
    if changes && !local {
        return Err(Refusal::new(
            403,
            "without `server.token_file` in tidegate.yaml, only an address of this machine takes \
             changes",
        ));
    }
    // A name that leads here only since the page was loaded would make its site this one.
    if local && !host(headers).is_none_or(is_local) {
        return Err(Refusal::new(403, "asked for under a name that is not this machine's"));
    }
    Ok(())
}

/// What a request shows: a bearer's token, or a login's password.
fn shown(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    let login = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest.trim()).ok());
    let login = String::from_utf8(login??).ok()?;
    login.split_once(':').map(|(_, password)| password.to_owned())
}

/// Takes the same time wherever the two differ.
fn is_same(shown: &str, token: &str) -> bool {
    let (shown, token) = (shown.as_bytes(), token.as_bytes());
    let different = shown.iter().zip(token).fold(0, |all, (a, b)| all | (a ^ b));
    shown.len() == token.len() && different == 0
}

fn comes_from_elsewhere(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    origin.map(|(_, host)| host) != host(headers)
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{is_local, is_same};

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in ["localhost", "localhost:8083", "127.0.0.1:1", "[::1]:8083", "LOCALHOST"] {
            assert!(is_local(host), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example:8083", "127.0.0.1.nip.io", "10.0.0.1", ""]
        {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn a_token_is_the_whole_of_it() {
        assert!(is_same("secret", "secret"));
        for shown in ["secre", "secrets", "", "Secret"] {
            assert!(!is_same(shown, "secret"), "{shown}");
        }
    }
}
