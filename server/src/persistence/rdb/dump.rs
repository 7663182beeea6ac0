//! DUMP payloads: a value with its type, then the format's version (2 bytes) and a checksum (8 bytes) of all before it.

use std::io::{self, Write};

use super::crc64;
use super::error::{ErrorKind, RdbError, Result};
use super::format::{VERSION, ValueType, VersionCheck, opcode, version_accepted};
use super::object_load::{ValueOptions, load_value};
use super::object_save;
use super::reader::{Reader, Text};
use super::writer::{Compressor, Writer};
use crate::data::value::{Value, ValueRef};

const FOOTER: usize = 10;
/// Values up to this size are collected before they are appended.
const BUFFER: usize = 1024;

/// Makes payloads; keeps the compressor's memory between them.
#[derive(Default)]
pub struct Dumper {
    compressor: Option<Compressor>,
}

impl Dumper {
    /// The payload for a value, with strings compressed or not (`rdbcompression`). It always carries the newest version.
    pub fn dump(&mut self, value: ValueRef<'_>, compression: bool) -> Vec<u8> {
        let mut payload = Vec::new();
        let compressor = compression.then(|| self.compressor.take().unwrap_or_default());
        let mut writer = Writer::with_parts(&mut payload, BUFFER, false, compressor);
        let written = write(&mut writer, value);
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        let compressor = writer.into_compressor();
        self.compressor = self.compressor.take().or(compressor);
        payload.extend_from_slice(&(VERSION as u16).to_le_bytes());
        payload.extend_from_slice(&crc64::checksum(&payload).to_le_bytes());
        payload
    }
}

fn write<W: Write>(writer: &mut Writer<W>, value: ValueRef<'_>) -> io::Result<()> {
    writer.byte(object_save::value_type(value).code())?;
    object_save::save_value(writer, value)?;
    writer.flush()
}

/// The payload for function libraries, by their codes.
pub fn functions<'c>(codes: impl Iterator<Item = &'c [u8]>, compression: bool) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut writer = Writer::with_parts(&mut payload, BUFFER, false, compression.then(Compressor::default));
    let written = codes.into_iter().try_for_each(|code| {
        writer.byte(opcode::FUNCTION)?;
        writer.string(code)
    });
    let written = written.and_then(|()| writer.flush());
    debug_assert!(written.is_ok(), "writing to memory does not fail");
    drop(writer);
    payload.extend_from_slice(&(VERSION as u16).to_le_bytes());
    payload.extend_from_slice(&crc64::checksum(&payload).to_le_bytes());
    payload
}

/// The codes of function libraries in a payload. The checksum may be left aside, for tests.
///
/// # Errors
/// What is wrong with it, as FUNCTION RESTORE answers.
pub fn functions_of(
    payload: &[u8],
    check: VersionCheck,
    skip_checksum: bool,
) -> std::result::Result<Vec<Vec<u8>>, String> {
    let body = verify(payload, check, skip_checksum).ok_or("DUMP payload version or checksum are wrong")?;
    let mut reader = Reader::new(body);
    let mut codes = Vec::new();
    while reader.offset() < body.len() as u64 {
        match reader.byte() {
            Ok(opcode::FUNCTION) => {}
            Ok(opcode::FUNCTION_PRE_GA) => return Err("Pre-GA function format not supported".to_owned()),
            Ok(_) => return Err("given type is not a function".to_owned()),
            Err(_) => return Err("can not read data type".to_owned()),
        }
        let code = reader.string().map_err(|_| "failed loading the given functions payload")?;
        codes.push(match code {
            Text::Int(number) => number.to_string().into_bytes(),
            Text::Borrowed(bytes) => bytes.to_vec(),
            Text::Owned(bytes) => bytes,
        });
    }
    Ok(codes)
}

/// Why a payload is refused, as RESTORE answers.
#[derive(Debug)]
pub enum RestoreError {
    /// `ERR DUMP payload version or checksum are wrong`.
    WrongFrame,
    /// `ERR Bad data format`, and what is wrong with it.
    BadData(RdbError),
}

/// Checks the frame of a payload and gives what is in it. The checksum may be left aside, for tests.
pub fn verify(payload: &[u8], check: VersionCheck, skip_checksum: bool) -> Option<&[u8]> {
    let (body, footer) = payload.split_at_checked(payload.len().checked_sub(FOOTER)?)?;
    let (version, checksum) = footer.split_first_chunk::<2>()?;
    if !version_accepted(u32::from(u16::from_le_bytes(*version)), check) {
        return None;
    }
    let right = || crc64::checksum(&payload[..body.len() + 2]).to_le_bytes() == checksum;
    (skip_checksum || right()).then_some(body)
}

/// Makes the value of a payload anew.
pub fn restore(
    payload: &[u8],
    check: VersionCheck,
    skip_checksum: bool,
    options: &ValueOptions<'_>,
) -> std::result::Result<Value, RestoreError> {
    let body = verify(payload, check, skip_checksum).ok_or(RestoreError::WrongFrame)?;
    restore_body(body, options).map_err(RestoreError::BadData)
}

fn restore_body(body: &[u8], options: &ValueOptions<'_>) -> Result<Value> {
    let mut reader = Reader::with_observer(body, (), 0, body.len().min(super::reader::DEFAULT_BUFFER), false);
    let code = reader.byte()?;
    let Some(value_type) = ValueType::from_code(code) else {
        let what = format!("Unknown RDB encoding type {code}");
        return Err(reader.error(ErrorKind::Corrupt(what.into())));
    };
    load_value(&mut reader, value_type, options)
}
