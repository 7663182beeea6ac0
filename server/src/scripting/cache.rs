//! The scripts that EVALSHA finds, by the digests of their texts.
//!
//! Those that came with EVAL are kept by how recently they were used, a bounded number of them, for clients that make a new text for each
//! call. Those of SCRIPT LOAD stay until SCRIPT FLUSH.

use std::collections::{BTreeMap, HashMap};

use super::flags::ScriptFlags;

/// The digest of a script, in lower-case hexadecimal digits.
pub type Digest = [u8; 40];

/// Scripts of EVAL that are kept.
const KEPT: usize = 500;

/// A script.
#[derive(Debug)]
pub struct Script<F> {
    /// Its text.
    pub body: Box<[u8]>,
    /// Its flags.
    pub flags: ScriptFlags,
    /// What it was compiled to.
    pub function: F,
    /// When it was used last, by the cache's own count; `None`: it is not evicted.
    used: Option<u64>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Cache<F> {
    scripts: HashMap<Digest, Script<F>, rapidhash::fast::RandomState>,
    /// Those that may be evicted, by when they were used.
    by_use: BTreeMap<u64, Digest>,
    uses: u64,
    memory: usize,
}

impl<F> Default for Cache<F> {
    fn default() -> Self {
        Cache { scripts: HashMap::default(), by_use: BTreeMap::new(), uses: 0, memory: 0 }
    }
}

impl<F> Cache<F> {
    /// The script of a digest.
    pub fn get(&self, digest: &Digest) -> Option<&Script<F>> {
        self.scripts.get(digest)
    }

    /// Takes a new script in. `keep`: it came with SCRIPT LOAD. Returns how many others had to go.
    pub fn insert(&mut self, digest: Digest, body: &[u8], flags: ScriptFlags, function: F, keep: bool) -> u64 {
        let mut evicted = 0;
        let used = (!keep).then(|| {
            while self.by_use.len() >= KEPT
                && let Some((_, oldest)) = self.by_use.pop_first()
            {
                if let Some(script) = self.scripts.remove(&oldest) {
                    self.memory -= size(&script.body);
                    evicted += 1;
                }
            }
            self.uses += 1;
            self.by_use.insert(self.uses, digest);
            self.uses
        });
        self.memory += size(body);
        self.scripts.insert(digest, Script { body: body.into(), flags, function, used });
        evicted
    }

    /// Takes note that a script was used.
    pub fn touch(&mut self, digest: &Digest) {
        let used = self.scripts.get_mut(digest).and_then(|script| script.used.as_mut());
        // Most calls are of the one that was called last.
        if let Some(used) = used.filter(|used| **used != self.uses) {
            self.by_use.remove(used);
            self.uses += 1;
            *used = self.uses;
            self.by_use.insert(self.uses, *digest);
        }
    }

    /// Keeps a script from being evicted.
    pub fn keep(&mut self, digest: &Digest) {
        if let Some(used) = self.scripts.get_mut(digest).and_then(|script| script.used.take()) {
            self.by_use.remove(&used);
        }
    }

    /// How many scripts there are.
    pub fn len(&self) -> usize {
        self.scripts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    /// Bytes of the scripts' texts, and of what it takes to find them.
    pub fn memory(&self) -> usize {
        self.memory
    }
}

fn size(body: &[u8]) -> usize {
    body.len() + size_of::<Digest>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: usize) -> Digest {
        let mut digest = [b'0'; 40];
        digest[..8].copy_from_slice(&n.to_le_bytes());
        digest
    }

    fn insert(cache: &mut Cache<()>, n: usize, keep: bool) -> u64 {
        cache.insert(digest(n), b"return 1", ScriptFlags::UNDECLARED, (), keep)
    }

    #[test]
    fn of_scripts_of_eval_the_least_recently_used_go() {
        let mut cache = Cache::default();
        assert_eq!((0..KEPT).map(|n| insert(&mut cache, n, false)).sum::<u64>(), 0);
        cache.touch(&digest(0));
        assert_eq!(insert(&mut cache, KEPT, false), 1);
        assert!(cache.get(&digest(0)).is_some() && cache.get(&digest(1)).is_none());
        assert_eq!(cache.len(), KEPT);
    }

    #[test]
    fn loaded_scripts_stay_also_those_that_came_with_eval_first() {
        let mut cache = Cache::default();
        insert(&mut cache, 0, true);
        insert(&mut cache, 1, false);
        cache.keep(&digest(1));
        (2..2 * KEPT).for_each(|n| {
            insert(&mut cache, n, false);
        });
        assert!(cache.get(&digest(0)).is_some() && cache.get(&digest(1)).is_some());
        assert_eq!(cache.len(), KEPT + 2);
    }
}
