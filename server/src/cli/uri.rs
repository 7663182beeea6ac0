//! Server addresses of the form `valkey://user:password@host:port/db`.

use std::ffi::OsStr;

use super::number;

/// What a URI says; what it leaves out stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uri {
    /// The scheme asks for TLS.
    pub encrypt: bool,
    /// Name for ACL authentication.
    pub user: Option<Vec<u8>>,
    /// Password, which alone also stands before the `@` (`valkey://password@host`).
    pub password: Option<Vec<u8>>,
    /// Host name or address, without the brackets of IPv6.
    pub host: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// Database number.
    pub db: Option<i32>,
}

/// Parses a URI. The schemes are `valkey` and `redis`, and with TLS `valkeys` and `rediss`; user and password may be percent-encoded (RFC 3986 section 2.1).
///
/// # Errors
/// A sentence for the user.
pub fn parse(uri: &str) -> Result<Uri, String> {
    let (scheme, rest) = uri.split_once("://").ok_or("Invalid URI scheme")?;
    let mut parsed = Uri::default();
    match scheme.to_ascii_lowercase().as_str() {
        "valkey" | "redis" => {}
        "valkeys" | "rediss" => parsed.encrypt = true,
        _ => return Err("Invalid URI scheme".to_owned()),
    }
    let rest = match rest.split_once('@') {
        Some((userinfo, rest)) => {
            let password = match userinfo.split_once(':') {
                Some((user, password)) => {
                    // An empty name, as in redis://:password@host, means the default user.
                    parsed.user = Some(percent_decode(user)?).filter(|user| !user.is_empty());
                    password
                }
                None => userinfo,
            };
            parsed.password = Some(percent_decode(password)?);
            rest
        }
        None => rest,
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or("Invalid URI: missing ']'")?;
            (host, after.strip_prefix(':').unwrap_or(after))
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    if !host.is_empty() {
        parsed.host = Some(host.to_owned());
    }
    if !port.is_empty() {
        parsed.port = Some(port.parse().map_err(|_| "Invalid server port.")?);
    }
    if !path.is_empty() {
        parsed.db = Some(number::short_int(OsStr::new(path)));
    }
    Ok(parsed)
}

fn percent_decode(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next(), bytes.next()) else {
            return Err("Incomplete URI encoding".to_owned());
        };
        let digit = |c: u8| (c as char).to_digit(16).ok_or("Illegal character in URI encoding");
        out.push((digit(high)? * 16 + digit(low)?) as u8);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(user: Option<&str>, password: Option<&str>, host: Option<&str>, port: Option<u16>, db: Option<i32>) -> Uri {
        Uri {
            user: user.map(Into::into),
            password: password.map(Into::into),
            host: host.map(Into::into),
            port,
            db,
            encrypt: false,
        }
    }

    #[test]
    fn each_part_of_an_address_is_optional() {
        let table = [
            ("valkey://", uri(None, None, None, None, None)),
            ("redis://h", uri(None, None, Some("h"), None, None)),
            ("VALKEY://h:1", uri(None, None, Some("h"), Some(1), None)),
            ("valkey://h:/2", uri(None, None, Some("h"), None, Some(2))),
            ("valkey:///2", uri(None, None, None, None, Some(2))),
            ("valkey://h/", uri(None, None, Some("h"), None, None)),
            ("valkey://p@h", uri(None, Some("p"), Some("h"), None, None)),
            ("valkey://:p@h", uri(None, Some("p"), Some("h"), None, None)),
            ("valkey://u:p@h:6380/5", uri(Some("u"), Some("p"), Some("h"), Some(6380), Some(5))),
            ("valkey://u:p%40%2f%3A%25@h", uri(Some("u"), Some("p@/:%"), Some("h"), None, None)),
            ("valkey://[::1]:7000/1", uri(None, None, Some("::1"), Some(7000), Some(1))),
            ("valkey://u:p@[fe80::1]", uri(Some("u"), Some("p"), Some("fe80::1"), None, None)),
        ];
        for (text, want) in table {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
        for text in ["valkeys://h", "REDISS://h"] {
            assert_eq!(parse(text), Ok(Uri { encrypt: true, ..uri(None, None, Some("h"), None, None) }), "{text}");
        }
    }

    #[test]
    fn a_wrong_address_is_refused_with_the_reason() {
        let table = [
            ("localhost:6379", "Invalid URI scheme"),
            ("http://h", "Invalid URI scheme"),
            ("valkey://h:70000", "Invalid server port."),
            ("valkey://h:x", "Invalid server port."),
            ("valkey://u:%4@h", "Incomplete URI encoding"),
            ("valkey://u:%zz@h", "Illegal character in URI encoding"),
            ("valkey://[::1", "Invalid URI: missing ']'"),
        ];
        for (text, want) in table {
            assert_eq!(parse(text), Err(want.to_owned()), "{text}");
        }
    }
}
