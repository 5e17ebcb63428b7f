//! Encryption: the client with its certificates, and what a failed handshake means.

use std::error::Error;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder, Identity};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError};

use crate::config::Tls;
use crate::files;

/// The files that a client is made from.
pub(super) fn files_of(tls: &Tls) -> Vec<PathBuf> {
    let identity = tls.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
    tls.ca.iter().chain(identity).cloned().collect()
}

/// Adds whom to trust, and who Tidegate is. Without a CA file the system's certificates count.
pub(super) fn configure(mut builder: ClientBuilder, tls: &Tls) -> Result<ClientBuilder, String> {
    if let Some(file) = &tls.ca {
        let authorities = certificates(file, "ca_file")?;
        let authorities = authorities.iter().map(|der| Certificate::from_der(der));
        let authorities = authorities
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| format!("`ca_file`: {} has a broken certificate", file.display()))?;
        builder = builder.tls_certs_only(authorities);
    }
    if let Some((certificate, key)) = &tls.identity {
        builder = builder.identity(identity(certificate, key)?);
    }
    Ok(builder.tls_danger_accept_invalid_certs(tls.insecure))
}

fn certificates(file: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = files::read(file, key)?;
    // The parser's own errors may have a line of the file in them.
    let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| {
        let file = file.display();
        format!("`{key}`: {file} has no whole certificate in it (`-----BEGIN CERTIFICATE-----`)")
    })
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity, String> {
    certificates(certificate, "cert_file")?;
    let mut pem = files::read(key, "key_file")?;
    if PrivateKeyDer::from_pem_slice(&pem).is_err() {
        let file = key.display();
        return Err(format!(
            "`key_file`: {file} has no whole, unencrypted key in it (`-----BEGIN PRIVATE KEY-----`)"
        ));
    }
    pem.push(b'\n');
    pem.extend_from_slice(&files::read(certificate, "cert_file")?);
    Identity::from_pem(&pem).map_err(|_| "`cert_file` and `key_file` can't be used".to_owned())
}

/// What a failed handshake means, and its mend. `None` when it has failed for another reason than
/// the certificates. `known` is whether Tidegate has shown a certificate of its own.
pub(super) fn explain(error: &reqwest::Error, host: &str, known: bool) -> Option<String> {
    Some(match handshake(error)? {
        rustls::Error::InvalidCertificate(certificate) => {
            format!("the certificate of {host} {}", certificate_error(certificate))
        }
        rustls::Error::AlertReceived(alert) => format!("{host} {}", refusal(*alert, known)?),
        rustls::Error::InvalidMessage(_) => format!(
            "{host} does not answer in TLS; if it is not encrypted, its address begins with `http://`"
        ),
        rustls::Error::PeerIncompatible(why) => {
            format!("{host} speaks no TLS that Tidegate does ({why:?}); TLS 1.2 or 1.3 is needed")
        }
        _ => return None,
    })
}

fn handshake(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An `io::Error` leaves the error that it wraps out of `source`.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = wrapped.map(|error| error as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

fn certificate_error(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "comes from an authority that is not trusted here; put \
            that authority's certificate into `tls_config.ca_file`"
            .into(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired; renew it on the server (or this machine's clock is wrong)".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet; look at this machine's clock and the server's".into()
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "is not for the name {}, but for {}; use one of its names in the address, or add the \
             name to the certificate",
            expected.to_str(),
            presented.join(", "),
        ),
        CertificateError::NotValidForName => "is for another name; use one of its names in the \
            address, or add the name to the certificate"
            .into(),
        other => format!("is not accepted: {other}"),
    }
}

/// Alerts about the client's certificate; others are not for a person to mend here.
fn refusal(alert: AlertDescription, known: bool) -> Option<&'static str> {
    let without = "asks for a client certificate; set `tls_config.cert_file` and `key_file`";
    Some(match alert {
        AlertDescription::CertificateRequired => without,
        // What TLS 1.2 has for it.
        AlertDescription::BadCertificate | AlertDescription::HandshakeFailure if !known => without,
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::DecryptError
        | AlertDescription::AccessDenied => {
            "refuses the client certificate; `tls_config.cert_file` must come from an authority \
             that the server trusts, and be meant for clients"
        }
        AlertDescription::CertificateExpired => {
            "refuses the client certificate as expired; renew `tls_config.cert_file`"
        }
        AlertDescription::ProtocolVersion => {
            "speaks no TLS that Tidegate does; TLS 1.2 or 1.3 is needed"
        }
        _ => return None,
    })
}
