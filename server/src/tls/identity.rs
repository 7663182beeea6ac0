//! What stands in certificates: whom they name, their numbers, until when they are good.

use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

/// The common name. `None` where there is none, or one that is no name: with a zero byte in it, it might be taken for another.
pub fn common_name(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names: Vec<_> = certificate.subject().iter_common_name().collect();
    let name = names.first()?.as_str().ok()?;
    is_plain(name).then(|| name.to_owned())
}

/// The URIs of the alternative names, but for those that are no names.
pub fn uris(der: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    let alternative = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(names),
        _ => None,
    });
    let uris = alternative.flat_map(|names| &names.general_names).filter_map(|name| match name {
        GeneralName::URI(uri) if is_plain(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    uris.collect()
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains('\0')
}

/// The serial number in hexadecimal digits, and the Unix time in seconds until which the certificate is good.
pub fn serial_and_end(der: &[u8]) -> Option<(String, i64)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let serial: String = certificate.raw_serial().iter().map(|byte| format!("{byte:02X}")).collect();
    let digits = serial.trim_start_matches("00").to_owned();
    Some((digits, certificate.validity().not_after.timestamp()))
}
