//! The password: Secret `<name>-auth` with a generated one, and `<name>-auth-conf` with the file that the server reads.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::{Error, Names, metadata};
use crate::api::ValkeyReplication;

/// Where the second Secret is mounted.
pub(super) const DIRECTORY: &str = "/etc/valkey-auth";
/// The file in it.
pub const FILE: &str = "auth.conf";
/// The key of the generated password.
pub const KEY: &str = "password";

/// The Secret that the password is read from, and the key in it.
pub fn source<'a>(resource: &'a ValkeyReplication, names: &Names<'_>) -> (String, &'a str) {
    match &resource.spec.auth.secret_name {
        Some(name) => (name.clone(), &resource.spec.auth.key),
        None => (names.auth(), KEY),
    }
}

/// Secret `<name>-auth` around a password that was just generated.
///
/// # Errors
/// When the resource lacks a uid.
pub fn generated(resource: &ValkeyReplication, names: &Names<'_>, password: &str) -> Result<Secret, Error> {
    Ok(Secret {
        metadata: metadata(resource, names, names.auth())?,
        string_data: Some(BTreeMap::from([(KEY.to_owned(), password.to_owned())])),
        type_: Some("Opaque".into()),
        ..Secret::default()
    })
}

/// Secret `<name>-auth-conf`: `auth.conf` with this password for clients and for replication.
///
/// # Errors
/// When no server could use the password.
pub fn rendered(resource: &ValkeyReplication, names: &Names<'_>, password: &[u8]) -> Result<Secret, Error> {
    let secret = || source(resource, names).0;
    if password.is_empty() {
        return Err(Error::EmptyPassword { secret: secret() });
    }
    if password.contains(&0) {
        return Err(Error::ZeroByte { secret: secret() });
    }
    let quoted = quote(password);
    let text = format!("requirepass {quoted}\nprimaryauth {quoted}\n");
    Ok(Secret {
        metadata: metadata(resource, names, names.auth_conf())?,
        data: Some(BTreeMap::from([(FILE.to_owned(), ByteString(text.into_bytes()))])),
        type_: Some("Opaque".into()),
        ..Secret::default()
    })
}

/// A word of `valkey.conf` that means exactly these bytes.
pub fn quote(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

/// A password of 40 letters and digits: 238 bits from the system's random numbers.
///
/// # Errors
/// When the system has none.
pub fn password() -> Result<String, getrandom::Error> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = [0_u8; 40];
    getrandom::fill(&mut random)?;
    Ok(random.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63)).copied().map(char::from)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::resource;

    #[test]
    fn any_byte_of_a_password_reaches_the_server_as_it_is() {
        assert_eq!(quote(br#"a "b" \c"#), r#""a \"b\" \\c""#);
        assert_eq!(quote("p\u{e4}ss\n\u{1}#'".as_bytes()), r#""p\xc3\xa4ss\x0a\x01#'""#);
    }

    #[test]
    fn a_password_that_no_client_could_send_is_refused() {
        let pair = resource(serde_json::json!({"auth": {"secretName": "mine", "key": "pw"}}));
        let names = Names::of(&pair).unwrap();
        assert_eq!(rendered(&pair, &names, b"a\0b").unwrap_err(), Error::ZeroByte { secret: "mine".into() });
        assert_eq!(rendered(&pair, &names, b"").unwrap_err(), Error::EmptyPassword { secret: "mine".into() });
    }

    #[test]
    fn generated_passwords_are_long_and_differ() {
        let (one, other) = (password().unwrap(), password().unwrap());
        assert_eq!(one.len(), 40);
        assert_ne!(one, other);
    }
}
