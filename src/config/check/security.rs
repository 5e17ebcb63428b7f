//! What librdkafka would refuse in its own way, or wait for in silence.

use std::collections::BTreeMap;

use super::Checker;
use crate::config::Secret;

/// OAUTHBEARER without a source of tokens: librdkafka asks its application for one, and waits.
pub(super) fn oauthbearer(checker: &mut Checker<'_>, properties: &BTreeMap<String, Secret>) {
    let is = |property: &str, wanted: &str| {
        let value = properties.get(property).map(|value| value.expose().trim());
        value.is_some_and(|value| value.eq_ignore_ascii_case(wanted))
    };
    // The second is librdkafka's older name of the first.
    let mechanism = ["sasl.mechanism", "sasl.mechanisms"].into_iter();
    let Some(mechanism) = mechanism.into_iter().find(|name| is(name, "OAUTHBEARER")) else {
        return;
    };
    if is("sasl.oauthbearer.method", "oidc") {
        checker.wrong_key(
            &["kafka", "sasl.oauthbearer.method"],
            "`oidc` needs a librdkafka with libcurl, which this build does not have; use SCRAM, PLAIN \
             or a client certificate",
        );
    } else if !is("enable.sasl.oauthbearer.unsecure.jwt", "true") {
        checker.wrong_key(
            &["kafka", mechanism],
            "OAUTHBEARER has no source of tokens: there is only \
             `enable.sasl.oauthbearer.unsecure.jwt: true`, for tests; use SCRAM, PLAIN or a client \
             certificate",
        );
    }
}
