//! Versions and ciphers by the names that Valkey's configuration has for them, which are OpenSSL's.

use rustls::{ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion, version};

use super::Choices;

/// OpenSSL's name of a cipher of TLS 1.2; for TLS 1.3 both have the same.
fn openssl_name(suite: SupportedCipherSuite) -> String {
    let name = suite.suite().as_str().unwrap_or_default();
    match name.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}"),
        None => {
            let name = name.trim_start_matches("TLS_").replace("_WITH_", "_").replace("AES_", "AES");
            name.trim_end_matches("_SHA256").replace("CHACHA20_POLY1305", "CHACHA20-POLY1305").replace('_', "-")
                + if name.ends_with("AES128_GCM_SHA256") { "-SHA256" } else { "" }
        }
    }
}

fn is_tls13(suite: &SupportedCipherSuite) -> bool {
    suite.version().version == ProtocolVersion::TLSv1_3
}

/// The names of a list, without signs.
fn names(list: &[u8]) -> impl Iterator<Item = String> {
    let parts = list.split(|c| matches!(c, b':' | b',' | b' ')).filter(|name| !name.is_empty());
    parts.map(|name| String::from_utf8_lossy(name).into_owned())
}

/// What stands for every cipher that is fit for use.
fn means_all(name: &str) -> bool {
    ["DEFAULT", "ALL", "HIGH", "COMPLEMENTOFALL"].contains(&name)
}

/// Ciphers of a list that nobody here knows: the list is taken without them.
pub fn unknown_ciphers(choices: &Choices) -> Vec<String> {
    let known: Vec<String> = all().into_iter().map(openssl_name).collect();
    let listed = names(&choices.ciphers).chain(names(&choices.ciphersuites));
    listed.filter(|name| !name.starts_with(['!', '-', '+', '@']) && !means_all(name) && !known.contains(name)).collect()
}

fn all() -> Vec<SupportedCipherSuite> {
    rustls::crypto::ring::default_provider().cipher_suites
}

/// The ciphers that the lists leave, in their order.
pub(super) fn choose(all: Vec<SupportedCipherSuite>, choices: &Choices) -> Result<Vec<SupportedCipherSuite>, String> {
    let (newer, older): (Vec<_>, Vec<_>) = all.into_iter().partition(is_tls13);
    let newer = among(newer, &choices.ciphersuites, "tls-ciphersuites")?;
    let older = among(older, &choices.ciphers, "tls-ciphers")?;
    Ok(newer.into_iter().chain(older).collect())
}

fn among(known: Vec<SupportedCipherSuite>, list: &[u8], directive: &str) -> Result<Vec<SupportedCipherSuite>, String> {
    if list.is_empty() {
        return Ok(known);
    }
    let mut chosen: Vec<SupportedCipherSuite> = Vec::new();
    for name in names(list) {
        let (exclude, name) = match name.strip_prefix(['!', '-']) {
            Some(rest) => (true, rest.to_owned()),
            None => (false, name),
        };
        let meant = |suite: &SupportedCipherSuite| means_all(&name) || openssl_name(*suite) == name;
        if exclude {
            chosen.retain(|suite| !meant(suite));
        } else {
            let more: Vec<_> = known.iter().filter(|suite| meant(suite) && !chosen.contains(suite)).copied().collect();
            chosen.extend(more);
        }
    }
    if chosen.is_empty() {
        let known: Vec<_> = known.into_iter().map(openssl_name).collect();
        return Err(format!(
            "'{directive}' leaves no cipher that this server has: leave it empty, or name some of {}",
            known.join(":")
        ));
    }
    Ok(chosen)
}

/// The versions of a list; all for an empty one.
pub(super) fn versions(list: &[u8]) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let mut versions = Vec::new();
    for name in names(list) {
        versions.push(match name.to_ascii_lowercase().as_str() {
            "tlsv1.2" => &version::TLS12,
            "tlsv1.3" => &version::TLS13,
            "tlsv1" | "tlsv1.1" => {
                return Err(format!(
                    "this server does not speak {name}: 'tls-protocols' must be of TLSv1.2 and TLSv1.3"
                ));
            }
            _ => {
                return Err("Invalid tls-protocols specified. Use a combination of 'TLSv1.2' and 'TLSv1.3'".to_owned());
            }
        });
    }
    Ok(if versions.is_empty() { vec![&version::TLS13, &version::TLS12] } else { versions })
}

/// Whether a list of versions can be had.
pub fn check_protocols(list: &[u8]) -> Result<(), String> {
    versions(list).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(ciphers: &str) -> Result<Vec<String>, String> {
        let choices = Choices { ciphers: ciphers.into(), ..Choices::default() };
        let chosen = choose(all(), &choices)?;
        Ok(chosen.into_iter().filter(|suite| !is_tls13(suite)).map(openssl_name).collect())
    }

    #[test]
    fn ciphers_have_openssls_names() {
        let names: Vec<String> = all().into_iter().map(openssl_name).collect();
        for name in [
            "TLS_AES_256_GCM_SHA384",
            "TLS_AES_128_GCM_SHA256",
            "TLS_CHACHA20_POLY1305_SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-RSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-RSA-CHACHA20-POLY1305",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        }
    }

    #[test]
    fn a_list_chooses_in_its_order_and_leaves_out() {
        let two = ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"];
        assert_eq!(chosen(&two.join(":")).unwrap(), two);
        assert_eq!(chosen(&format!("AES128-SHA:{}", two[0])).unwrap(), two[..1]);
        assert_eq!(chosen("").unwrap(), chosen("DEFAULT:!AES128-SHA").unwrap());
        assert!(!chosen("DEFAULT:-ECDHE-RSA-AES128-GCM-SHA256").unwrap().contains(&two[0].to_owned()));
        assert!(chosen("AES128-SHA").unwrap_err().contains("'tls-ciphers'"));
    }

    #[test]
    fn versions_that_are_not_spoken_are_refused_with_what_to_do() {
        assert_eq!(versions(b"TLSv1.2 tlsv1.3").unwrap().len(), 2);
        assert!(check_protocols(b"TLSv1.1 TLSv1.2").unwrap_err().contains("TLSv1.2 and TLSv1.3"));
        assert!(check_protocols(b"SSL3").is_err());
    }
}
