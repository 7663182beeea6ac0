//! The password: Secret `<name>-auth` with a generated one, and `<name>-auth-conf` with the file that the server reads.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::{Error, Names, metadata};
use crate::{api::ValkeyReplication, instance::USER};

/// Where the second Secret is mounted.
pub(super) const DIRECTORY: &str = "/etc/valkey-auth";
/// The file in it.
pub const FILE: &str = "auth.conf";
/// The keys in it that remember which password it was rendered from, and which was in force before. Not mounted.
const CURRENT: &str = "current";
const PREVIOUS: &str = "previous";
/// The password of the operator's own user. Not mounted as such.
const OWN: &str = "operator";
/// The key of the generated password.
pub const KEY: &str = "password";
/// The longest word, in bytes, that a server takes of a client that has not logged in yet.
pub(super) const LONGEST: usize = 16_384;

/// The Secret that the password is read from, and the key in it.
pub fn source<'a>(resource: &'a ValkeyReplication, names: &Names<'_>) -> (String, &'a str) {
    match &resource.spec.auth.secret_name {
        Some(name) => (name.clone(), &resource.spec.auth.key),
        None => (names.auth(), KEY),
    }
}

/// Secret `<name>-auth` around the password in force, or one that was just generated.
///
/// # Errors
/// When the resource lacks a uid.
pub fn generated(resource: &ValkeyReplication, names: &Names<'_>, password: &[u8]) -> Result<Secret, Error> {
    Ok(Secret {
        metadata: metadata(resource, names, names.auth())?,
        data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(password.to_owned()))])),
        type_: Some("Opaque".into()),
        ..Secret::default()
    })
}

/// The password that was in force before this one, by what `<name>-auth-conf` says as it stands. A server that has not
/// heard of the new one yet takes it.
pub fn previous(standing: &Secret, password: &[u8]) -> Option<Vec<u8>> {
    let value = |key| standing.data.as_ref()?.get(key).map(|ByteString(bytes)| bytes.clone());
    match value(CURRENT) {
        Some(current) if current == password => value(PREVIOUS),
        current => current,
    }
}

/// The password that servers were last told, and the one before it: what is left where the Secret that it came from is gone or broken.
pub fn standing(standing: &Secret) -> Vec<Vec<u8>> {
    let value = |key| standing.data.as_ref()?.get(key).map(|ByteString(bytes)| bytes.clone());
    [value(CURRENT), value(PREVIOUS)].into_iter().flatten().collect()
}

/// The password in force, by a `<name>-auth-conf` that is this resource's: one of the same name may have had it before.
pub fn in_force(resource: &ValkeyReplication, conf: &Secret) -> Option<Vec<u8>> {
    let mut owners = conf.metadata.owner_references.iter().flatten();
    let own = owners.any(|owner| Some(&owner.uid) == resource.metadata.uid.as_ref());
    standing(conf).into_iter().next().filter(|_| own)
}

/// The password of the operator's own user, as it was generated when `<name>-auth-conf` was first made.
pub fn own(standing: &Secret) -> Option<String> {
    let ByteString(bytes) = standing.data.as_ref()?.get(OWN)?;
    String::from_utf8(bytes.clone()).ok()
}

/// Secret `<name>-auth-conf`: `auth.conf` with this password for clients, and for replication that of the operator's own user. None is made
/// while the resource is paused.
///
/// # Errors
/// When no server could use the password.
pub fn rendered(
    resource: &ValkeyReplication,
    names: &Names<'_>,
    password: &[u8],
    previous: Option<&[u8]>,
    own: Option<&str>,
) -> Result<Secret, Error> {
    let secret = || source(resource, names).0;
    if password.is_empty() {
        return Err(Error::EmptyPassword { secret: secret() });
    }
    if password.contains(&0) {
        return Err(Error::ZeroByte { secret: secret() });
    }
    if password.len() > LONGEST {
        let (secret, key) = source(resource, names);
        return Err(Error::LongPassword { secret, key: key.to_owned(), bytes: password.len() });
    }
    let text = file(password, own);
    let mut data = BTreeMap::from([
        (FILE.to_owned(), ByteString(text.into_bytes())),
        (CURRENT.to_owned(), ByteString(password.to_vec())),
    ]);
    data.extend(previous.map(|previous| (PREVIOUS.to_owned(), ByteString(previous.to_vec()))));
    data.extend(own.map(|own| (OWN.to_owned(), ByteString(own.as_bytes().to_vec()))));
    Ok(Secret {
        metadata: metadata(resource, names, names.auth_conf())?,
        data: Some(data),
        type_: Some("Opaque".into()),
        ..Secret::default()
    })
}

/// The text of `auth.conf`: this password for clients. For replication the same, or that of the operator's own user, so that clients can be
/// given another one without a thought for the instances.
pub fn file(password: &[u8], own: Option<&str>) -> String {
    let quoted = quote(password);
    match own {
        None => format!("requirepass {quoted}\nprimaryauth {quoted}\n"),
        Some(own) => format!(
            "requirepass {quoted}\nuser {USER} on >{own} ~* &* +@all\nprimaryuser {USER}\nprimaryauth {}\n",
            quote(own.as_bytes())
        ),
    }
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
        assert_eq!(
            rendered(&pair, &names, b"a\0b", None, None).unwrap_err(),
            Error::ZeroByte { secret: "mine".into() }
        );
        assert_eq!(
            rendered(&pair, &names, b"", None, None).unwrap_err(),
            Error::EmptyPassword { secret: "mine".into() }
        );
        assert!(rendered(&pair, &names, &[b'x'; 16_384], None, None).is_ok());
        let error = rendered(&pair, &names, &[b'x'; 16_385], None, None).unwrap_err().to_string();
        assert!(["Secret mine", "key pw", "16385 bytes", "16384"].iter().all(|said| error.contains(said)), "{error}");
    }

    #[test]
    fn the_password_before_the_last_change_is_remembered() {
        let pair = resource(serde_json::json!({}));
        let names = Names::of(&pair).unwrap();
        let first = rendered(&pair, &names, b"one", None, None).unwrap();
        assert_eq!(previous(&first, b"one"), None);
        let before = previous(&first, b"two");
        assert_eq!(before.as_deref(), Some(&b"one"[..]));
        let second = rendered(&pair, &names, b"two", before.as_deref(), None).unwrap();
        assert_eq!(previous(&second, b"two").as_deref(), Some(&b"one"[..]));
    }

    #[test]
    fn with_a_user_of_its_own_the_operator_and_the_instances_do_not_depend_on_the_clients_password() {
        let pair = resource(serde_json::json!({}));
        let secret = rendered(&pair, &Names::of(&pair).unwrap(), b"one", None, Some("0wn")).unwrap();
        assert_eq!(own(&secret).as_deref(), Some("0wn"));
        let text = String::from_utf8(secret.data.unwrap()[FILE].0.clone()).unwrap();
        assert_eq!(
            text,
            "requirepass \"one\"\nuser valkey-operator on >0wn ~* &* +@all\n\
             primaryuser valkey-operator\nprimaryauth \"0wn\"\n"
        );
    }

    #[test]
    fn what_servers_were_last_told_is_known_without_the_secret_that_it_came_from() {
        let pair = resource(serde_json::json!({}));
        let secret = rendered(&pair, &Names::of(&pair).unwrap(), b"two", Some(b"one"), None).unwrap();
        assert_eq!(standing(&secret), [b"two".to_vec(), b"one".to_vec()]);
    }

    #[test]
    fn generated_passwords_are_long_and_differ() {
        let (one, other) = (password().unwrap(), password().unwrap());
        assert_eq!(one.len(), 40);
        assert_ne!(one, other);
    }
}
