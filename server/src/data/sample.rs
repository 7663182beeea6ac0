//! Taking several distinct elements at random.

use super::rng::Rng;

/// Gives `count` of the `len` items that `items` yields to `visit`, each subset as likely as another, in their order (selection
/// sampling: Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S).
pub(super) fn select<T>(
    items: impl Iterator<Item = T>,
    len: usize,
    count: usize,
    rng: &mut Rng,
    mut visit: impl FnMut(T),
) {
    let mut wanted = count.min(len);
    for (seen, item) in items.enumerate() {
        if wanted == 0 || seen >= len {
            return;
        }
        if rng.below(len - seen) < wanted {
            visit(item);
            wanted -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_chosen_about_equally_often() {
        let mut rng = Rng::new(5);
        let mut hits = [0u32; 10];
        for _ in 0..10_000 {
            let mut chosen = 0;
            select(0..10, 10, 3, &mut rng, |i: usize| {
                hits[i] += 1;
                chosen += 1;
            });
            assert_eq!(chosen, 3);
        }
        assert!(hits.iter().all(|h| (2700..3300).contains(h)), "{hits:?}");
        let mut all = 0;
        select(0..4, 4, 9, &mut rng, |_| all += 1);
        assert_eq!(all, 4);
    }
}
