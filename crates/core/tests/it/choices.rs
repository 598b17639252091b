//! Where a walk takes its choices from: a seed, or bytes that proptest can shrink.

/// Choices. Zero is always the plain, faultless one, so that a shrunk case is a plain walk.
pub(crate) trait Choose {
    /// A number from 0 to `n - 1`.
    fn below(&mut self, n: u32) -> u32;

    /// True once in `n` times.
    fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == n - 1
    }

    /// One of them; the first is the plain one.
    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        let count = u32::try_from(all.len()).unwrap();
        all[self.below(count) as usize].clone()
    }
}

/// xorshift64*: small, fast, and the same everywhere.
pub(crate) struct Seeded(u64);

impl Seeded {
    /// Choices of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        // Neighbouring seeds begin far from each other (splitmix64's finisher).
        let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((z ^ (z >> 31)) | 1)
    }
}

impl Choose for Seeded {
    fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        u32::try_from(drawn % u64::from(n)).unwrap()
    }
}

/// Bytes, then zeros.
pub(crate) struct Bytes(pub(crate) std::vec::IntoIter<u8>);

impl Choose for Bytes {
    fn below(&mut self, n: u32) -> u32 {
        u32::from(self.0.next().unwrap_or(0)) % n
    }
}
