//! Patterns of KEYS, SCAN, PSUBSCRIBE and CONFIG GET.

/// Whether a text matches a pattern, as Valkey's own matcher decides it.
///
/// `*` is any bytes, `?` is one, `[abc]`, `[a-z]` and `[^a]` are one of a set, `\` takes away the meaning of what
/// follows. A set that is not closed ends with the pattern. An empty text matches the empty pattern only, not `*`:
/// that is Valkey's habit, and commands that want all keys ask before matching. `nocase` ignores the case of ASCII.
///
/// A pattern that has more than 1000 stars to pass matches nothing, as in Valkey, which guards its stack so.
///
/// Only the last `*` is ever tried again, since whatever an earlier one could take more of, the last one can skip; so
/// the work is at most the product of the lengths, however many stars there are.
pub fn matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut at, mut position, mut stars) = (0, 0, 0);
    // Where to go on when what follows the last star does not match: after the star, one byte further in the text.
    let mut retry: Option<(usize, usize)> = None;
    while position < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            match pattern.get(at) {
                None => return true,
                Some(b'*') => continue,
                Some(_) => stars += 1,
            }
            if stars > MAX_STARS {
                return false;
            }
            retry = Some((at, position));
            continue;
        }
        match match_one(&pattern[at..], text[position], nocase) {
            Some(used) => {
                at += used;
                position += 1;
            }
            None => {
                let Some((after_star, start)) = retry else { return false };
                at = after_star;
                position = start + 1;
                retry = Some((after_star, position));
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Stars, not at the end, that a match may pass.
const MAX_STARS: usize = 1000;

/// Matches one byte against the first element of a pattern, which is no star; returns the element's length.
fn match_one(pattern: &[u8], byte: u8, nocase: bool) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', set @ ..] => {
            let (matched, used) = match_set(set, byte, nocase);
            matched.then_some(used + 1)
        }
        [b'\\', literal, ..] => same(*literal, byte, nocase).then_some(2),
        [literal, ..] => same(*literal, byte, nocase).then_some(1),
    }
}

/// Matches a byte against a set, given without its opening bracket; also returns the set's length.
fn match_set(set: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    let negated = set.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match &set[at..] {
            [] => break,
            [b'\\', literal, ..] => {
                found |= same(*literal, byte, nocase);
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [from, b'-', to, ..] => {
                let fold = |byte: u8| if nocase { byte.to_ascii_lowercase() } else { byte };
                let (low, high) = (fold(*from.min(to)), fold(*from.max(to)));
                found |= (low..=high).contains(&fold(byte));
                at += 3;
            }
            [literal, ..] => {
                found |= same(*literal, byte, nocase);
                at += 1;
            }
        }
    }
    (found != negated, at)
}

fn same(one: u8, other: u8, nocase: bool) -> bool {
    one == other || (nocase && one.eq_ignore_ascii_case(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        for text in matching {
            assert!(matches(pattern.as_bytes(), text.as_bytes(), false), "{pattern} should match {text:?}");
        }
        for text in others {
            assert!(!matches(pattern.as_bytes(), text.as_bytes(), false), "{pattern} should not match {text:?}");
        }
    }

    #[test]
    fn a_star_is_any_bytes_and_a_question_mark_is_one() {
        check("h*llo", &["hllo", "heeello"], &["hell", "xhllo"]);
        check("h?llo", &["hello"], &["hllo", "heello"]);
        check("a*b*c", &["abc", "aXbXbXc", "abbc"], &["ac", "abcd", "acb"]);
        check("a***", &["a", "ab"], &["b"]);
        check("*", &["x", "any thing"], &[""]);
        check("", &[""], &["x"]);
    }

    #[test]
    fn a_set_is_one_of_its_bytes() {
        check("h[ae]llo", &["hallo", "hello"], &["hillo", "hllo"]);
        check("h[^e]llo", &["hallo"], &["hello"]);
        check("[a-c]", &["a", "b", "c"], &["d", "-"]);
        check("[c-a]x", &["bx"], &["dx"]);
        check(r"[\]\-]", &["]", "-"], &["\\"]);
        check("[]a]", &[], &["a", "]"]);
    }

    #[test]
    fn a_set_that_is_not_closed_ends_with_the_pattern() {
        check("[ab", &["a", "b"], &["c", "ab"]);
        check("[", &[], &["["]);
        check("[^", &["x"], &["xy"]);
        check("[a-]", &["a", "]"], &["-b", "b"]);
    }

    #[test]
    fn a_backslash_takes_the_meaning_away() {
        check(r"a\*b", &["a*b"], &["axb"]);
        check(r"a\\", &[r"a\"], &["a"]);
        check(r"a\", &[r"a\"], &["a"]);
        check(r"\?", &["?"], &["x"]);
    }

    #[test]
    fn case_counts_unless_told_otherwise() {
        assert!(matches(b"MAX*Y", b"maxmemory", true));
        assert!(matches(b"[A-C]X", b"bx", true));
        assert!(!matches(b"MAX*", b"maxmemory", false));
    }

    #[test]
    fn any_byte_may_stand_in_pattern_and_text() {
        assert!(matches(b"\xff*\x00", b"\xff\xfe\x00", false));
        assert!(matches(b"[\x80-\xff]", b"\xc0", false));
    }

    #[test]
    fn there_are_only_so_many_stars() {
        let text = vec![b'a'; 3000];
        assert!(matches(&b"*a".repeat(1000), &text, false));
        assert!(!matches(&b"*a".repeat(1001), &text, false));
        assert!(matches(&[b'*'; 3000], &text, false));
    }

    #[test]
    fn many_stars_do_not_take_many_years() {
        let pattern = b"a*".repeat(1000);
        let text = [b"a".repeat(999), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &text, false));
    }
}
