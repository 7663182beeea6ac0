//! Two ends of a connection, each over a half of a socket pair, with the certificates of `server/tests/data/tls`.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::*;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

fn identity_of(name: &str) -> Identity {
    Identity { certificate: file(&format!("{name}.crt")), key: file(&format!("{name}.key")), password: Vec::new() }
}

fn trust() -> Trust {
    Trust { file: Some(file("ca.crt")), directory: None }
}

fn server_rules(authenticate: Authenticate) -> ServerRules {
    ServerRules {
        identity: identity_of("server"),
        trust: trust(),
        authenticate,
        choices: Choices::default(),
        prefer_own_ciphers: false,
        sessions: None,
    }
}

fn client_rules(identity: Option<&str>) -> ClientRules {
    ClientRules { identity: identity.map(identity_of), trust: Some(trust()), choices: Choices::default() }
}

/// Sends a text from the client to the server; gives what arrived, and the certificate that the client showed.
fn exchange(server: &ServerRules, client: &ClientRules) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
    let (mut a, mut b) = UnixStream::pair().unwrap();
    for socket in [&a, &b] {
        socket.set_nonblocking(true).unwrap();
    }
    let mut server = Session::server(server_config(server)?).unwrap();
    let mut client = Session::client(client_config(client)?, "somewhere").unwrap();
    let text = b"x".repeat(100_000);
    let (mut sent, mut arrived) = (0, Vec::new());
    for _ in 0..10_000 {
        match client.write(&mut b, &text[sent..]) {
            Ok(n) => sent += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e.to_string()),
        }
        match server.read(&mut a, 1000, |piece| arrived.extend_from_slice(piece)) {
            Ok(0) => return Err("closed".to_owned()),
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e.to_string()),
        }
        match client.read(&mut b, 1000, |_| {}) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e.to_string()),
            Ok(_) => return Err("closed".to_owned()),
        }
        if arrived.len() == text.len() {
            return Ok((arrived, server.peer_certificate()));
        }
    }
    Err("it does not end".to_owned())
}

#[test]
fn bytes_arrive_whatever_the_version() {
    for protocols in ["", "TLSv1.2", "TLSv1.3"] {
        let mut rules = server_rules(Authenticate::Yes);
        rules.choices.protocols = protocols.into();
        let (arrived, certificate) = exchange(&rules, &client_rules(Some("client"))).unwrap();
        assert_eq!(arrived.len(), 100_000, "{protocols}");
        assert_eq!(identity::common_name(&certificate.unwrap()).as_deref(), Some("Client-only"));
    }
}

#[test]
fn a_client_without_a_certificate_is_let_in_only_where_none_is_required() {
    assert!(exchange(&server_rules(Authenticate::Yes), &client_rules(None)).is_err());
    for authenticate in [Authenticate::Optional, Authenticate::No] {
        assert!(exchange(&server_rules(authenticate), &client_rules(None)).is_ok());
    }
}

#[test]
fn a_stranger_is_not_trusted_by_either_side() {
    let mut rules = client_rules(Some("stranger"));
    assert!(exchange(&server_rules(Authenticate::Yes), &rules).is_err());
    rules.identity = None;
    let impostor = ServerRules { identity: identity_of("stranger"), ..server_rules(Authenticate::No) };
    assert!(exchange(&impostor, &rules).is_err());
    rules.trust = None;
    assert!(exchange(&impostor, &rules).is_ok(), "unless anybody is trusted");
}

#[test]
fn versions_that_do_not_meet_do_not_agree() {
    let mut client = client_rules(None);
    client.choices.protocols = b"TLSv1.3".to_vec();
    let mut server = server_rules(Authenticate::No);
    server.choices.protocols = b"TLSv1.2".to_vec();
    assert!(exchange(&server, &client).is_err());
}

#[test]
fn an_encrypted_key_needs_its_password() {
    let mut rules = server_rules(Authenticate::No);
    rules.identity.key = file("server.encrypted.key");
    assert!(server_config(&rules).unwrap_err().contains("no password is set"));
    rules.identity.password = b"wrong".to_vec();
    assert!(server_config(&rules).unwrap_err().contains("can't be decrypted"));
    rules.identity.password = b"1234".to_vec();
    assert!(exchange(&rules, &client_rules(None)).is_ok());
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_name() {
    let mut rules = server_rules(Authenticate::Yes);
    rules.identity.certificate = file("server.key");
    assert!(server_config(&rules).unwrap_err().contains("server.key' holds no certificate"));
    rules = server_rules(Authenticate::Yes);
    rules.identity.key = file("client.key");
    assert!(server_config(&rules).unwrap_err().contains("server.crt"), "key and certificate do not belong together");
    rules = server_rules(Authenticate::Yes);
    rules.trust.file = Some(file("no-such.crt"));
    assert!(server_config(&rules).unwrap_err().contains("no-such.crt': No such file"));
}

#[test]
fn a_certificate_names_users() {
    let der = certificates(&file("client.crt")).unwrap().remove(0);
    assert_eq!(identity::uris(&der), ["urn:valkey:user:first", "urn:valkey:user:second"]);
    assert!(identity::serial_and_end(&der).is_some_and(|(serial, end)| !serial.is_empty() && end > 0));
}

#[test]
fn whoever_speaks_no_tls_is_refused_and_told() {
    let (mut a, mut b) = UnixStream::pair().unwrap();
    let mut server = Session::server(server_config(&server_rules(Authenticate::No)).unwrap()).unwrap();
    b.write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
    let error = server.read(&mut a, 100, |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    drop(a);
    let mut alert = Vec::new();
    b.read_to_end(&mut alert).unwrap();
    assert!(!alert.is_empty());
}

/// What `openssl req -x509` makes: it calls itself an authority.
#[test]
fn a_certificate_that_is_itself_among_the_trusted_is_accepted_by_either_side() {
    let itself = Trust { file: Some(file("itself.crt")), directory: None };
    let server = |trust: &Trust| ServerRules {
        identity: identity_of("itself"),
        trust: trust.clone(),
        ..server_rules(Authenticate::Yes)
    };
    let client = |trust: &Trust| ClientRules { trust: Some(trust.clone()), ..client_rules(Some("itself")) };
    let (_, shown) = exchange(&server(&itself), &client(&itself)).unwrap();
    assert_eq!(identity::common_name(&shown.unwrap()).as_deref(), Some("itself"));
    assert!(exchange(&server(&itself), &client(&trust())).is_err(), "the client trusts another one");
    assert!(exchange(&server(&trust()), &client(&itself)).is_err(), "the server trusts another one");
}
