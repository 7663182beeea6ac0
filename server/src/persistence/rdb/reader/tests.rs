use super::*;
use crate::persistence::rdb::crc64;
use crate::persistence::rdb::writer::{Writer, WriterOptions};

/// Gives one byte at a time, as a slow socket does.
struct Dripping<'a>(&'a [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = into.len().min(1);
        self.0.read(&mut into[..count])
    }
}

struct Log(Vec<u64>);

impl Observer for Log {
    fn progress(&mut self, bytes: u64) -> std::result::Result<(), String> {
        self.0.push(bytes);
        if self.0.len() < 1000 { Ok(()) } else { Err("enough".into()) }
    }
}

fn text(bytes: &[u8]) -> Result<Vec<u8>> {
    Reader::new(bytes).blob()
}

fn samples() -> Vec<Vec<u8>> {
    let mut samples: Vec<Vec<u8>> = [0, 1, 63, 64, 16383, 16384, 300_000].map(|n| vec![b'x'; n]).into();
    samples.extend(
        (0..70_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect::<Vec<_>>()
            .chunks(35_000)
            .map(<[u8]>::to_vec),
    );
    samples.extend(["0", "-1", "127", "128", "-32769", "2147483647", "2147483648"].map(|s| s.as_bytes().to_vec()));
    samples
}

#[test]
fn strings_come_back_as_they_were_written_however_the_bytes_arrive() {
    for compression in [true, false] {
        let mut writer = Writer::new(Vec::new(), WriterOptions { compression, checksum: true });
        for sample in samples() {
            writer.string(&sample).unwrap();
        }
        let (bytes, _) = writer.finish().unwrap();
        let read_all = |reader: &mut dyn FnMut() -> Vec<u8>| samples().iter().all(|sample| reader() == *sample);
        let mut slow = Reader::with_observer(Dripping(&bytes), (), 0, 64, true);
        assert!(read_all(&mut || slow.blob().unwrap()));
        assert_eq!(slow.offset(), bytes.len() as u64 - 8);
        assert_eq!(slow.checksum(), Some(crc64::checksum(&bytes[..bytes.len() - 8])));
        let mut fast = Reader::new(&bytes[..]);
        let mut out = Vec::new();
        assert!(read_all(&mut || fast.string_into(&mut out).map(|()| out.clone()).unwrap()));
        assert_eq!(fast.checksum(), slow.checksum());
        let mut skipping = Reader::with_observer(&bytes[..], (), 0, 1000, true);
        samples().iter().for_each(|_| skipping.skip_string().unwrap());
        assert_eq!(skipping.checksum(), slow.checksum());
    }
}

#[test]
fn an_announced_length_costs_no_memory_before_data_arrives() {
    // Nearly 2^64 bytes, 2^40 bytes, and a compressed string that claims 2^60.
    for bytes in
        [&[0x81, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3][..], &[0x81, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3]]
    {
        assert!(matches!(text(bytes).unwrap_err().kind(), ErrorKind::UnexpectedEof));
    }
    let bomb = [0xc3, 2, 0x81, 16, 0, 0, 0, 0, 0, 0, 0, 0, b'a'];
    assert_eq!(text(&bomb).unwrap_err().to_string(), "Invalid LZF compressed string at byte 13");
}

#[test]
fn the_end_of_the_data_is_reported_with_its_position() {
    assert_eq!(text(&[5, 1, 2]).unwrap_err().to_string(), "Unexpected EOF reading RDB file at byte 3");
    assert_eq!(text(&[]).unwrap_err().to_string(), "Unexpected EOF reading RDB file at byte 0");
    let mut long = vec![0x80, 0, 4, 0, 0];
    long.resize(200_000, 7);
    assert_eq!(text(&long).unwrap_err().to_string(), "Unexpected EOF reading RDB file at byte 200000");
}

#[test]
fn unknown_encodings_are_refused() {
    assert_eq!(text(&[0xc4]).unwrap_err().to_string(), "Unknown RDB string encoding type 4 at byte 1");
    let error = text(&[0x82]).unwrap_err().to_string();
    assert_eq!(error, "Unknown length encoding 130 in rdbLoadLen() at byte 1");
    assert!(Reader::new(&[0xc0, 1][..]).length().is_err());
}

#[test]
fn doubles_are_read_in_both_forms() {
    let mut reader = Reader::new(&b"\x033.5\x041e-3\xfe\xff\xfd\x03abc"[..]);
    assert_eq!(reader.text_double().unwrap(), 3.5);
    assert_eq!(reader.text_double().unwrap(), 0.001);
    assert_eq!(reader.text_double().unwrap(), f64::INFINITY);
    assert_eq!(reader.text_double().unwrap(), f64::NEG_INFINITY);
    assert!(reader.text_double().unwrap().is_nan());
    assert!(reader.text_double().is_err());
    assert_eq!(Reader::new(&(-0.1f64).to_le_bytes()[..]).double().unwrap(), -0.1);
}

#[test]
fn progress_is_told_as_data_arrives_also_within_one_long_string_and_can_stop_it() {
    let mut bytes = vec![0x80, 0, 0x10, 0, 0];
    bytes.resize(5 + (1 << 20), b'z');
    let mut reader = Reader::with_observer(&bytes[..], Log(Vec::new()), 100_000, 1000, false);
    reader.blob().unwrap();
    assert_eq!(reader.observer().0.last(), Some(&(bytes.len() as u64)));
    let mut stopped = Reader::with_observer(Dripping(&bytes), Log(Vec::new()), 1, 1000, false);
    assert!(stopped.blob().unwrap_err().to_string().starts_with("enough at byte "));
}

#[test]
fn bytes_beyond_what_was_consumed_are_handed_back() {
    let mut reader = Reader::new(&b"\x03abcREST"[..]);
    assert_eq!(reader.blob().unwrap(), b"abc");
    let (_, (), rest) = reader.into_rest();
    assert_eq!(rest, b"REST");
}
