//! HyperLogLog: how many distinct elements were seen, within about 0.81 %, in at most 12 KiB (Flajolet et al. 2007). Kept as a string, in
//! Valkey's bytes, so that files, replicas and GET carry it.
//!
//! # Layout
//! ```text
//! 0   "HYLL"
//! 4   encoding: 0 dense, 1 sparse
//! 5   3 bytes, unused
//! 8   the count as it was last computed, 64 bits, little-endian; its highest bit says that it is out of date
//! 16  registers: 16384 of 6 bits each (dense), or runs of them (sparse)
//! ```
//! An element's hash chooses a register by its low 14 bits; the register keeps the longest run of zeros, plus one, seen in the other
//! 50 bits.

mod dense;
mod estimate;
mod hash;
mod sparse;
#[cfg(test)]
mod tests;

pub use sparse::Run;

/// Registers of a HyperLogLog.
pub const REGISTERS: usize = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 14;
/// Bits of the hash in which zeros are counted.
const COUNT_BITS: u32 = 64 - INDEX_BITS;
const HEADER: usize = 16;
const MAGIC: &[u8] = b"HYLL";
const ENCODING_AT: usize = 4;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
const CACHE_AT: usize = 8;
const OUT_OF_DATE: u8 = 0x80;

/// The bytes are those of a HyperLogLog, but its runs do not make up all registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// How registers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Six bits each.
    Dense,
    /// As runs of equal ones: small while most are zero.
    Sparse,
}

/// One byte for each register, to merge several into.
pub type Registers = [u8; REGISTERS];

/// The bytes of a HyperLogLog that has seen nothing.
pub fn empty() -> Vec<u8> {
    let mut bytes = [MAGIC, &[SPARSE, 0, 0, 0], &[0; 8]].concat();
    sparse::push_zeros(&mut bytes, REGISTERS);
    bytes
}

/// The encoding, if these are the bytes of a HyperLogLog.
pub fn encoding(bytes: &[u8]) -> Option<Encoding> {
    if bytes.len() < HEADER || !bytes.starts_with(MAGIC) {
        return None;
    }
    match bytes[ENCODING_AT] {
        DENSE if bytes.len() == HEADER + dense::SIZE => Some(Encoding::Dense),
        SPARSE => Some(Encoding::Sparse),
        _ => None,
    }
}

fn is_dense(bytes: &[u8]) -> bool {
    bytes[ENCODING_AT] == DENSE
}

/// Takes notice of an element. Whether a register changed. Runs are given up for the dense encoding when they would take more than
/// `sparse_max` bytes, or cannot hold the value.
///
/// # Errors
/// If the runs are corrupt. Like the functions below, it is to be called with bytes that [`encoding`] accepts.
pub fn add(bytes: &mut Vec<u8>, element: &[u8], sparse_max: usize) -> Result<bool, Corrupt> {
    let (register, value) = hash::place(element);
    raise(bytes, register, value, sparse_max)
}

/// Sets a register to a value if that is more than what it holds. Whether it changed.
///
/// # Errors
/// If the runs are corrupt.
pub fn raise(bytes: &mut Vec<u8>, register: usize, value: u8, sparse_max: usize) -> Result<bool, Corrupt> {
    if !is_dense(bytes) {
        match sparse::raise(bytes, HEADER, register, value, sparse_max)? {
            sparse::Outcome::Unchanged => return Ok(false),
            sparse::Outcome::Changed => {
                outdate(bytes);
                return Ok(true);
            }
            sparse::Outcome::DoesNotFit => to_dense(bytes)?,
        };
    }
    let changed = dense::raise(&mut bytes[HEADER..], register, value);
    if changed {
        outdate(bytes);
    }
    Ok(changed)
}

/// Makes the encoding dense. Whether it was not.
///
/// # Errors
/// If the runs are corrupt.
pub fn to_dense(bytes: &mut Vec<u8>) -> Result<bool, Corrupt> {
    if is_dense(bytes) {
        return Ok(false);
    }
    let mut dense = vec![0; HEADER + dense::SIZE];
    dense[..HEADER].copy_from_slice(&bytes[..HEADER]);
    dense[ENCODING_AT] = DENSE;
    for_each_run(bytes, |first, run| {
        if run.value > 0 {
            (first..first + run.len).for_each(|register| dense::set(&mut dense[HEADER..], register, run.value));
        }
    })?;
    *bytes = dense;
    Ok(true)
}

/// Gives each run with the number of its first register.
fn for_each_run(bytes: &[u8], mut visit: impl FnMut(usize, Run)) -> Result<(), Corrupt> {
    let mut first = 0;
    for run in sparse::runs(&bytes[HEADER..]) {
        let run = run?;
        if first + run.len > REGISTERS {
            return Err(Corrupt);
        }
        visit(first, run);
        first += run.len;
    }
    if first == REGISTERS { Ok(()) } else { Err(Corrupt) }
}

/// Raises each register to what it is in these bytes. `batched`: several at a time; the result is the same.
///
/// # Errors
/// If the runs are corrupt.
pub fn merge_into(registers: &mut Registers, bytes: &[u8], batched: bool) -> Result<(), Corrupt> {
    if is_dense(bytes) {
        dense::merge_into(registers, &bytes[HEADER..], batched);
        return Ok(());
    }
    for_each_run(bytes, |first, run| {
        registers[first..first + run.len].iter_mut().for_each(|register| *register = (*register).max(run.value));
    })
}

/// The registers, in order.
///
/// # Errors
/// If the runs are corrupt.
pub fn registers(bytes: &[u8]) -> Result<Box<Registers>, Corrupt> {
    let mut registers = Box::new([0; REGISTERS]);
    merge_into(&mut registers, bytes, true)?;
    Ok(registers)
}

/// The runs of a sparse one.
pub fn runs(bytes: &[u8]) -> impl Iterator<Item = Result<Run, Corrupt>> {
    sparse::runs(&bytes[HEADER..])
}

/// The estimated number of distinct elements.
///
/// # Errors
/// If the runs are corrupt.
pub fn count(bytes: &[u8]) -> Result<u64, Corrupt> {
    let mut histogram = [0; 64];
    if is_dense(bytes) {
        dense::for_each(&bytes[HEADER..], |value| histogram[usize::from(value)] += 1);
    } else {
        for_each_run(bytes, |_, run| histogram[usize::from(run.value)] += run.len as u32)?;
    }
    Ok(estimate::cardinality(&histogram))
}

/// As [`count`], of merged registers.
pub fn count_registers(registers: &Registers) -> u64 {
    let mut histogram = [0; 64];
    registers.iter().for_each(|value| histogram[usize::from(value & 63)] += 1);
    estimate::cardinality(&histogram)
}

/// The count as it was last computed, unless it is out of date.
pub fn cached_count(bytes: &[u8]) -> Option<u64> {
    let cached: [u8; 8] = bytes.get(CACHE_AT..HEADER)?.try_into().ok()?;
    (cached[7] & OUT_OF_DATE == 0).then(|| u64::from_le_bytes(cached))
}

/// Keeps a computed count.
pub fn cache_count(bytes: &mut [u8], count: u64) {
    bytes[CACHE_AT..HEADER].copy_from_slice(&count.to_le_bytes());
}

/// Marks the kept count as out of date.
pub fn outdate(bytes: &mut [u8]) {
    bytes[HEADER - 1] |= OUT_OF_DATE;
}
