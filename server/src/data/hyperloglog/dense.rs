//! The dense encoding: registers of six bits, the first in the low bits of the first byte.

use super::{REGISTERS, Registers};

const BITS: usize = 6;
const MASK: u16 = (1 << BITS) - 1;
/// Bytes that the registers take.
pub(super) const SIZE: usize = REGISTERS * BITS / 8;

/// The two bytes that hold a register, the first in the low bits, and where in them it begins. The last register ends with its byte.
fn window(bytes: &[u8], register: usize) -> (u16, usize) {
    let (at, shift) = (register * BITS / 8, register * BITS % 8);
    (u16::from(bytes[at]) | u16::from(bytes.get(at + 1).copied().unwrap_or(0)) << 8, shift)
}

fn get(bytes: &[u8], register: usize) -> u8 {
    let (window, shift) = window(bytes, register);
    (window >> shift & MASK) as u8
}

/// Sets a register to a value below 64.
pub(super) fn set(bytes: &mut [u8], register: usize, value: u8) {
    let (window, shift) = window(bytes, register);
    let [low, high] = (window & !(MASK << shift) | u16::from(value) << shift).to_le_bytes();
    let at = register * BITS / 8;
    bytes[at] = low;
    if let Some(next) = bytes.get_mut(at + 1) {
        *next = high;
    }
}

/// Sets a register to a value if that is more. Whether it was.
pub(super) fn raise(bytes: &mut [u8], register: usize, value: u8) -> bool {
    let more = value > get(bytes, register);
    if more {
        set(bytes, register, value);
    }
    more
}

/// The four registers in three bytes.
fn unpack(bytes: &[u8; 3]) -> [u8; 4] {
    let packed = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
    [0, 6, 12, 18].map(|shift| (packed >> shift) as u8 & MASK as u8)
}

/// Gives all registers in order.
pub(super) fn for_each(bytes: &[u8], mut visit: impl FnMut(u8)) {
    for group in bytes.as_chunks::<3>().0 {
        unpack(group).into_iter().for_each(&mut visit);
    }
}

/// Raises each register to what it is here.
pub(super) fn merge_into(registers: &mut Registers, bytes: &[u8], batched: bool) {
    if !batched {
        for (register, merged) in registers.iter_mut().enumerate() {
            *merged = (*merged).max(get(bytes, register));
        }
        return;
    }
    for (merged, group) in registers.as_chunks_mut::<4>().0.iter_mut().zip(bytes.as_chunks::<3>().0) {
        for (merged, value) in merged.iter_mut().zip(unpack(group)) {
            *merged = (*merged).max(value);
        }
    }
}
