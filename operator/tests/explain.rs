//! `valkey-operator explain`, run as a user runs it in the operator's pod.

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    thread,
};

use valkey_repl_engine::Explanation;

/// An operator that gives this explanation to the first who asks; its address.
fn operator(explanation: &Explanation) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let body = serde_json::to_string(explanation).unwrap();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        write!(client, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    });
    address
}

#[test]
fn it_needs_no_certificates_for_an_operator_that_shows_none() {
    let address = operator(&Explanation { waits: vec!["Steady".into()], ..Explanation::default() });
    let mut command = Command::new(env!("CARGO_BIN_EXE_valkey-operator"));
    // As in the operator's image, which holds one program and nothing else.
    command.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    let output = command.args(["explain", "pair", "--address", &address]).output().unwrap();
    let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{error}");
    assert!(text.contains("Steady"), "{text}");
}
