//! The decimal digits of a double as Valkey prints them: by Grisu2, of Florian Loitsch, "Printing Floating-Point Numbers Quickly and Accurately
//! with Integers", 2010.
//!
//! The digits always read back as the same double. But Grisu2 calculates in 64 bits, and takes no number for granted that may be off by
//! one in the last of them: where only such a number would do, it goes on to a longer text or to a neighbour that is less close. So for
//! one double in a thousand its digits are not the shortest, or not the closest: 58192.09015 has seventeen, and is
//! shown as 5.8192090150000004e+4. Applications compare scores as text, and a replica's dump with its primary's, so it is Valkey's
//! digits that count here, not the best ones.

/// A number `frac * 2^exp`.
#[derive(Clone, Copy)]
struct Scaled {
    frac: u64,
    exp: i32,
}

impl Scaled {
    /// With the highest bit set.
    fn normalized(self) -> Scaled {
        let shift = self.frac.leading_zeros();
        Scaled { frac: self.frac << shift, exp: self.exp - shift as i32 }
    }

    /// The product's upper half, rounded: up to half a unit too large or too small.
    fn times(self, other: Scaled) -> Scaled {
        let product = u128::from(self.frac) * u128::from(other.frac);
        Scaled { frac: ((product + (1 << 63)) >> 64) as u64, exp: self.exp + other.exp + 64 }
    }
}

/// The powers of ten that are at hand: each eighth, from 10^-348 on.
const FIRST: i32 = -348;
const STEP: i32 = 8;
const COUNT: usize = 87;
const POWERS: [Scaled; COUNT] = powers();

/// The digits of `v`, which is finite and greater than zero, how many there are, and the power of ten of the last one.
pub fn digits(v: f64) -> ([u8; 20], usize, i32) {
    let (number, lower, upper) = neighbourhood(v);
    let (power, k) = power_for(upper.exp);
    let number = number.normalized().times(power);
    // One unit inside of what the products may be wrong by, so that all that lies between them is sure to be read as `v`.
    let upper = Scaled { frac: upper.times(power).frac - 1, exp: number.exp };
    let lower = Scaled { frac: lower.times(power).frac + 1, exp: number.exp };
    generate(number, lower, upper, -k)
}

/// The number, and the bounds halfway to its neighbours, which have one exponent.
fn neighbourhood(v: f64) -> (Scaled, Scaled, Scaled) {
    const HIDDEN: u64 = 1 << 52;
    let bits = v.to_bits();
    let (fraction, biased) = (bits & (HIDDEN - 1), (bits >> 52) as i32 & 0x7ff);
    let number = match biased {
        0 => Scaled { frac: fraction, exp: -1074 },
        _ => Scaled { frac: fraction | HIDDEN, exp: biased - 1075 },
    };
    let upper = Scaled { frac: 2 * number.frac + 1, exp: number.exp - 1 }.normalized();
    // Below a power of two the doubles lie twice as close.
    let closer = if number.frac == HIDDEN { 2 } else { 1 };
    let (frac, exp) = ((number.frac << closer) - 1, number.exp - closer);
    (number, Scaled { frac: frac << (exp - upper.exp), exp: upper.exp }, upper)
}

/// A power of ten, and which, with which a normalized number of this exponent has 32 to 60 bits after the point: the digits before it fit into 32.
fn power_for(exp: i32) -> (Scaled, i32) {
    // 29 exponents will do, and about 27 lie between two powers: where two powers would do, it is the first.
    let at = POWERS.partition_point(|power| exp + power.exp + 64 < -60);
    (POWERS[at], FIRST + STEP * at as i32)
}

/// Takes digits from the upper bound until what is left of it lies within the bounds.
fn generate(number: Scaled, lower: Scaled, upper: Scaled, mut scale: i32) -> ([u8; 20], usize, i32) {
    let (mut digits, mut len) = ([0; 20], 0);
    let put = |digit: u64, len: &mut usize, digits: &mut [u8; 20]| {
        if digit > 0 || *len > 0 {
            digits[*len] = b'0' + digit as u8;
            *len += 1;
        }
    };
    // How far the bounds are apart, and how far the number is below the upper one.
    let (mut width, mut below) = (upper.frac - lower.frac, upper.frac - number.frac);
    let point = -upper.exp;
    let one = 1u64 << point;
    let (mut whole, mut part) = (upper.frac >> point, upper.frac & (one - 1));
    for place in (0..10).rev() {
        let unit = 10u64.pow(place);
        put(whole / unit, &mut len, &mut digits);
        whole %= unit;
        let rest = (whole << point) + part;
        if rest <= width {
            round(&mut digits[len.saturating_sub(1)], rest, width, unit << point, below);
            scale += place as i32;
            return (digits, len, scale);
        }
    }
    loop {
        part *= 10;
        width *= 10;
        below = below.wrapping_mul(10);
        scale -= 1;
        put(part >> point, &mut len, &mut digits);
        part &= one - 1;
        if part < width {
            round(&mut digits[len.saturating_sub(1)], part, width, one, below);
            return (digits, len, scale);
        }
    }
}

/// Lowers the last digit as long as that stays within the bounds and leads closer to the number.
fn round(digit: &mut u8, mut rest: u64, width: u64, unit: u64, below: u64) {
    while rest < below && width - rest >= unit && (rest + unit < below || below - rest > rest + unit - below) {
        *digit -= 1;
        rest += unit;
    }
}

/// A number of many bits: room for 10^340 before the point, and behind it for 10^-348 with 250 bits more than are asked for.
const BEHIND: usize = 44;
const WORDS: usize = BEHIND + 37;

/// All powers, rounded to 64 bits: 1 divided by ten 348 times, and from there on 10^8 times as much for each.
const fn powers() -> [Scaled; COUNT] {
    let mut words = [0; WORDS];
    words[BEHIND] = 1;
    let mut exponent = 0;
    while exponent > FIRST {
        divide(&mut words, 10_000);
        exponent -= 4;
    }
    let mut powers = [Scaled { frac: 0, exp: 0 }; COUNT];
    let mut at = 0;
    while at < COUNT {
        powers[at] = rounded(&words);
        multiply(&mut words, 100_000_000);
        at += 1;
    }
    powers
}

const fn divide(words: &mut [u32; WORDS], by: u64) {
    let (mut i, mut rest) = (WORDS, 0);
    while i > 0 {
        i -= 1;
        let value = (rest << 32) | words[i] as u64;
        words[i] = (value / by) as u32;
        rest = value % by;
    }
}

const fn multiply(words: &mut [u32; WORDS], by: u64) {
    let (mut i, mut carry) = (0, 0);
    while i < WORDS {
        let value = words[i] as u64 * by + carry;
        words[i] = value as u32;
        carry = value >> 32;
        i += 1;
    }
}

const fn rounded(words: &[u32; WORDS]) -> Scaled {
    let mut top = WORDS - 1;
    while words[top] == 0 {
        top -= 1;
    }
    let mut bits = 0;
    let mut i = 0;
    while i < 4 {
        bits = (bits << 32) | words[top - i] as u128;
        i += 1;
    }
    let exp = 32 * (top as i32 - 3 - BEHIND as i32) + 64 - bits.leading_zeros() as i32;
    let bits = bits << bits.leading_zeros();
    match ((bits >> 64) as u64).checked_add((bits >> 63 & 1) as u64) {
        Some(frac) => Scaled { frac, exp },
        None => Scaled { frac: 1 << 63, exp: exp + 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(v: f64) -> String {
        let (digits, len, scale) = digits(v);
        format!("{}e{scale}", std::str::from_utf8(&digits[..len]).unwrap())
    }

    #[test]
    fn digits_are_those_of_valkey_also_where_better_ones_exist() {
        // Taken from Valkey 9.1.2, the first five of them by a search among random numbers.
        let table = [
            (58192.09015, "58192090150000004e-12"),
            (1223383794756801.2, "12233837947568013e-1"),
            (674309344592470.8, "6743093445924707e-1"),
            (7.583561129068938e-43, "7583561129068939e-58"),
            (0.1, "1e-1"),
            (1.0, "1e0"),
            (1e23, "9999999999999999e7"),
            (123.456, "123456e-3"),
            (f64::MAX, "17976931348623157e292"),
            (f64::MIN_POSITIVE, "22250738585072014e-324"),
            (5e-324, "5e-324"),
        ];
        for (v, want) in table {
            assert_eq!(text(v), want, "{v:e}");
        }
    }

    #[test]
    fn digits_are_read_back_as_the_same_double() {
        let mut bits = 1u64;
        for _ in 0..100_000 {
            // Knuth's MMIX generator: all exponents come up.
            bits = bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let v = f64::from_bits(bits >> 1);
            if v.is_finite() && v > 0.0 {
                assert_eq!(text(v).parse(), Ok(v), "{v:e}");
            }
        }
    }

    #[test]
    fn powers_of_ten_that_have_64_bits_are_exact() {
        let at = |k: i32| POWERS[((k - FIRST) / STEP) as usize];
        for (k, value) in [(4, 10_000u64), (12, 1_000_000_000_000)] {
            assert_eq!((at(k).frac >> -at(k).exp, at(k).frac << (64 + at(k).exp)), (value, 0), "10^{k}");
        }
    }
}
