use super::*;
use crate::data::value::{Str, Value};
use crate::persistence::rdb::dump::{Dumper, RestoreError, restore, verify};

fn payload(text: &[u8]) -> Vec<u8> {
    let entry = Entry::new(b"k", Value::Str(Str::parse(text)), None);
    Dumper::default().dump(entry.value(), true)
}

fn back(payload: &[u8]) -> Result<Content, RestoreError> {
    let limits = Limits::default();
    let value = restore(payload, VersionCheck::Strict, false, &value_options(&limits))?;
    Ok(content(Entry::new(b"k", value, None).value()))
}

#[test]
fn a_payload_is_the_one_that_valkey_9_makes() {
    // DUMP of `SET k foo`.
    assert_eq!(payload(b"foo")[..7], *b"\x00\x03foo\x50\x00");
    assert_eq!(back(&payload(b"foo")).unwrap(), Content::Str(b"foo".to_vec()));
    assert_eq!(payload(b"10")[..5], *b"\x00\xc0\x0a\x50\x00");
}

#[test]
fn long_and_compressible_values_come_back() {
    let mut dumper = Dumper::default();
    for len in [0, 1, 20, 21, 1023, 1024, 5000, 300_000] {
        for text in [vec![b'a'; len], (0..len).map(|i| (i * i % 251) as u8).collect()] {
            for compression in [true, false] {
                let entry = Entry::new(b"k", Value::Str(Str::Bytes(text.clone())), None);
                let payload = dumper.dump(entry.value(), compression);
                assert_eq!(back(&payload).unwrap(), Content::Str(text.clone()));
            }
        }
    }
}

#[test]
fn a_payload_with_a_wrong_frame_is_refused() {
    let good = payload(b"foo");
    assert_eq!(verify(&good, VersionCheck::Strict, false), Some(&b"\x00\x03foo"[..]));
    for cut in 0..good.len() {
        assert!(matches!(back(&good[..cut]), Err(RestoreError::WrongFrame)));
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(matches!(back(&bad), Err(RestoreError::WrongFrame)));
    }
}

#[test]
fn versions_of_foreign_servers_are_refused_unless_the_check_is_relaxed() {
    let with_version = |version: u8| {
        let mut bytes = b"\x00\x03foo".to_vec();
        bytes.extend_from_slice(&[version, 0]);
        bytes.extend_from_slice(&super::super::crc64::checksum(&bytes).to_le_bytes());
        bytes
    };
    for (version, strict) in [(0, false), (6, true), (11, true), (12, false), (79, false), (80, true), (81, false)] {
        assert_eq!(verify(&with_version(version), VersionCheck::Strict, false).is_some(), strict, "{version}");
        assert_eq!(verify(&with_version(version), VersionCheck::Relaxed, false).is_some(), version > 0, "{version}");
    }
}

#[test]
fn bad_data_in_a_sound_frame_is_told_apart() {
    let framed = |body: &[u8]| {
        let mut bytes = [body, &[80, 0]].concat();
        bytes.extend_from_slice(&super::super::crc64::checksum(&bytes).to_le_bytes());
        bytes
    };
    for body in [&b"\x63\x01x"[..], b"\x00\x05x", b"", b"\x02\x00", b"\x02\x02\x01a\x01a"] {
        assert!(matches!(back(&framed(body)), Err(RestoreError::BadData(_))), "{body:?}");
    }
    let mut bad = framed(b"\x00\x03foo");
    let end = bad.len() - 1;
    bad[end] ^= 1;
    let limits = Limits::default();
    assert!(restore(&bad, VersionCheck::Strict, true, &value_options(&limits)).is_ok(), "checksum left aside");
}
