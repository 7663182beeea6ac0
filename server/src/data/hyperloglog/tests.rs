use super::*;

const SPARSE_MAX: usize = 3000;

fn of(elements: impl Iterator<Item = u64>, sparse_max: usize) -> Vec<u8> {
    let mut bytes = empty();
    for element in elements {
        add(&mut bytes, &element.to_le_bytes(), sparse_max).unwrap();
    }
    bytes
}

#[test]
fn the_count_is_right_within_a_few_percent() {
    let (mut dense, mut sparse, mut expected) = (of(0..0, 0), empty(), 1);
    to_dense(&mut dense).unwrap();
    for i in 1..=100_000u64 {
        add(&mut dense, &i.to_le_bytes(), 0).unwrap();
        add(&mut sparse, &i.to_le_bytes(), SPARSE_MAX).unwrap();
        if i == expected {
            let count = count(&dense).unwrap();
            assert!(count.abs_diff(i) <= (i / 20).max(1), "{count} for {i}");
            assert_eq!(super::count(&sparse).unwrap(), count);
            expected *= 10;
        }
    }
    assert_eq!(registers(&dense).unwrap(), registers(&sparse).unwrap());
}

#[test]
fn runs_and_registers_say_the_same_after_every_change() {
    let mut bytes = empty();
    let mut model = [0u8; REGISTERS];
    let mut state = 12345u64;
    for _ in 0..3000 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        // Close to each other, so that runs are split and joined again.
        let (register, value) = ((state >> 33) as usize % 200 * 80 % REGISTERS, (state >> 50) as u8 % 6 + 1);
        let register = register + (state >> 60) as usize % 8;
        let changed = raise(&mut bytes, register, value, 1 << 20).unwrap();
        assert_eq!(changed, value > model[register]);
        model[register] = model[register].max(value);
    }
    assert_eq!(encoding(&bytes), Some(Encoding::Sparse));
    assert_eq!(*registers(&bytes).unwrap(), model);
    to_dense(&mut bytes).unwrap();
    assert_eq!(*registers(&bytes).unwrap(), model);
}

#[test]
fn equal_neighbours_become_one_run() {
    let mut bytes = empty();
    for register in [10, 12, 11, 13, 14] {
        raise(&mut bytes, register, 3, SPARSE_MAX).unwrap();
    }
    let runs: Vec<_> = runs(&bytes).map(|run| run.map(|run| (run.len, run.value))).collect();
    assert_eq!(runs, [Ok((10, 0)), Ok((4, 3)), Ok((1, 3)), Ok((REGISTERS - 15, 0))]);
}

#[test]
fn it_becomes_dense_when_runs_are_no_gain_or_cannot_hold_a_value() {
    let mut bytes = empty();
    raise(&mut bytes, 5, 33, SPARSE_MAX).unwrap();
    assert_eq!(encoding(&bytes), Some(Encoding::Dense));
    assert_eq!(registers(&bytes).unwrap()[5], 33);
    let many = of(0..5000, 100);
    assert_eq!(encoding(&many), Some(Encoding::Dense));
    assert_eq!(many.len(), 12304);
}

#[test]
fn merged_ones_have_seen_what_each_has_seen() {
    let (a, b) = (of(0..3000, 0), of(2000..6000, SPARSE_MAX));
    for batched in [false, true] {
        let mut merged = [0; REGISTERS];
        merge_into(&mut merged, &a, batched).unwrap();
        merge_into(&mut merged, &b, batched).unwrap();
        assert_eq!(merged, *registers(&of(0..6000, 0)).unwrap());
    }
}

#[test]
fn corrupt_runs_are_found_out() {
    assert_eq!(encoding(b"HYLL"), None);
    assert_eq!(encoding(b"HELL\x01\0\0\0\0\0\0\0\0\0\0\0"), None);
    for tail in [&b""[..], b"\x7f", b"\x7f\xff\x00", b"\x7f\xff\x7f\xff\x80", b"\x7f\xfe"] {
        let mut bytes = [&empty()[..HEADER], tail].concat();
        assert_eq!(count(&bytes), Err(Corrupt), "{tail:?}");
        assert_eq!(to_dense(&mut bytes), Err(Corrupt), "{tail:?}");
        assert_eq!(registers(&bytes), Err(Corrupt), "{tail:?}");
    }
}

#[test]
fn a_kept_count_is_out_of_date_after_a_change() {
    let mut bytes = empty();
    assert_eq!(cached_count(&bytes), Some(0));
    add(&mut bytes, b"a", SPARSE_MAX).unwrap();
    assert_eq!(cached_count(&bytes), None);
    cache_count(&mut bytes, 1);
    assert_eq!(cached_count(&bytes), Some(1));
    assert!(!add(&mut bytes, b"a", SPARSE_MAX).unwrap());
    assert_eq!(cached_count(&bytes), Some(1));
}
